/** The objects that the source page takes for granted: classes, the daemon, and a claim with data in it. */
import type { JsonObject } from '../api-server/objects/json.ts';
import type { ObjectManifest } from '../cluster/cluster-client.ts';

/** The CSI driver. */
export const driverName = 'csi.varve.dev';
/** The StorageDaemon of the playground. */
export const daemonName = 'playground';
/** The pool at the daemon. */
export const poolName = 'playground';
/** The claim that the page takes a snapshot of. */
export const claimName = 'my-persistent-volume-claim';

/** Says on the claim that its data has been written: a start that was cut short before that writes it again. */
export const dataAnnotation = 'playground.varve.dev/data-written';

/** The StorageClass that the page names. */
export const storageClass: JsonObject & ObjectManifest = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: {
    name: 'simplyblock-storage-class',
    annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
  },
  provisioner: driverName,
  reclaimPolicy: 'Delete',
  volumeBindingMode: 'Immediate',
};

/** The VolumeSnapshotClass that the page names. */
export const snapshotClass: JsonObject & ObjectManifest = {
  apiVersion: 'snapshot.storage.k8s.io/v1',
  kind: 'VolumeSnapshotClass',
  metadata: {
    name: 'csi-spdk-snapclass',
    annotations: { 'snapshot.storage.kubernetes.io/is-default-class': 'true' },
  },
  driver: driverName,
  deletionPolicy: 'Delete',
};

/** The StorageDaemon that the operator is to use. */
export function storageDaemon(controlSocket: string): JsonObject & ObjectManifest {
  return {
    apiVersion: 'varve.dev/v1alpha1',
    kind: 'StorageDaemon',
    metadata: { name: daemonName },
    spec: { endpoint: `unix://${controlSocket}` },
  };
}

/** A claim of the size that the page uses. */
export function pageClaim(namespace: string): JsonObject & ObjectManifest {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: claimName, namespace },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: storageClass.metadata.name,
      resources: { requests: { storage: '256Mi' } },
    },
  };
}
