import type { ControllerContext } from '../../controller-context.ts';
import { objectKey } from '../../kube/kubernetes-object.ts';
import type { PersistentVolumeClaim } from '../../kube/core-kinds.ts';
import type { Listers } from '../../kube/lister.ts';
import {
  persistentVolumeClaims,
  persistentVolumes,
  volumeSnapshotContents,
  volumeSnapshots,
} from '../../kube/resource.ts';
import type { VolumeSnapshot } from '../../kube/snapshot-kinds.ts';
import { annotationOf } from '../shared/annotation.ts';
import { claimsBySourceClaim, claimsBySourceSnapshot } from '../shared/claim-source.ts';
import { annotations } from '../shared/protocol-names.ts';
import { contentsByClaimant, snapshotsByClaim } from '../shared/snapshot-indexes.ts';
import type { ClaimWorld, RequestedSnapshot, SnapshotWorld } from './decide.ts';

/** Reads all that decides about the finalizers of the claim of this key. */
export function gatherClaim(
  key: string,
  { listers, driverName, snapshotRole }: ControllerContext,
): ClaimWorld {
  const claims = listers.of(persistentVolumeClaims);
  const claim = claims.get(key);
  return {
    claim,
    isOurs: claim !== undefined && isOurs(claim, listers, driverName),
    isSnapshotController: snapshotRole.state === 'ours',
    snapshots: listers
      .of(volumeSnapshots)
      .byIndex(snapshotsByClaim, key)
      .map((snapshot) => withContent(snapshot, listers)),
    clones: claims.byIndex(claimsBySourceClaim, key),
  };
}

/** Reads all that decides about the finalizer of the snapshot of this key. */
export function gatherSnapshot(key: string, listers: Listers): SnapshotWorld {
  return {
    snapshot: listers.of(volumeSnapshots).get(key),
    restores: listers.of(persistentVolumeClaims).byIndex(claimsBySourceSnapshot, key),
  };
}

function isOurs(claim: PersistentVolumeClaim, listers: Listers, driverName: string): boolean {
  const volume = listers.of(persistentVolumes).get(claim.spec.volumeName ?? '');
  const driver =
    volume?.spec.csi?.driver ??
    annotationOf(claim, annotations.claimProvisioner) ??
    annotationOf(claim, annotations.claimProvisionerBeta);
  return driver === driverName;
}

function withContent(snapshot: VolumeSnapshot, listers: Listers): RequestedSnapshot {
  const { uid } = snapshot.metadata;
  const content = listers
    .of(volumeSnapshotContents)
    .byIndex(contentsByClaimant, objectKey(snapshot.metadata))
    .find(({ spec }) => spec.volumeSnapshotRef.uid === uid);
  return { snapshot, content };
}
