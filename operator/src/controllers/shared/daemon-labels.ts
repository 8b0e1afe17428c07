import type { Labels } from '@varve/contract/identifier';

/** Labels of the daemon's objects: from there, the object in Kubernetes can be found again. */
export function daemonLabels(owner: {
  readonly kind: string;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly uid?: string | undefined;
}): Labels {
  const labels: Record<string, string | undefined> = {
    'varve.dev/kind': owner.kind,
    'varve.dev/namespace': owner.namespace,
    'varve.dev/name': owner.name,
    'varve.dev/uid': owner.uid,
  };
  return Object.fromEntries(
    Object.entries(labels).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
