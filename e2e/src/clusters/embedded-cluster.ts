/**
 * The playground's own API server with its stand-ins for kube's controllers, in this process: the runner has little
 * else to do while programs run. It has no users and no roles, so the operator comes in as everybody does.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startApiServer } from '@varve/playground/api-server/api-server';
import { startKubeControllers } from '@varve/playground/kube-controllers/kube-controllers';
import { logTail } from '../process/managed-process.ts';
import type { Cluster } from './cluster.ts';

/** Starts the playground's API server in the directory. */
export async function startEmbeddedCluster(options: {
  readonly directory: string;
}): Promise<Cluster> {
  const kubeconfig = join(options.directory, 'kubeconfig');
  const logFile = join(options.directory, 'api-server.log');
  const log = (what: string, error: unknown): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    appendFileSync(logFile, `${new Date().toISOString()} ${what}: ${text}\n`);
  };
  const stateDirectory = join(options.directory, 'state');
  mkdirSync(stateDirectory);
  const server = await startApiServer({
    stateDirectory,
    kubeconfigFile: kubeconfig,
    onInternalError: (error) => log('a request failed', error),
  });
  const controllers = startKubeControllers(server.state, (controller, key, error) =>
    log(`${controller} ${key}`, error),
  );
  return {
    kind: 'embedded',
    description: "the playground's API server and controllers",
    kubeconfig,
    prepareOperatorIdentity: () => Promise.resolve(kubeconfig),
    logTails: () => logTail('the embedded API server', logFile),
    stop: async () => {
      controllers.close();
      await server.close();
    },
  };
}
