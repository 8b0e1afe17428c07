/** Builders of Kubernetes objects for tests: a complete, healthy object each, changed by what the test says. */
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
} from '../../../kube/core-kinds.ts';
import type { KubernetesObject, ObjectMetadata } from '../../../kube/kubernetes-object.ts';
import type {
  VolumeSnapshot,
  VolumeSnapshotClass,
  VolumeSnapshotContent,
} from '../../../kube/snapshot-kinds.ts';
import type { StorageDaemon } from '../../../kube/storage-daemon-kind.ts';
import { annotations, snapshotApiGroup } from '../protocol-names.ts';

/** The driver whose objects the builders make. */
export const driverName = 'csi.varve.dev';

const gibibyte = 1024 ** 3;
const snapshotApiVersion = `${snapshotApiGroup}/v1`;

/** What a test says about an object besides its kind. */
export interface Changes<T extends KubernetesObject> {
  readonly metadata?: Partial<ObjectMetadata>;
  readonly spec?: T extends { spec: infer Spec } ? Partial<Spec> : never;
  /** Replaces the whole status; null leaves it out. */
  readonly status?: T extends { status?: infer Status } ? Status | null : never;
}

/** A Bound claim `app/data` of 1Gi, provisioned by us. */
export function buildClaim(changes: Changes<PersistentVolumeClaim> = {}): PersistentVolumeClaim {
  const status =
    changes.status === undefined
      ? { phase: 'Bound' as const, capacity: { storage: '1Gi' } }
      : changes.status;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: metadata('data', 'claim-uid', {
      namespace: 'app',
      annotations: { [annotations.claimProvisioner]: driverName },
      ...changes.metadata,
    }),
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'fast',
      volumeMode: 'Filesystem',
      volumeName: 'pvc-claim-uid',
      resources: { requests: { storage: '1Gi' } },
      ...changes.spec,
    },
    ...(status === null ? {} : { status }),
  };
}

/** The Bound volume of {@link buildClaim}. */
export function buildVolume(changes: Changes<PersistentVolume> = {}): PersistentVolume {
  const status = changes.status === undefined ? { phase: 'Bound' as const } : changes.status;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: metadata('pvc-claim-uid', 'volume-uid', {
      annotations: { [annotations.volumeProvisionedBy]: driverName },
      ...changes.metadata,
    }),
    spec: {
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: '1Gi' },
      claimRef: { namespace: 'app', name: 'data', uid: 'claim-uid' },
      csi: { driver: driverName, volumeHandle: 'node-1/pvc-claim-uid', fsType: 'ext4' },
      persistentVolumeReclaimPolicy: 'Delete',
      storageClassName: 'fast',
      volumeMode: 'Filesystem',
      ...changes.spec,
    },
    ...(status === null ? {} : { status }),
  };
}

/** The StorageClass `fast` of our driver, binding at once. */
export function buildStorageClass(changes: Partial<StorageClass> = {}): StorageClass {
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: metadata('fast', 'storage-class-uid', {}),
    provisioner: driverName,
    reclaimPolicy: 'Delete',
    volumeBindingMode: 'Immediate',
    ...changes,
  };
}

/** The VolumeSnapshotClass `hourly` of our driver with policy Delete. */
export function buildSnapshotClass(
  changes: Partial<VolumeSnapshotClass> = {},
): VolumeSnapshotClass {
  return {
    apiVersion: snapshotApiVersion,
    kind: 'VolumeSnapshotClass',
    metadata: metadata('hourly', 'snapshot-class-uid', {}),
    driver: driverName,
    deletionPolicy: 'Delete',
    ...changes,
  };
}

/** A ready StorageDaemon `node-1` with one pool `nvme`. */
export function buildDaemon(
  changes: {
    readonly name?: string;
    readonly ready?: boolean;
    readonly cordoned?: boolean;
    readonly pools?: readonly {
      readonly name: string;
      readonly freeBytes: number;
      readonly ready?: boolean;
    }[];
  } = {},
): StorageDaemon {
  const {
    name = 'node-1',
    ready = true,
    cordoned,
    pools = [{ name: 'nvme', freeBytes: gibibyte }],
  } = changes;
  return {
    apiVersion: 'varve.dev/v1alpha1',
    kind: 'StorageDaemon',
    metadata: metadata(name, `${name}-uid`, { generation: 1 }),
    spec: {
      endpoint: 'unix:///run/varve/daemon.sock',
      ...(cordoned === undefined ? {} : { cordoned }),
    },
    status: {
      conditions: [
        {
          type: 'Ready',
          status: ready ? 'True' : 'False',
          reason: 'Test',
          message: '',
          lastTransitionTime: '2026-03-01T09:00:00Z',
        },
      ],
      pools: pools.map((pool) => ({
        ready: true,
        sizeBytes: 10 * gibibyte,
        allocatedBytes: 0,
        volumes: 0,
        snapshots: 0,
        ...pool,
      })),
    },
  };
}

/** A new snapshot `app/s1` of the claim `data`, without finalizers or status. */
export function buildSnapshot(changes: Changes<VolumeSnapshot> = {}): VolumeSnapshot {
  const { status } = changes;
  return {
    apiVersion: snapshotApiVersion,
    kind: 'VolumeSnapshot',
    metadata: metadata('s1', 'snapshot-uid', {
      namespace: 'app',
      generation: 1,
      ...changes.metadata,
    }),
    spec: {
      source: { persistentVolumeClaimName: 'data' },
      volumeSnapshotClassName: 'hourly',
      ...changes.spec,
    },
    ...(status === undefined || status === null ? {} : { status }),
  };
}

/** The ready content of {@link buildSnapshot}. */
export function buildContent(changes: Changes<VolumeSnapshotContent> = {}): VolumeSnapshotContent {
  const status =
    changes.status === undefined
      ? {
          snapshotHandle: 'node-1/snapshot-snapshot-uid',
          creationTime: Date.UTC(2026, 2, 1, 10) * 1e6,
          restoreSize: gibibyte,
          readyToUse: true,
        }
      : changes.status;
  return {
    apiVersion: snapshotApiVersion,
    kind: 'VolumeSnapshotContent',
    metadata: metadata('snapcontent-snapshot-uid', 'content-uid', {
      generation: 1,
      ...changes.metadata,
    }),
    spec: {
      deletionPolicy: 'Delete',
      driver: driverName,
      source: { volumeHandle: 'node-1/pvc-claim-uid' },
      sourceVolumeMode: 'Filesystem',
      volumeSnapshotClassName: 'hourly',
      volumeSnapshotRef: {
        apiVersion: snapshotApiVersion,
        kind: 'VolumeSnapshot',
        namespace: 'app',
        name: 's1',
        uid: 'snapshot-uid',
      },
      ...changes.spec,
    },
    ...(status === null ? {} : { status }),
  };
}

function metadata(name: string, uid: string, changes: Partial<ObjectMetadata>): ObjectMetadata {
  return { name, uid, resourceVersion: '1', ...changes };
}
