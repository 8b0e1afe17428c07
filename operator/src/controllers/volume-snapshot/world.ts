import type { PersistentVolume, PersistentVolumeClaim } from '../../kube/core-kinds.ts';
import type {
  VolumeSnapshot,
  VolumeSnapshotClass,
  VolumeSnapshotContent,
} from '../../kube/snapshot-kinds.ts';

/** All that a decision about one VolumeSnapshot looks at. What is not there is undefined: absence is a value. */
export interface World {
  readonly snapshot: VolumeSnapshot | undefined;
  /**
   * The content that the snapshot's status or spec names, else the one of the name that derives from its UID.
   * For a snapshot that is being deleted it has been read from the API server if the cache had none.
   */
  readonly content: VolumeSnapshotContent | undefined;
  /** The class that the snapshot names. */
  readonly namedClass: VolumeSnapshotClass | undefined;
  /** The classes of our driver that are marked as default. */
  readonly defaultClasses: readonly VolumeSnapshotClass[];
  /** The claim that a snapshot is asked of, and the volume that it is bound to. */
  readonly claim: PersistentVolumeClaim | undefined;
  readonly volume: PersistentVolume | undefined;
  /** Names of the Pending claims of the namespace that are to be restored from the snapshot. */
  readonly pendingRestores: readonly string[];
}
