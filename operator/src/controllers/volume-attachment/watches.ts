/** Which objects wake which attachment, and which volume. Keys are names: both kinds are cluster-scoped. */
import type { VolumeAttachment } from '../../kube/core-kinds.ts';
import type { Listers } from '../../kube/lister.ts';
import { objectIndex, watch, type Watch } from '../../kube/reconciler.ts';
import {
  csiNodes,
  persistentVolumes,
  storageDaemons,
  volumeAttachments,
} from '../../kube/resource.ts';
import { annotationOf } from '../shared/annotation.ts';
import { isDaemonBack } from '../shared/daemon-readiness.ts';
import { annotations } from '../shared/protocol-names.ts';
import { attachmentsByVolume } from '../shared/attachment-index.ts';
import { parseHandle } from '../shared/storage-handle.ts';

const attachmentsByNode = objectIndex('attachments-by-node', volumeAttachments, (attachment) => [
  attachment.spec.nodeName,
]);

const attachmentsByDaemon = objectIndex(
  'attachments-by-daemon',
  volumeAttachments,
  (attachment) => {
    const handle = parseHandle(annotationOf(attachment, annotations.attachmentVolume) ?? '');
    return handle === undefined ? [] : [handle.daemon];
  },
);

/** The indexes that the watches ask. */
export const attachmentIndexes = [attachmentsByVolume, attachmentsByNode, attachmentsByDaemon];

/** What wakes attachments: also the end of another one of the same volume. */
export const attachmentWatches: readonly Watch[] = [
  watch(volumeAttachments, ({ type, object }, listers) => [
    object.metadata.name,
    ...(type === 'deleted' ? namesOf(siblingsOf(object, listers)) : []),
  ]),
  watch(persistentVolumes, ({ object }, listers) =>
    namesOf(listers.of(volumeAttachments).byIndex(attachmentsByVolume, object.metadata.name)),
  ),
  watch(csiNodes, ({ object }, listers) =>
    namesOf(listers.of(volumeAttachments).byIndex(attachmentsByNode, object.metadata.name)),
  ),
  watch(storageDaemons, (change, listers) =>
    isDaemonBack(change)
      ? namesOf(
          listers.of(volumeAttachments).byIndex(attachmentsByDaemon, change.object.metadata.name),
        )
      : [],
  ),
];

/** What wakes the volumes that attachments hold. */
export const attachedVolumeWatches: readonly Watch[] = [
  watch(persistentVolumes, ({ object }) => [object.metadata.name]),
  watch(volumeAttachments, ({ type, object }) =>
    type === 'deleted' ? [object.spec.source.persistentVolumeName ?? ''] : [],
  ),
];

function siblingsOf(attachment: VolumeAttachment, listers: Listers): readonly VolumeAttachment[] {
  const volume = attachment.spec.source.persistentVolumeName ?? '';
  return listers.of(volumeAttachments).byIndex(attachmentsByVolume, volume);
}

function namesOf(attachments: readonly VolumeAttachment[]): readonly string[] {
  return attachments.map(({ metadata }) => metadata.name);
}
