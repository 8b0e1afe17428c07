/**
 * The finalizers that keep claims which pods use, and volumes that are bound, from vanishing: kube's pvc-protection
 * and pv-protection controllers. (The API server adds the finalizers when such objects are made.)
 */
import { finalizersOf, isTerminating, type ApiObject } from '../api-server/objects/api-object.ts';
import { readPath, textOf } from '../api-server/objects/json.ts';
import type { Change } from '../api-server/storage/change.ts';
import { storageKeys, type ClusterAccess } from './cluster-access.ts';
import type { KubeController } from './controller-runner.ts';
import { usesClaim } from './volume-binding/claim-controller.ts';

/** Lets go of deleted claims that no pod uses. Keys are `namespace/name` of claims. */
export class ClaimProtection implements KubeController {
  readonly name = 'pvc-protection';
  readonly #cluster: ClusterAccess;

  constructor(cluster: ClusterAccess) {
    this.#cluster = cluster;
  }

  initialKeys(): string[] {
    return this.#deleted(undefined);
  }

  keysOf(change: Change): string[] {
    if (change.storageKey === storageKeys.claims) return [change.objectKey];
    return change.storageKey === storageKeys.pods
      ? this.#deleted(change.object.metadata.namespace)
      : [];
  }

  reconcile(key: string): void {
    const claim = this.#cluster.get(storageKeys.claims, key);
    if (claim === undefined || !isTerminating(claim) || this.#isUsed(claim)) return;
    releaseFinalizer(this.#cluster, storageKeys.claims, claim, 'kubernetes.io/pvc-protection');
  }

  #deleted(namespace: string | undefined): string[] {
    return this.#cluster
      .list(storageKeys.claims, namespace)
      .filter((claim) => isTerminating(claim))
      .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  }

  /** Only a pod on a node uses its claims: one that was never scheduled has not seen them. */
  #isUsed(claim: ApiObject): boolean {
    return this.#cluster.list(storageKeys.pods, claim.metadata.namespace).some((pod) => {
      const isOver = ['Succeeded', 'Failed'].includes(textOf(readPath(pod, 'status', 'phase')));
      const isScheduled = textOf(readPath(pod, 'spec', 'nodeName')) !== '';
      return isScheduled && !isOver && usesClaim(pod, claim.metadata.name);
    });
  }
}

/** Lets go of deleted volumes that are not bound. Keys are names of volumes. */
export class VolumeProtection implements KubeController {
  readonly name = 'pv-protection';
  readonly #cluster: ClusterAccess;

  constructor(cluster: ClusterAccess) {
    this.#cluster = cluster;
  }

  initialKeys(): string[] {
    return this.#cluster.list(storageKeys.volumes).map((volume) => volume.metadata.name);
  }

  keysOf(change: Change): string[] {
    return change.storageKey === storageKeys.volumes ? [change.objectKey] : [];
  }

  reconcile(key: string): void {
    const volume = this.#cluster.get(storageKeys.volumes, key);
    if (volume === undefined || !isTerminating(volume)) return;
    if (readPath(volume, 'status', 'phase') === 'Bound') return;
    releaseFinalizer(this.#cluster, storageKeys.volumes, volume, 'kubernetes.io/pv-protection');
  }
}

function releaseFinalizer(
  cluster: ClusterAccess,
  storageKey: string,
  object: ApiObject,
  finalizer: string,
): void {
  if (!finalizersOf(object).includes(finalizer)) return;
  cluster.change(storageKey, object, (draft) => {
    draft.metadata['finalizers'] = finalizersOf(object).filter((each) => each !== finalizer);
  });
}
