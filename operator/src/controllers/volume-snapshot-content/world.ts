import type { VolumeSnapshotContent } from '../../kube/snapshot-kinds.ts';

/** The VolumeSnapshot that a content refers to, by name, namespace and UID. */
export type Claimant =
  /** The content is pre-provisioned, and no snapshot has claimed it. */
  | 'none'
  | 'alive'
  /** No snapshot of that UID exists. For a content that is being deleted the API server said so, not the cache. */
  | 'gone';

/** All that a decision about one VolumeSnapshotContent looks at. */
export interface World {
  /** Read from the API server, not from the cache, when it is being deleted: its policy decides about data. */
  readonly content: VolumeSnapshotContent | undefined;
  readonly claimant: Claimant;
}
