/** Starts what plays the roles of kube's own controllers. */
import type { ServerState } from '../api-server/operations/server-state.ts';
import { ClusterAccess } from './cluster-access.ts';
import { ControllerRunner } from './controller-runner.ts';
import { EventWriter } from './event-writer.ts';
import { GarbageCollection } from './garbage-collection.ts';
import { NamespaceDeletion } from './namespace-deletion.ts';
import { ClaimProtection, VolumeProtection } from './object-protection.ts';
import { PodNotice } from './pod-notice.ts';
import { ClaimController } from './volume-binding/claim-controller.ts';
import { VolumeController } from './volume-binding/volume-controller.ts';

/** Controllers that run. */
export interface KubeControllers {
  close(): void;
}

/** Starts the controllers on the state of an API server in this process. */
export function startKubeControllers(
  state: ServerState,
  onError: (controller: string, key: string, error: unknown) => void,
): KubeControllers {
  const cluster = new ClusterAccess(state);
  const binderEvents = new EventWriter(cluster, 'persistentvolume-controller');
  const playgroundEvents = new EventWriter(cluster, 'varve-playground');
  const controllers = [
    new ClaimController(cluster, binderEvents),
    new VolumeController(cluster),
    new ClaimProtection(cluster),
    new VolumeProtection(cluster),
    new GarbageCollection(cluster),
    new NamespaceDeletion(state, cluster),
    new PodNotice(cluster, playgroundEvents),
  ];
  return new ControllerRunner(controllers, { store: state.store, onError });
}
