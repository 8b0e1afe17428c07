/**
 * Keeps the phases of volumes: Available, Bound, Released. Only this controller says that a volume is Released,
 * which is what lets a provisioner delete its data; it says so when the claim that the volume names by UID is gone.
 */
import { annotationOf, formatTime, type ApiObject } from '../../api-server/objects/api-object.ts';
import { asObject, readPath } from '../../api-server/objects/json.ts';
import { objectKey, type Change } from '../../api-server/storage/change.ts';
import { storageKeys, type ClusterAccess } from '../cluster-access.ts';
import type { KubeController } from '../controller-runner.ts';
import { bindingAnnotations, claimReferenceOf, volumeNameOf } from './claim-and-volume.ts';

type Phase = 'Available' | 'Bound' | 'Released';

/** Keys are names of volumes. */
export class VolumeController implements KubeController {
  readonly name = 'persistentvolume-phases';
  readonly #cluster: ClusterAccess;

  constructor(cluster: ClusterAccess) {
    this.#cluster = cluster;
  }

  initialKeys(): string[] {
    return this.#cluster.list(storageKeys.volumes).map((volume) => volume.metadata.name);
  }

  keysOf(change: Change): string[] {
    if (change.storageKey === storageKeys.volumes) {
      return change.type === 'DELETED' ? [] : [change.objectKey];
    }
    return change.storageKey === storageKeys.claims ? this.#volumesOf(change.objectKey) : [];
  }

  reconcile(key: string): void {
    const volume = this.#cluster.get(storageKeys.volumes, key);
    if (volume === undefined) return;
    const phase = this.#phaseOf(volume);
    if (phase === undefined || readPath(volume, 'status', 'phase') === phase) return;
    this.#cluster.changeStatus(storageKeys.volumes, volume, (draft) => {
      const transition = { lastPhaseTransitionTime: formatTime(this.#cluster.now) };
      draft['status'] = { ...asObject(draft['status']), ...transition, phase };
    });
  }

  #volumesOf(claimKey: string): string[] {
    return this.#cluster
      .list(storageKeys.volumes)
      .filter((volume) => {
        const reference = claimReferenceOf(volume);
        return (
          reference !== undefined && objectKey(reference.namespace, reference.name) === claimKey
        );
      })
      .map((volume) => volume.metadata.name);
  }

  /** The phase that the volume should be in; undefined while its claim is still to be bound. */
  #phaseOf(volume: ApiObject): Phase | undefined {
    const reference = claimReferenceOf(volume);
    if (reference === undefined || reference.uid === '') return 'Available';
    const claim = this.#cluster.get(
      storageKeys.claims,
      objectKey(reference.namespace, reference.name),
    );
    if (claim?.metadata.uid !== reference.uid) return 'Released';
    const bound = volumeNameOf(claim);
    if (bound === volume.metadata.name) return 'Bound';
    if (bound === '') return undefined;
    // The claim went to another volume. One that was provisioned for it has no other use: its data may go.
    const isProvisioned = annotationOf(volume, bindingAnnotations.provisionedBy) !== undefined;
    const isDeletable = readPath(volume, 'spec', 'persistentVolumeReclaimPolicy') === 'Delete';
    return isProvisioned && isDeletable ? 'Released' : undefined;
  }
}
