/**
 * What a claim is to be made from. The API server mirrors `dataSource` and `dataSourceRef` into each other for
 * sources of the same namespace; one of the two is enough.
 */
import type { PersistentVolumeClaim } from '../../kube/core-kinds.ts';
import { objectKey } from '../../kube/kubernetes-object.ts';
import { objectIndex } from '../../kube/reconciler.ts';
import { persistentVolumeClaims } from '../../kube/resource.ts';
import { annotationOf } from './annotation.ts';
import { annotations, snapshotApiGroup } from './protocol-names.ts';

/** The object that a claim names as its source. */
export type ClaimSource =
  | { readonly kind: 'none' }
  | { readonly kind: 'snapshot'; readonly name: string }
  | { readonly kind: 'claim'; readonly name: string }
  /** Of a kind that Varve cannot read, or of another namespace. `title` says which, for people. */
  | { readonly kind: 'unsupported'; readonly title: string; readonly isOtherNamespace: boolean };

/** Reads the source of a claim. */
export function sourceOf(claim: PersistentVolumeClaim): ClaimSource {
  const reference = claim.spec.dataSource ?? claim.spec.dataSourceRef;
  if (reference === undefined || reference === null) return { kind: 'none' };
  const { kind, name } = reference;
  const apiGroup = reference.apiGroup ?? '';
  const namespace = reference.namespace ?? claim.spec.dataSourceRef?.namespace;
  const title = `${kind} "${name}" of API group "${apiGroup}"`;
  if (namespace !== undefined && namespace !== '' && namespace !== claim.metadata.namespace) {
    const there = `${title} in namespace "${namespace}"`;
    return { kind: 'unsupported', title: there, isOtherNamespace: true };
  }
  if (kind === 'VolumeSnapshot' && apiGroup === snapshotApiGroup) return { kind: 'snapshot', name };
  if (kind === 'PersistentVolumeClaim' && apiGroup === '') return { kind: 'claim', name };
  return { kind: 'unsupported', title, isOtherNamespace: false };
}

/** Whether the claim still waits for its volume. */
export function isPending(claim: PersistentVolumeClaim): boolean {
  return (claim.status?.phase ?? 'Pending') === 'Pending';
}

/** The name of the claim's StorageClass; an annotation of old comes first. */
export function classNameOf(claim: PersistentVolumeClaim): string | undefined {
  const name = annotationOf(claim, annotations.claimClassBeta) ?? claim.spec.storageClassName;
  return name ?? undefined;
}

/** Claims by the VolumeSnapshot (`namespace/name`) that they are to be restored from. */
export const claimsBySourceSnapshot = objectIndex(
  'claims-by-source-snapshot',
  persistentVolumeClaims,
  (claim) => sourceKeys(claim, 'snapshot'),
);

/** Claims by the claim (`namespace/name`) that they are to be cloned from. */
export const claimsBySourceClaim = objectIndex(
  'claims-by-source-claim',
  persistentVolumeClaims,
  (claim) => sourceKeys(claim, 'claim'),
);

function sourceKeys(claim: PersistentVolumeClaim, kind: 'snapshot' | 'claim'): readonly string[] {
  const source = sourceOf(claim);
  if (source.kind !== kind) return [];
  return [objectKey({ namespace: claim.metadata.namespace, name: source.name })];
}
