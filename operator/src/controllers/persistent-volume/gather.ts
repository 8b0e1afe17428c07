import type { KubeClient } from '../../kube/kube-client.ts';
import type { Listers } from '../../kube/lister.ts';
import { persistentVolumes } from '../../kube/resource.ts';
import { readLive } from '../shared/live-read.ts';
import { isReleased, type World } from './decide.ts';

/** Where the world is read from. */
export interface GatherDependencies {
  readonly client: KubeClient;
  readonly listers: Listers;
}

/**
 * Reads the volume. One that is Released is read from the API server: an administrator may have changed its policy to
 * Retain, or given it to another claim, a moment ago.
 */
export async function gather(name: string, dependencies: GatherDependencies): Promise<World> {
  const cached = dependencies.listers.of(persistentVolumes).get(name);
  if (cached === undefined || !isReleased(cached)) return { volume: cached };
  return { volume: await readLive(dependencies.client, persistentVolumes, { name }) };
}
