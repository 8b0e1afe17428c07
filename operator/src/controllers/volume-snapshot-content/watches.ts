/** Which objects wake which content. The key is the name of the VolumeSnapshotContent. */
import { isTerminating, objectKey } from '../../kube/kubernetes-object.ts';
import { objectIndex, watch, type Watch } from '../../kube/reconciler.ts';
import { storageDaemons, volumeSnapshotContents, volumeSnapshots } from '../../kube/resource.ts';
import type { VolumeSnapshotContent } from '../../kube/snapshot-kinds.ts';
import { isDaemonBack } from '../shared/daemon-readiness.ts';
import { contentsByClaimant } from '../shared/snapshot-indexes.ts';
import { parseHandle } from '../shared/storage-handle.ts';

/** Contents that a daemon's return may help: those that are not ready, and those that are to be deleted. */
const waitingContentsByDaemon = objectIndex(
  'waiting-contents-by-daemon',
  volumeSnapshotContents,
  (content) => (isWaiting(content) ? daemonsOf(content) : []),
);

/** The indexes that the watches ask. */
export const contentIndexes = [contentsByClaimant, waitingContentsByDaemon];

/** All watches of the controller. */
export const contentWatches: readonly Watch[] = [
  watch(volumeSnapshotContents, ({ object }) => [object.metadata.name]),
  watch(volumeSnapshots, ({ object }, listers) =>
    listers
      .of(volumeSnapshotContents)
      .byIndex(contentsByClaimant, objectKey(object.metadata))
      .filter(isTerminating)
      .map((content) => content.metadata.name),
  ),
  watch(storageDaemons, (change, listers) =>
    isDaemonBack(change)
      ? listers
          .of(volumeSnapshotContents)
          .byIndex(waitingContentsByDaemon, change.object.metadata.name)
          .map((content) => content.metadata.name)
      : [],
  ),
];

function isWaiting(content: VolumeSnapshotContent): boolean {
  return isTerminating(content) || content.status?.readyToUse !== true;
}

function daemonsOf({ spec, status }: VolumeSnapshotContent): readonly string[] {
  const handle = status?.snapshotHandle ?? spec.source.snapshotHandle ?? spec.source.volumeHandle;
  const daemon = parseHandle(handle ?? '')?.daemon;
  return daemon === undefined ? [] : [daemon];
}
