/** Which objects wake which revert. Keys are `namespace/name`. */
import type { Listers } from '../../kube/lister.ts';
import { objectKey } from '../../kube/kubernetes-object.ts';
import { objectIndex, watch, type Watch } from '../../kube/reconciler.ts';
import {
  persistentVolumeClaims,
  persistentVolumes,
  storageDaemons,
  volumeAttachments,
  volumeReverts,
  volumeSnapshotContents,
  volumeSnapshots,
} from '../../kube/resource.ts';
import { attachmentsByVolume } from '../shared/attachment-index.ts';
import { isDaemonBack } from '../shared/daemon-readiness.ts';
import { isFinished } from './progress.ts';
import { safetySnapshotName } from './names.ts';

/** Reverts by the claim (`namespace/name`) whose volume they put back. */
export const revertsByClaim = objectIndex('reverts-by-claim', volumeReverts, (revert) => [
  objectKey({
    namespace: revert.metadata.namespace,
    name: revert.spec.persistentVolumeClaimName,
  }),
]);

/** Reverts that are not finished by the snapshots (`namespace/name`) that they wait for. */
const revertsBySnapshot = objectIndex('reverts-by-snapshot', volumeReverts, (revert) => {
  const { namespace, uid } = revert.metadata;
  if (isFinished(revert)) return [];
  return [revert.spec.volumeSnapshotName, safetySnapshotName(uid)].map((name) =>
    objectKey({ namespace, name }),
  );
});

/** The indexes that the watches and the reconciler ask. */
export const revertIndexes = [revertsByClaim, revertsBySnapshot, attachmentsByVolume];

/** A revert is looked at when it, an earlier one, or anything that it waits for changes. */
export const revertWatches: readonly Watch[] = [
  watch(volumeReverts, ({ object }, listers) => {
    const { namespace } = object.metadata;
    const name = object.spec.persistentVolumeClaimName;
    return [objectKey(object.metadata), ...ofClaim({ namespace, name }, listers)];
  }),
  watch(persistentVolumeClaims, ({ object }, listers) => ofClaim(object.metadata, listers)),
  watch(persistentVolumes, ({ object }, listers) => ofVolume(object.metadata.name, listers)),
  watch(volumeAttachments, ({ object }, listers) =>
    ofVolume(object.spec.source.persistentVolumeName, listers),
  ),
  watch(volumeSnapshots, ({ object }, listers) => ofSnapshot(object.metadata, listers)),
  watch(volumeSnapshotContents, ({ object }, listers) => {
    const { namespace, name = '' } = object.spec.volumeSnapshotRef;
    return ofSnapshot({ namespace, name }, listers);
  }),
  watch(storageDaemons, (change, listers) =>
    isDaemonBack(change)
      ? listers
          .of(volumeReverts)
          .list()
          .filter((revert) => !isFinished(revert))
          .map(({ metadata }) => objectKey(metadata))
      : [],
  ),
];

interface Place {
  readonly namespace?: string | undefined;
  readonly name: string;
}

function ofClaim(claim: Place, listers: Listers): readonly string[] {
  return listers
    .of(volumeReverts)
    .byIndex(revertsByClaim, objectKey(claim))
    .filter((revert) => !isFinished(revert))
    .map(({ metadata }) => objectKey(metadata));
}

function ofVolume(name: string | undefined, listers: Listers): readonly string[] {
  const claim = listers.of(persistentVolumes).get(name ?? '')?.spec.claimRef;
  if (claim?.name === undefined) return [];
  return ofClaim({ namespace: claim.namespace, name: claim.name }, listers);
}

function ofSnapshot(snapshot: Place, listers: Listers): readonly string[] {
  return listers
    .of(volumeReverts)
    .byIndex(revertsBySnapshot, objectKey(snapshot))
    .map(({ metadata }) => objectKey(metadata));
}
