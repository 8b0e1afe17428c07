import type {
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
} from '../../kube/core-kinds.ts';
import type { VolumeSnapshot, VolumeSnapshotContent } from '../../kube/snapshot-kinds.ts';
import type { StorageDaemon } from '../../kube/storage-daemon-kind.ts';

/** What a claim is to be made from, with the objects behind it as far as they are there. */
export type SourceWorld =
  | { readonly kind: 'none' }
  /** The claim was written with a source that the API server has dropped without a word. */
  | { readonly kind: 'dropped'; readonly title: string }
  | { readonly kind: 'unsupported'; readonly title: string; readonly isOtherNamespace: boolean }
  | {
      readonly kind: 'snapshot';
      readonly name: string;
      readonly snapshot: VolumeSnapshot | undefined;
      readonly content: VolumeSnapshotContent | undefined;
    }
  | {
      readonly kind: 'claim';
      readonly name: string;
      readonly claim: PersistentVolumeClaim | undefined;
      readonly volume: PersistentVolume | undefined;
    };

/** All that a decision about one PersistentVolumeClaim looks at. */
export interface World {
  readonly claim: PersistentVolumeClaim | undefined;
  readonly className: string | undefined;
  readonly storageClass: StorageClass | undefined;
  /**
   * The PersistentVolume whose name derives from the claim's UID. If the cache has none and the claim may be given up,
   * the API server has been asked: giving up deletes the volume.
   */
  readonly volume: PersistentVolume | undefined;
  readonly source: SourceWorld;
  readonly daemons: readonly StorageDaemon[];
}
