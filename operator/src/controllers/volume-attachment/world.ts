import type { CsiNode, PersistentVolume, VolumeAttachment } from '../../kube/core-kinds.ts';

/** All that a decision about one VolumeAttachment looks at. */
export interface World {
  readonly attachment: VolumeAttachment | undefined;
  /** The PersistentVolume that it names. */
  readonly volume: PersistentVolume | undefined;
  /** What runs on the node that it names. */
  readonly csiNode: CsiNode | undefined;
}
