import type { Quantity } from './core-kinds.ts';
import type { Condition, KubernetesObject, ObjectReference } from './kubernetes-object.ts';

/** What happens to the data when the object goes. */
export type DeletionPolicy = 'Delete' | 'Retain';

/** The last error of a snapshot or content; cleared on success. */
export interface SnapshotError {
  readonly time?: string;
  readonly message?: string;
}

/** snapshot.storage.k8s.io/v1 VolumeSnapshot: what a user asks for. */
export interface VolumeSnapshot extends KubernetesObject {
  readonly spec: {
    /** Exactly one of the two members is set. */
    readonly source: {
      readonly persistentVolumeClaimName?: string;
      readonly volumeSnapshotContentName?: string;
    };
    readonly volumeSnapshotClassName?: string;
  };
  readonly status?: {
    readonly boundVolumeSnapshotContentName?: string;
    readonly creationTime?: string;
    readonly readyToUse?: boolean;
    readonly restoreSize?: Quantity;
    readonly error?: SnapshotError;
    readonly volumeGroupSnapshotName?: string;
    /** Only where the CRD is ours; see `contract/src/kubernetes`. */
    readonly conditions?: readonly Condition[];
  };
}

/** snapshot.storage.k8s.io/v1 VolumeSnapshotContent: what the storage has. */
export interface VolumeSnapshotContent extends KubernetesObject {
  readonly spec: {
    /** `uid` is empty until a snapshot claims a pre-provisioned content. */
    readonly volumeSnapshotRef: ObjectReference;
    readonly deletionPolicy: DeletionPolicy;
    readonly driver: string;
    readonly volumeSnapshotClassName?: string;
    /** Exactly one: `volumeHandle` when dynamic, `snapshotHandle` when pre-provisioned. */
    readonly source: { readonly volumeHandle?: string; readonly snapshotHandle?: string };
    readonly sourceVolumeMode?: string;
  };
  readonly status?: {
    readonly snapshotHandle?: string;
    /**
     * Unix NANOSECONDS: above 2^53, so a parsed value is rounded. Never write a parsed value back; patch
     * the other fields and leave this one out.
     */
    readonly creationTime?: number;
    readonly restoreSize?: number;
    readonly readyToUse?: boolean;
    readonly error?: SnapshotError;
    readonly volumeGroupSnapshotHandle?: string;
    readonly conditions?: readonly Condition[];
  };
}

/** snapshot.storage.k8s.io/v1 VolumeSnapshotClass: no spec, its fields stand at the top. */
export interface VolumeSnapshotClass extends KubernetesObject {
  readonly driver: string;
  readonly deletionPolicy: DeletionPolicy;
  readonly parameters?: Readonly<Record<string, string>>;
}
