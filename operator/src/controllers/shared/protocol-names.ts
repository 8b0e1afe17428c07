/**
 * The strings by which Kubernetes' storage protocol works: annotations and finalizers. They are the ones
 * of the upstream controllers (external-snapshotter 8, external-provisioner 6), so that these could take over or
 * be taken over from at any moment. Names of our own start with `varve.dev/`.
 */

/** API group of snapshots, as `dataSource.apiGroup` names it. */
export const snapshotApiGroup = 'snapshot.storage.k8s.io';

/** Finalizers, each with the one controller that takes it away. */
export const finalizers = {
  /** On a VolumeSnapshot from its first sync on. Taken away by `volume-snapshot`. */
  snapshotAsSource: 'snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection',
  /** On a VolumeSnapshot whose content is deleted with it. Taken away by `volume-snapshot`. */
  snapshotBound: 'snapshot.storage.kubernetes.io/volumesnapshot-bound-protection',
  /** On a VolumeSnapshot while a claim is being restored from it. Taken away by `source-protection`. */
  snapshotRestoring: 'provisioner.storage.kubernetes.io/volumesnapshot-as-source-protection',
  /** On a VolumeSnapshotContent that a snapshot has claimed. Taken away by `volume-snapshot-content`. */
  contentBound: 'snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection',
  /** On a PersistentVolumeClaim while a snapshot is being taken of it. Taken away by `source-protection`. */
  claimAsSource: 'snapshot.storage.kubernetes.io/pvc-as-source-protection',
  /** On a PersistentVolumeClaim while it is being cloned. Taken away by `source-protection`. */
  claimCloning: 'provisioner.storage.kubernetes.io/cloning-protection',
  /**
   * On a PersistentVolumeClaim from before the daemon is asked for its volume until the PersistentVolume
   * exists: without it, a claim deleted in between would leave a volume that nobody knows of. Taken away by
   * `persistent-volume-claim`.
   */
  claimProvisioning: 'varve.dev/provisioning',
  /** On a PersistentVolume whose volume is deleted with it. Taken away by `persistent-volume`. */
  volumeProvisioned: 'external-provisioner.volume.kubernetes.io/finalizer',
} as const;

/** Annotations that we read or write. */
export const annotations = {
  snapshotClassIsDefault: 'snapshot.storage.kubernetes.io/is-default-class',
  /** On a content: the daemon has been, or is about to be, asked; no final answer is recorded. Value `yes`. */
  contentBeingCreated: 'snapshot.storage.kubernetes.io/volumesnapshot-being-created',
  /** On a content: its snapshot is being deleted. Value `yes`. */
  contentBeingDeleted: 'snapshot.storage.kubernetes.io/volumesnapshot-being-deleted',
  contentAllowsModeChange: 'snapshot.storage.kubernetes.io/allow-volume-mode-change',
  /** On a claim, by kube's volume controller: who shall provision it. */
  claimProvisioner: 'volume.kubernetes.io/storage-provisioner',
  claimProvisionerBeta: 'volume.beta.kubernetes.io/storage-provisioner',
  claimClassBeta: 'volume.beta.kubernetes.io/storage-class',
  /** On a claim, by the scheduler: where its first pod shall run. */
  claimSelectedNode: 'volume.kubernetes.io/selected-node',
  claimSelectedNodeAlpha: 'volume.alpha.kubernetes.io/selected-node',
  /** On a claim: `<StorageDaemon>/<pool>`, written before the daemon is asked, so that a repeat asks the same one. */
  claimPlacement: 'varve.dev/placement',
  /** On a snapshot or content whose conditions do not last: its state in one sentence. */
  status: 'varve.dev/status',
  /** On a volume: who provisioned it and therefore deletes it. */
  volumeProvisionedBy: 'pv.kubernetes.io/provisioned-by',
  volumeDeletionSecretName: 'volume.kubernetes.io/provisioner-deletion-secret-name',
  volumeDeletionSecretNamespace: 'volume.kubernetes.io/provisioner-deletion-secret-namespace',
  /** On a volume: what its content came from, `VolumeSnapshot/<namespace>/<name>` or `PersistentVolumeClaim/...`. */
  volumeSource: 'varve.dev/source',
  /** On an attachment: the id of the node for the driver, as external-attacher writes it. */
  attachmentNodeId: 'csi.alpha.kubernetes.io/node-id',
  /** On an attachment, before the daemon is asked: who gets access. What is to be fenced when the node is gone. */
  attachmentHost: 'varve.dev/host-nqn',
  /** On an attachment, before the daemon is asked: the handle of its volume. */
  attachmentVolume: 'varve.dev/volume-handle',
} as const;

/**
 * On a VolumeAttachment from before the daemon is asked until its host is fenced, and on its PersistentVolume. Taken
 * away by `volume-attachment` and `attached-volume`. Named as external-attacher names it.
 */
export function attacherFinalizerOf(driverName: string): string {
  const sanitised = driverName.replaceAll(/[^a-zA-Z0-9-]/g, '-');
  return `external-attacher/${sanitised.endsWith('-') ? `${sanitised}X` : sanitised}`;
}

/** The value of annotations that are marks. */
export const yes = 'yes';
