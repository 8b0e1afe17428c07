/**
 * What proves that a foreign snapshot-controller works. Pure. Absence of all of these proves nothing: the canary
 * decides then.
 */
import type { Lease, Pod } from '../kube/core-kinds.ts';
import type { KubernetesObject } from '../kube/kubernetes-object.ts';
import { isTerminating } from '../kube/kubernetes-object.ts';
import type { ObjectChange } from '../kube/lister.ts';

/** The Lease of the upstream controller, in whatever namespace. Never taken by us: that would stop a real one. */
export const foreignLeaseName = 'snapshot-controller-leader';

/** Names of the upstream controller: of its image, and so of the process that writes. */
const foreignNames: ReadonlySet<string> = new Set([
  'snapshot-controller',
  'csi-snapshot-controller',
]);

/** Selectors that find the upstream controller's pods by their labels, the newer and the older. */
export const foreignPodSelectors = ['app.kubernetes.io/name', 'app'].map(
  (label) => `${label} in (${[...foreignNames].join(',')})`,
);

/** Writes of this age, as the API server dates them, prove that the writer lives. */
const recentWriteMs = 120_000;

/** Only a Lease that is seen being renewed counts: one that stands still may be a leftover. */
export function leaseSign(change: ObjectChange<Lease>): string | undefined {
  if (change.type !== 'modified') return undefined;
  const { metadata, spec } = change.object;
  const holder = spec?.holderIdentity ?? '';
  const isRenewed = spec?.renewTime !== change.previous.spec?.renewTime;
  if (metadata.name !== foreignLeaseName || holder === '' || !isRenewed) return undefined;
  return `Lease ${metadata.namespace}/${metadata.name} is renewed by ${holder}`;
}

/** A pod with the controller's image that runs or is about to. */
export function podSign(pod: Pod): string | undefined {
  const { phase } = pod.status ?? {};
  if (isTerminating(pod) || phase === 'Succeeded' || phase === 'Failed') return undefined;
  const container = pod.spec.containers.find(({ image }) => foreignNames.has(baseNameOf(image)));
  if (container === undefined) return undefined;
  return `Pod ${pod.metadata.namespace}/${pod.metadata.name} runs ${container.image}`;
}

/** A write of the controller on a snapshot or a content: a new one, or one of a moment ago. */
export function writeSign(change: ObjectChange, nowMs: number): string | undefined {
  if (change.type === 'deleted') return undefined;
  const at = foreignWriteTimeOf(change.object);
  if (at === undefined) return undefined;
  const isNew =
    change.previous === undefined
      ? Math.abs(nowMs - Date.parse(at)) < recentWriteMs
      : at !== foreignWriteTimeOf(change.previous);
  const { kind, metadata } = change.object;
  return isNew ? `${kind} ${metadata.name} was written by a snapshot-controller` : undefined;
}

function foreignWriteTimeOf({ metadata }: KubernetesObject): string | undefined {
  return metadata.managedFields
    ?.filter(({ manager = '' }) => foreignNames.has(manager))
    .map(({ time = '' }) => time)
    .sort()
    .at(-1);
}

/** `registry.k8s.io/sig-storage/snapshot-controller:v8.6.0@sha256:...` is `snapshot-controller`. */
function baseNameOf(image = ''): string {
  const [withoutDigest = ''] = image.split('@');
  const [name = ''] = (withoutDigest.split('/').at(-1) ?? '').split(':');
  return name;
}
