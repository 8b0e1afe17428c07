/** Which objects wake which claim. The key is `namespace/name` of the PersistentVolumeClaim. */
import { objectKey } from '../../kube/kubernetes-object.ts';
import type { PersistentVolumeClaim } from '../../kube/core-kinds.ts';
import type { Listers } from '../../kube/lister.ts';
import { objectIndex, watch, type Watch } from '../../kube/reconciler.ts';
import {
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  storageDaemons,
  volumeSnapshotContents,
  volumeSnapshots,
} from '../../kube/resource.ts';
import {
  claimsBySourceClaim,
  claimsBySourceSnapshot,
  classNameOf,
  isPending,
} from '../shared/claim-source.ts';

const pendingClaimsByClass = objectIndex(
  'pending-claims-by-class',
  persistentVolumeClaims,
  (claim) => (isPending(claim) ? [classNameOf(claim) ?? ''] : []),
);

/** Claims of our driver that have no volume yet. */
const pendingKey = 'pending';
const pendingClaims = objectIndex('pending-claims', persistentVolumeClaims, (claim) =>
  isPending(claim) ? [pendingKey] : [],
);

/** The indexes that the watches ask. */
export const claimIndexes = [
  claimsBySourceSnapshot,
  claimsBySourceClaim,
  pendingClaimsByClass,
  pendingClaims,
];

/** All watches of the controller. */
export const claimWatches: readonly Watch[] = [
  watch(persistentVolumeClaims, ({ object }, listers) => [
    objectKey(object.metadata),
    ...clonesOf(objectKey(object.metadata), listers),
  ]),
  watch(persistentVolumes, function* claimsOfVolume({ object }, listers) {
    const { namespace, name } = object.spec.claimRef ?? {};
    if (namespace === undefined || name === undefined) return;
    const key = objectKey({ namespace, name });
    yield key;
    yield* clonesOf(key, listers);
  }),
  watch(storageClasses, ({ object }, listers) =>
    keysOf(listers.of(persistentVolumeClaims).byIndex(pendingClaimsByClass, object.metadata.name)),
  ),
  watch(volumeSnapshots, ({ object }, listers) => restoresOf(objectKey(object.metadata), listers)),
  watch(volumeSnapshotContents, ({ object }, listers) => {
    const { namespace, name = '' } = object.spec.volumeSnapshotRef;
    return restoresOf(objectKey({ namespace, name }), listers);
  }),
  // A daemon that comes back, or has a pool more, or is no longer cordoned.
  watch(storageDaemons, (_change, listers) =>
    keysOf(listers.of(persistentVolumeClaims).byIndex(pendingClaims, pendingKey)),
  ),
];

function clonesOf(key: string, listers: Listers): readonly string[] {
  const claims = listers.of(persistentVolumeClaims).byIndex(claimsBySourceClaim, key);
  return keysOf(claims.filter(isPending));
}

function restoresOf(snapshotKey: string, listers: Listers): readonly string[] {
  const claims = listers.of(persistentVolumeClaims).byIndex(claimsBySourceSnapshot, snapshotKey);
  return keysOf(claims.filter(isPending));
}

function keysOf(claims: readonly PersistentVolumeClaim[]): readonly string[] {
  return claims.map((claim) => objectKey(claim.metadata));
}
