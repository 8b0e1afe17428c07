import { objectKey } from '../../kube/kubernetes-object.ts';
import type { Listers } from '../../kube/lister.ts';
import {
  persistentVolumeClaims,
  persistentVolumes,
  volumeAttachments,
  volumeReverts,
  volumeSnapshotContents,
  volumeSnapshots,
} from '../../kube/resource.ts';
import { safetySnapshotName } from './names.ts';
import { attachmentsByVolume } from '../shared/attachment-index.ts';
import { revertsByClaim } from './watches.ts';
import type { World } from './world.ts';

const nothingFound = {
  claim: undefined,
  volume: undefined,
  attachments: [],
  snapshot: undefined,
  content: undefined,
  safetySnapshot: undefined,
  siblings: [],
};

/** Reads all that a decision about the revert of this key needs. Judges nothing. */
export function gather(key: string, listers: Listers): World {
  const revert = listers.of(volumeReverts).get(key);
  if (revert === undefined) return { revert, ...nothingFound };
  const { namespace, uid } = revert.metadata;
  const keyOf = (name: string): string => objectKey({ namespace, name });
  const claimKey = keyOf(revert.spec.persistentVolumeClaimName);
  const claim = listers.of(persistentVolumeClaims).get(claimKey);
  const volumeName = claim?.spec.volumeName ?? '';
  const snapshot = listers.of(volumeSnapshots).get(keyOf(revert.spec.volumeSnapshotName));
  const contentName = snapshot?.status?.boundVolumeSnapshotContentName ?? '';
  return {
    revert,
    claim,
    volume: listers.of(persistentVolumes).get(volumeName),
    attachments: listers.of(volumeAttachments).byIndex(attachmentsByVolume, volumeName),
    snapshot,
    content: listers.of(volumeSnapshotContents).get(contentName),
    safetySnapshot: listers.of(volumeSnapshots).get(keyOf(safetySnapshotName(uid))),
    siblings: listers.of(volumeReverts).byIndex(revertsByClaim, claimKey),
  };
}
