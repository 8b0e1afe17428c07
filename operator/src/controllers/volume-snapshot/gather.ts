import type { KubeClient } from '../../kube/kube-client.ts';
import { isTerminating, objectKey } from '../../kube/kubernetes-object.ts';
import type { Listers } from '../../kube/lister.ts';
import {
  persistentVolumeClaims,
  persistentVolumes,
  volumeSnapshotClasses,
  volumeSnapshotContents,
  volumeSnapshots,
} from '../../kube/resource.ts';
import type { VolumeSnapshot, VolumeSnapshotContent } from '../../kube/snapshot-kinds.ts';
import { annotationOf } from '../shared/annotation.ts';
import { claimsBySourceSnapshot, isPending } from '../shared/claim-source.ts';
import { readLive } from '../shared/live-read.ts';
import { annotations } from '../shared/protocol-names.ts';
import { contentName } from './names.ts';
import type { World } from './world.ts';

/** Where the world is read from. */
export interface GatherDependencies {
  readonly driverName: string;
  readonly client: KubeClient;
  readonly listers: Listers;
}

/** Reads all that a decision about the snapshot of this key needs. Judges nothing. */
export async function gather(key: string, dependencies: GatherDependencies): Promise<World> {
  const { listers, driverName } = dependencies;
  const snapshot = listers.of(volumeSnapshots).get(key);
  const { namespace } = snapshot?.metadata ?? {};
  const claimName = snapshot?.spec.source.persistentVolumeClaimName;
  const claim =
    claimName === undefined
      ? undefined
      : listers.of(persistentVolumeClaims).get(objectKey({ namespace, name: claimName }));
  const className = snapshot?.spec.volumeSnapshotClassName;
  const classes = listers.of(volumeSnapshotClasses);
  return {
    snapshot,
    content: snapshot === undefined ? undefined : await findContent(snapshot, dependencies),
    namedClass: className === undefined ? undefined : classes.get(className),
    defaultClasses: classes
      .list()
      .filter(
        (each) =>
          each.driver === driverName &&
          annotationOf(each, annotations.snapshotClassIsDefault) === 'true',
      ),
    claim,
    volume: listers.of(persistentVolumes).get(claim?.spec.volumeName ?? ''),
    pendingRestores: listers
      .of(persistentVolumeClaims)
      .byIndex(claimsBySourceSnapshot, key)
      .filter(isPending)
      .map((each) => each.metadata.name)
      .sort(),
  };
}

/**
 * The content in the cache. For a snapshot that is being deleted "there is none" lets it go, and a content that the
 * cache does not show yet would be left behind with nobody to delete it: so that answer comes from the API server.
 */
async function findContent(
  snapshot: VolumeSnapshot,
  { client, listers }: GatherDependencies,
): Promise<VolumeSnapshotContent | undefined> {
  const name =
    snapshot.status?.boundVolumeSnapshotContentName ??
    snapshot.spec.source.volumeSnapshotContentName ??
    contentName(snapshot.metadata.uid);
  const cached = listers.of(volumeSnapshotContents).get(name);
  if (cached !== undefined || !isTerminating(snapshot)) return cached;
  return readLive(client, volumeSnapshotContents, { name });
}
