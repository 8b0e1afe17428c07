import { objectKey } from '../../kube/kubernetes-object.ts';
import { objectIndex } from '../../kube/reconciler.ts';
import { volumeSnapshotContents, volumeSnapshots } from '../../kube/resource.ts';

/** Snapshots by the claim (`namespace/name`) that they are asked of. */
export const snapshotsByClaim = objectIndex('snapshots-by-claim', volumeSnapshots, (snapshot) => {
  const name = snapshot.spec.source.persistentVolumeClaimName;
  return name === undefined ? [] : [objectKey({ namespace: snapshot.metadata.namespace, name })];
});

/** Contents by the snapshot (`namespace/name`) that they refer to. */
export const contentsByClaimant = objectIndex(
  'contents-by-claimant',
  volumeSnapshotContents,
  (content) => {
    const { namespace, name } = content.spec.volumeSnapshotRef;
    return name === undefined ? [] : [objectKey({ namespace, name })];
  },
);
