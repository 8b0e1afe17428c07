/** The life that the tests lead: a claim, a snapshot of it, a larger restore and a clone; then all of it is deleted. */
import {
  persistentVolumeClaims,
  persistentVolumes,
  volumeSnapshotContents,
  volumeSnapshots,
} from '@varve/operator/kube/resource';
import { claimManifest, restoredClaimManifest, snapshotManifest } from '../product/manifests.ts';
import type { OperatorSite } from './operator-site.ts';

/** The finalizer by which the operator holds a claim while its volume is made. */
const provisioning = 'varve.dev/provisioning';
/** Every finalizer by which something holds a source. */
const protections = /(as-source|cloning)-protection$/;

/** Asks for all objects at once, in an order in which some must wait for others. */
export async function createAll(site: OperatorSite): Promise<void> {
  await site.create(
    snapshotManifest('snapshot', 'source'),
    restoredClaimManifest('restored', '64Mi', 'snapshot'),
    claimManifest('clone', '32Mi', { kind: 'PersistentVolumeClaim', name: 'source' }),
    claimManifest('source', '32Mi'),
  );
}

/** Waits until all claims and a snapshot are there, and nothing holds anything any more. */
export async function untilAllIsThere(site: OperatorSite, claimCount = 3): Promise<void> {
  await site.until('all claims are bound, the snapshot is ready, and all holds are off', () => {
    const claims = site.list(persistentVolumeClaims);
    const snapshots = site.list(volumeSnapshots);
    const contents = site.list(volumeSnapshotContents);
    return (
      claims.length === claimCount &&
      claims.every(
        ({ metadata, status }) =>
          status?.phase === 'Bound' &&
          (status.conditions ?? []).length === 0 &&
          !(metadata.finalizers ?? []).some((each) => each === provisioning || isProtection(each)),
      ) &&
      snapshots.length === 1 &&
      snapshots.every(
        ({ metadata, status }) =>
          status?.readyToUse === true &&
          !(metadata.finalizers ?? []).some((each) => each.startsWith('provisioner.')),
      ) &&
      contents.every(({ metadata }) =>
        Object.keys(metadata.annotations ?? {}).every((key) => !key.includes('being-created')),
      )
    );
  });
}

/** Asks for the deletion of all, in a hostile order: what others were made from goes first. */
export async function deleteAll(site: OperatorSite): Promise<void> {
  await site.delete(persistentVolumeClaims, 'source');
  await site.delete(volumeSnapshots, 'snapshot');
  await site.delete(persistentVolumeClaims, 'restored');
  await site.delete(persistentVolumeClaims, 'clone');
}

/** Waits until nothing is left in the cluster. */
export async function untilNothingIsLeft(site: OperatorSite): Promise<void> {
  await site.until('nothing is left', () =>
    [persistentVolumeClaims, persistentVolumes, volumeSnapshots, volumeSnapshotContents].every(
      (resource) => site.list(resource as typeof volumeSnapshots).length === 0,
    ),
  );
}

/** The ids that the daemon must hold: one for each object, no more. */
export function expectedAtDaemon(site: OperatorSite): readonly string[] {
  return [
    ...site.list(persistentVolumeClaims).map(({ metadata }) => `pvc-${metadata.uid}`),
    ...site.list(volumeSnapshots).map(({ metadata }) => `snapshot-${metadata.uid}`),
  ].sort();
}

function isProtection(finalizer: string): boolean {
  return protections.test(finalizer);
}
