/** Which objects wake the protection of which claim or snapshot. Keys are `namespace/name`. */
import { objectKey } from '../../kube/kubernetes-object.ts';
import { watch, type Watch } from '../../kube/reconciler.ts';
import {
  persistentVolumeClaims,
  persistentVolumes,
  volumeSnapshotContents,
  volumeSnapshots,
} from '../../kube/resource.ts';
import type { Listers } from '../../kube/lister.ts';
import { hasFinalizer } from '../../kube/finalizer.ts';
import {
  claimsBySourceClaim,
  claimsBySourceSnapshot,
  sourceOf,
  type ClaimSource,
} from '../shared/claim-source.ts';
import { finalizers } from '../shared/protocol-names.ts';
import { contentsByClaimant, snapshotsByClaim } from '../shared/snapshot-indexes.ts';

/** The indexes that the reconcilers ask. */
export const claimProtectionIndexes = [snapshotsByClaim, contentsByClaimant, claimsBySourceClaim];

/** The index that the reconciler asks. */
export const snapshotProtectionIndexes = [claimsBySourceSnapshot];

/** A claim is looked at when it, a snapshot of it, the content of one, or a clone of it changes. */
export const claimProtectionWatches: readonly Watch[] = [
  watch(persistentVolumeClaims, function* claimAndItsSource({ object }, listers) {
    const { namespace } = object.metadata;
    yield* ifHeld(objectKey(object.metadata), listers);
    yield* ifHeld(sourceKey(namespace, sourceOf(object), 'claim'), listers);
  }),
  watch(volumeSnapshots, ({ object }, listers) => {
    const { namespace } = object.metadata;
    const name = object.spec.source.persistentVolumeClaimName;
    return name === undefined ? [] : ifHeld(objectKey({ namespace, name }), listers);
  }),
  watch(volumeSnapshotContents, ({ object }, listers) => {
    const { namespace, name = '' } = object.spec.volumeSnapshotRef;
    const snapshot = listers.of(volumeSnapshots).get(objectKey({ namespace, name }));
    const claim = snapshot?.spec.source.persistentVolumeClaimName;
    return claim === undefined ? [] : ifHeld(objectKey({ namespace, name: claim }), listers);
  }),
  // Not for what it wakes: the driver of a claim is that of its volume.
  watch(persistentVolumes, () => []),
];

/** A snapshot is looked at when it, or a claim that is restored from it, changes. */
export const snapshotProtectionWatches: readonly Watch[] = [
  watch(volumeSnapshots, ({ object }) =>
    hasFinalizer(object, finalizers.snapshotRestoring) ? [objectKey(object.metadata)] : [],
  ),
  watch(persistentVolumeClaims, ({ object }) => {
    const key = sourceKey(object.metadata.namespace, sourceOf(object), 'snapshot');
    return key === undefined ? [] : [key];
  }),
];

function sourceKey(
  namespace: string | undefined,
  source: ClaimSource,
  kind: 'snapshot' | 'claim',
): string | undefined {
  return source.kind === kind ? objectKey({ namespace, name: source.name }) : undefined;
}

/** Most claims are nobody's source: they need no look. */
function ifHeld(key: string | undefined, listers: Listers): readonly string[] {
  const claim = listers.of(persistentVolumeClaims).get(key ?? '');
  if (claim === undefined || key === undefined) return [];
  const isHeld =
    hasFinalizer(claim, finalizers.claimAsSource) || hasFinalizer(claim, finalizers.claimCloning);
  return isHeld ? [key] : [];
}
