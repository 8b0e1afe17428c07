import { objectIndex } from '../../kube/reconciler.ts';
import { volumeAttachments } from '../../kube/resource.ts';

/** Attachments by the PersistentVolume that they attach. */
export const attachmentsByVolume = objectIndex(
  'attachments-by-volume',
  volumeAttachments,
  ({ spec: { source } }) =>
    source.persistentVolumeName === undefined ? [] : [source.persistentVolumeName],
);
