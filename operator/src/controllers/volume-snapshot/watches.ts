/** Which objects wake which snapshot. The key is `namespace/name` of the VolumeSnapshot. */
import { isTerminating, objectKey } from '../../kube/kubernetes-object.ts';
import type { Listers, ObjectChange } from '../../kube/lister.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../kube/core-kinds.ts';
import { objectIndex, watch, type Watch } from '../../kube/reconciler.ts';
import {
  persistentVolumeClaims,
  persistentVolumes,
  volumeSnapshotClasses,
  volumeSnapshotContents,
  volumeSnapshots,
} from '../../kube/resource.ts';
import type { VolumeSnapshotContent } from '../../kube/snapshot-kinds.ts';
import { claimsBySourceSnapshot, sourceOf } from '../shared/claim-source.ts';
import { snapshotsByClaim } from '../shared/snapshot-indexes.ts';

/** Under which snapshots without a class are found. Never the name of a class. */
const noClass = '';

const snapshotsByClass = objectIndex('snapshots-by-class', volumeSnapshots, (snapshot) => [
  snapshot.spec.volumeSnapshotClassName ?? noClass,
]);

const snapshotsByNamedContent = objectIndex(
  'snapshots-by-named-content',
  volumeSnapshots,
  (snapshot) => {
    const name = snapshot.spec.source.volumeSnapshotContentName;
    return name === undefined ? [] : [name];
  },
);

/** The indexes that the watches and the reconciler ask. */
export const snapshotIndexes = [
  snapshotsByClaim,
  snapshotsByClass,
  snapshotsByNamedContent,
  claimsBySourceSnapshot,
];

/** All watches of the controller. */
export const snapshotWatches: readonly Watch[] = [
  watch(volumeSnapshots, ({ object }) => [objectKey(object.metadata)]),
  watch(volumeSnapshotContents, snapshotsOfContent),
  watch(persistentVolumeClaims, snapshotsOfClaim),
  watch(persistentVolumes, snapshotsOfVolume),
  watch(volumeSnapshotClasses, ({ object }, listers) => {
    const snapshots = listers.of(volumeSnapshots);
    return [
      ...snapshots.byIndex(snapshotsByClass, object.metadata.name),
      ...snapshots.byIndex(snapshotsByClass, noClass),
    ]
      .filter((snapshot) => snapshot.status?.readyToUse !== true)
      .map((snapshot) => objectKey(snapshot.metadata));
  }),
];

/** The snapshot that the content refers to, and those that name it as theirs. */
function* snapshotsOfContent(
  { object }: ObjectChange<VolumeSnapshotContent>,
  listers: Listers,
): Iterable<string> {
  const { namespace, name } = object.spec.volumeSnapshotRef;
  if (namespace !== undefined && name !== undefined) yield objectKey({ namespace, name });
  const named = listers.of(volumeSnapshots).byIndex(snapshotsByNamedContent, object.metadata.name);
  for (const snapshot of named) yield objectKey(snapshot.metadata);
}

/** Snapshots that wait for the claim to be bound, and the one whose deletion waits for its restore. */
function* snapshotsOfClaim(
  { object }: ObjectChange<PersistentVolumeClaim>,
  listers: Listers,
): Iterable<string> {
  yield* unreadyOf(objectKey(object.metadata), listers);
  const source = sourceOf(object);
  if (source.kind !== 'snapshot') return;
  const key = objectKey({ namespace: object.metadata.namespace, name: source.name });
  const snapshot = listers.of(volumeSnapshots).get(key);
  if (snapshot !== undefined && isTerminating(snapshot)) yield key;
}

function* snapshotsOfVolume(
  { object }: ObjectChange<PersistentVolume>,
  listers: Listers,
): Iterable<string> {
  const { namespace, name } = object.spec.claimRef ?? {};
  if (namespace !== undefined && name !== undefined) {
    yield* unreadyOf(objectKey({ namespace, name }), listers);
  }
}

function unreadyOf(claimKey: string, listers: Listers): readonly string[] {
  return listers
    .of(volumeSnapshots)
    .byIndex(snapshotsByClaim, claimKey)
    .filter((snapshot) => snapshot.status?.readyToUse !== true)
    .map((snapshot) => objectKey(snapshot.metadata));
}
