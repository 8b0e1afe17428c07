import type {
  PersistentVolume,
  PersistentVolumeClaim,
  VolumeAttachment,
} from '../../kube/core-kinds.ts';
import type { VolumeSnapshot, VolumeSnapshotContent } from '../../kube/snapshot-kinds.ts';
import type { VolumeRevert } from '../../kube/volume-revert-kind.ts';

/** All that a decision about one VolumeRevert looks at. */
export interface World {
  readonly revert: VolumeRevert | undefined;
  readonly claim: PersistentVolumeClaim | undefined;
  /** The volume that the claim names. */
  readonly volume: PersistentVolume | undefined;
  /** What attaches that volume to nodes. */
  readonly attachments: readonly VolumeAttachment[];
  readonly snapshot: VolumeSnapshot | undefined;
  /** The content that the snapshot names. */
  readonly content: VolumeSnapshotContent | undefined;
  readonly safetySnapshot: VolumeSnapshot | undefined;
  /** All reverts of the claim, this one too. */
  readonly siblings: readonly VolumeRevert[];
}
