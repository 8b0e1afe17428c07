/**
 * The manifests of the source page, read from the documentation as they stand, and the objects that the tests
 * add to them.
 */
import { join } from 'node:path';

const examplesDirectory = join(import.meta.dirname, '../../../docs/examples');

/** The three manifests of the page, unmodified. Their names are those that the page gives. */
export const sourcePage = {
  snapshot: {
    file: join(examplesDirectory, 'volume-snapshot.yaml'),
    name: 'my-volume-snapshot',
  },
  restoredClaim: {
    file: join(examplesDirectory, 'restored-claim.yaml'),
    name: 'my-restored-snapshot-volume',
  },
  pod: { file: join(examplesDirectory, 'restored-pod.yaml'), name: 'restored-database' },
  /** What the page takes for granted. */
  sourceClaim: 'my-persistent-volume-claim',
  storageClass: 'simplyblock-storage-class',
  snapshotClass: 'csi-spdk-snapclass',
} as const;

/** The name under which StorageClass and VolumeSnapshotClass know the driver. */
export const driverName = 'csi.varve.dev';

/** What a claim is filled from. */
export interface ClaimSource {
  readonly kind: string;
  readonly name: string;
  readonly apiGroup?: string;
}

/** The two classes that the page names, as a cluster administrator writes them. */
export function classManifests(): readonly object[] {
  return [
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: {
        name: sourcePage.storageClass,
        annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
      },
      provisioner: driverName,
      reclaimPolicy: 'Delete',
      volumeBindingMode: 'Immediate',
    },
    {
      apiVersion: 'snapshot.storage.k8s.io/v1',
      kind: 'VolumeSnapshotClass',
      metadata: { name: sourcePage.snapshotClass },
      driver: driverName,
      deletionPolicy: 'Delete',
    },
  ];
}

/** A claim; without a source it is empty. */
export function claimManifest(name: string, size: string, source?: ClaimSource): object {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: {
      storageClassName: sourcePage.storageClass,
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: size } },
      ...(source === undefined ? {} : { dataSource: source }),
    },
  };
}

/** A claim that is restored from a snapshot. */
export function restoredClaimManifest(name: string, size: string, snapshot: string): object {
  return claimManifest(name, size, {
    apiGroup: 'snapshot.storage.k8s.io',
    kind: 'VolumeSnapshot',
    name: snapshot,
  });
}

/** A snapshot of a claim. */
export function snapshotManifest(name: string, claim: string): object {
  return {
    apiVersion: 'snapshot.storage.k8s.io/v1',
    kind: 'VolumeSnapshot',
    metadata: { name },
    spec: {
      volumeSnapshotClassName: sourcePage.snapshotClass,
      source: { persistentVolumeClaimName: claim },
    },
  };
}
