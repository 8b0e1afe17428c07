/**
 * What to do next about one PersistentVolume: the world in, one decision out. Pure. Data is deleted for one reason
 * only: kube's volume controller has declared the volume Released, and its policy is Delete. That a claim is missing
 * says nothing here.
 */
import type { PersistentVolume } from '../../kube/core-kinds.ts';
import { hasFinalizer } from '../../kube/finalizer.ts';
import { isTerminating } from '../../kube/kubernetes-object.ts';
import { annotationOf } from '../shared/annotation.ts';
import { annotations, finalizers } from '../shared/protocol-names.ts';
import { parseHandle, type StorageHandle } from '../shared/storage-handle.ts';

/** All that a decision about one PersistentVolume looks at. */
export interface World {
  /** Read from the API server, not from the cache, if its data may be deleted now. */
  readonly volume: PersistentVolume | undefined;
}

/** One step for the reconciler. */
export type Decision =
  | { readonly kind: 'nothing'; readonly because: string }
  | { readonly kind: 'add-finalizer' }
  | { readonly kind: 'remove-finalizer' }
  /** Delete the data, then the object. */
  | { readonly kind: 'delete-volume'; readonly handle: StorageHandle }
  | { readonly kind: 'tell-failure'; readonly message: string };

/** Decides the next step. */
export function decide({ volume }: World, driverName: string): Decision {
  if (volume === undefined) return nothing('the volume is gone');
  const { csi, persistentVolumeReclaimPolicy: policy } = volume.spec;
  if (csi?.driver !== driverName) return nothing('it belongs to another driver');

  const isHeld = hasFinalizer(volume, finalizers.volumeProvisioned);
  if (policy !== 'Delete') {
    return isHeld ? { kind: 'remove-finalizer' } : nothing('its data is kept');
  }
  if (isTerminating(volume) && !isHeld) return nothing('it is not held by us');
  if (!isReleased(volume)) {
    const isUnprotected = !isHeld && volume.status?.phase === 'Bound';
    return isUnprotected ? { kind: 'add-finalizer' } : nothing('it is in use');
  }
  if (annotationOf(volume, annotations.volumeProvisionedBy) !== driverName) {
    return nothing('somebody else provisioned it');
  }
  const handle = parseHandle(csi.volumeHandle);
  if (handle !== undefined) return { kind: 'delete-volume', handle };
  const message = `volumeHandle "${csi.volumeHandle}" must be <StorageDaemon>/<volume>`;
  return { kind: 'tell-failure', message };
}

/** Whether kube's volume controller says that no claim has it any more. */
export function isReleased(volume: PersistentVolume): boolean {
  return volume.status?.phase === 'Released';
}

function nothing(because: string): Decision {
  return { kind: 'nothing', because };
}
