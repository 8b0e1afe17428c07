/** Whether a daemon can be used, and if not, why: pure, from what was found to a reason and a sentence. */
import { formatBytes } from '@varve/common/byte-units';
import type { StorageDaemonPool } from '@varve/contract/kubernetes/storage-daemon';
import type { Pool } from '@varve/contract/pool';
import type { ProblemError, ProblemKind } from '@varve/contract/problem';
import {
  credentialsField,
  identityChangedReason,
  unreachableReason,
} from '../../daemons/daemon-registry.ts';
import type { ConditionState } from '../../kube/status-patch.ts';
import type { World } from './world.ts';

interface Verdict {
  readonly isReady: boolean;
  readonly reason: string;
  readonly message: string;
}

/** In the order of the checks: the first that says something decides. */
const checks = [checkAnswer, checkIdentity, checkReadiness, checkPools] as const;

const reasonOfFailure: Partial<Readonly<Record<ProblemKind, string>>> = {
  unauthenticated: 'CredentialsRefused',
  'permission-denied': 'CredentialsRefused',
  'invalid-argument': 'InvalidEndpoint',
  unavailable: unreachableReason,
  'deadline-exceeded': unreachableReason,
};

/** The conditions of a daemon; `pools` are the figures that the status is going to show. */
export function judge(
  world: World,
  pools: readonly StorageDaemonPool[],
): readonly ConditionState[] {
  const verdict = firstObjection(world) ?? serving(pools);
  return [
    {
      type: 'Ready',
      status: verdict.isReady ? 'True' : 'False',
      reason: verdict.reason,
      message: verdict.message,
    },
    schedulable(world, verdict),
  ];
}

/** Whether volumes can be placed in a pool. */
export function isPoolOpen(pool: Pool): boolean {
  return pool.conditions.every(({ status }) => status === 'True');
}

function firstObjection(world: World): Verdict | undefined {
  for (const check of checks) {
    const verdict = check(world);
    if (verdict !== undefined) return verdict;
  }
  return undefined;
}

function checkAnswer({ findings: { failure } }: World): Verdict | undefined {
  if (failure === undefined) return undefined;
  return notReady(reasonOf(failure), failure.message);
}

/** Whether another daemon answers than the one that has the volumes. */
export function isAnotherDaemon({ daemon, findings: { info } }: World): boolean {
  const knownId = daemon.status?.daemonId;
  return info !== undefined && knownId !== undefined && knownId !== info.daemonId;
}

/** Before readiness and pools: those of another daemon say nothing about ours. */
function checkIdentity(world: World): Verdict | undefined {
  if (!isAnotherDaemon(world)) return undefined;
  const { daemon, findings } = world;
  return notReady(
    identityChangedReason,
    `At ${daemon.spec.endpoint} answers daemon ${findings.info?.daemonId}, but the volumes are on ` +
      `daemon ${daemon.status?.daemonId}; start that one there, or delete and create this ` +
      `StorageDaemon to accept the new one`,
  );
}

function checkReadiness({ findings }: World): Verdict | undefined {
  const { notReady: problem } = findings;
  return problem === undefined ? undefined : notReady('NotReady', problem.message);
}

function checkPools({ findings: { pools = [] } }: World): Verdict | undefined {
  if (pools.length === 0) {
    return notReady('NoPool', 'The daemon has no pool; format one with PUT /v1/pools/<name>');
  }
  if (pools.some(isPoolOpen)) return undefined;
  return notReady('PoolsNotOpen', pools.map(describeClosedPool).join('; '));
}

function serving(pools: readonly StorageDaemonPool[]): Verdict {
  const open = pools.filter(({ ready }) => ready);
  const free = open.map(
    ({ name, freeBytes, sizeBytes }) =>
      `pool ${name} has ${formatBytes(freeBytes)} free of ${formatBytes(sizeBytes)}`,
  );
  const closed = pools.filter(({ ready }) => !ready).map(({ message }) => message ?? '');
  return { isReady: true, reason: 'Serving', message: [...free, ...closed].join('; ') };
}

function schedulable({ daemon }: World, verdict: Verdict): ConditionState {
  const type = 'Schedulable';
  if (daemon.spec.cordoned === true) {
    const message = 'The daemon is cordoned (spec.cordoned): no new volumes are placed on it';
    return { type, status: 'False', reason: 'Cordoned', message };
  }
  if (!verdict.isReady) {
    const message = 'No new volumes are placed on a daemon that is not ready';
    return { type, status: 'False', reason: 'NotReady', message };
  }
  return { type, status: 'True', reason: 'Open', message: 'New volumes may be placed on it' };
}

/** One sentence about a pool that cannot be used. */
export function describeClosedPool(pool: Pool): string {
  const reasons = pool.conditions.filter(({ status }) => status !== 'True');
  return `pool ${pool.id}: ${reasons.map(({ message }) => message).join(', ')}`;
}

function reasonOf(failure: ProblemError): string {
  if (failure.field === credentialsField) return 'CredentialsMissing';
  return reasonOfFailure[failure.kind] ?? unreachableReason;
}

function notReady(reason: string, message: string): Verdict {
  return { isReady: false, reason, message };
}
