/** The playground's own API server. */
import type { Cluster } from './cluster.ts';

/** Starts the playground's API server in the directory. */
export async function startEmbeddedCluster(options: {
  readonly directory: string;
}): Promise<Cluster> {
  throw new Error(`Starting the embedded API server in ${options.directory} failed: none is built`);
}
