/** Which objects wake which volume. The key is the name of the PersistentVolume. */
import { objectIndex, watch, type Watch } from '../../kube/reconciler.ts';
import { persistentVolumes, storageDaemons, volumeAttachments } from '../../kube/resource.ts';
import { isDaemonBack } from '../shared/daemon-readiness.ts';
import { parseHandle } from '../shared/storage-handle.ts';
import { isReleased } from './decide.ts';

const releasedVolumesByDaemon = objectIndex(
  'released-volumes-by-daemon',
  persistentVolumes,
  (volume) => {
    const daemon = parseHandle(volume.spec.csi?.volumeHandle ?? '')?.daemon;
    return isReleased(volume) && daemon !== undefined ? [daemon] : [];
  },
);

/** The indexes that the watches ask. */
export const volumeIndexes = [releasedVolumesByDaemon];

/** All watches of the controller. */
export const volumeWatches: readonly Watch[] = [
  watch(persistentVolumes, ({ object }) => [object.metadata.name]),
  // The daemon deletes no volume that a node may attach.
  watch(volumeAttachments, ({ type, object }) =>
    type === 'deleted' ? [object.spec.source.persistentVolumeName ?? ''] : [],
  ),
  watch(storageDaemons, (change, listers) =>
    isDaemonBack(change)
      ? listers
          .of(persistentVolumes)
          .byIndex(releasedVolumesByDaemon, change.object.metadata.name)
          .map((volume) => volume.metadata.name)
      : [],
  ),
];
