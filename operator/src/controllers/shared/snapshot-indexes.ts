import { objectKey } from '../../kube/kubernetes-object.ts';
import { objectIndex } from '../../kube/reconciler.ts';
import { volumeSnapshots } from '../../kube/resource.ts';

/** Snapshots by the claim (`namespace/name`) that they are asked of. */
export const snapshotsByClaim = objectIndex('snapshots-by-claim', volumeSnapshots, (snapshot) => {
  const name = snapshot.spec.source.persistentVolumeClaimName;
  return name === undefined ? [] : [objectKey({ namespace: snapshot.metadata.namespace, name })];
});
