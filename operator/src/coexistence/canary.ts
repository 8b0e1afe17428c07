/**
 * A VolumeSnapshot that names a content which does not exist. A snapshot controller that works puts a finalizer on it
 * and writes an error within seconds; no class, claim or daemon is touched. Nobody answers: nobody is there.
 */
import type { Clock } from '@varve/common/clock';
import { waitFor } from '@varve/common/clock';
import { isNotFound } from '../kube/api-errors.ts';
import type { KubeClient } from '../kube/kube-client.ts';
import type { Draft } from '../kube/kubernetes-object.ts';
import { volumeSnapshots } from '../kube/resource.ts';
import type { VolumeSnapshot } from '../kube/snapshot-kinds.ts';

/** Marks canaries: our own controller leaves them alone, and a later operator deletes what a crash left. */
export const canaryLabel = 'varve.dev/canary';

/** Where canaries live, and how long an answer may take. */
export interface CanaryOptions {
  readonly namespace: string;
  readonly waitMs: number;
  readonly pollMs: number;
}

/** What the canary needs. */
export interface CanaryDependencies {
  readonly client: KubeClient;
  readonly clock: Clock;
}

/** Whether a snapshot controller answered. The canary is gone afterwards, unless the API server refuses that. */
export async function askByCanary(
  options: CanaryOptions,
  { client, clock }: CanaryDependencies,
  signal: AbortSignal,
): Promise<boolean> {
  const canary = await client.create(volumeSnapshots, draftCanary(options.namespace));
  const { namespace, name } = canary.metadata;
  try {
    const untilMs = clock.monotonicMs() + options.waitMs;
    while (!signal.aborted && clock.monotonicMs() < untilMs) {
      await waitFor(clock, options.pollMs, signal);
      const { metadata, status } = await client.get(volumeSnapshots, { namespace, name });
      if ((metadata.finalizers ?? []).length > 0 || status !== undefined) return true;
    }
    return false;
  } finally {
    await client.delete(volumeSnapshots, { namespace, name }).catch(ignoreAbsence);
  }
}

/** Removes canaries of earlier operators, finalizers that a vanished controller left included. */
export async function removeCanaries(namespace: string, client: KubeClient): Promise<void> {
  const { items } = await client.list(volumeSnapshots, { namespace, labelSelector: canaryLabel });
  for (const { metadata } of items) {
    const at = { namespace, name: metadata.name };
    await client.delete(volumeSnapshots, at).catch(ignoreAbsence);
    if ((metadata.finalizers ?? []).length === 0) continue;
    const patch = { type: 'merge', body: { metadata: { finalizers: null } } } as const;
    await client.patch(volumeSnapshots, at, patch).catch(ignoreAbsence);
  }
}

function draftCanary(namespace: string): Draft<VolumeSnapshot> {
  return {
    apiVersion: 'snapshot.storage.k8s.io/v1',
    kind: 'VolumeSnapshot',
    metadata: { generateName: 'varve-canary-', namespace, labels: { [canaryLabel]: 'yes' } },
    spec: { source: { volumeSnapshotContentName: 'varve-canary-names-no-content' } },
  };
}

function ignoreAbsence(error: unknown): void {
  if (!isNotFound(error)) throw error;
}
