/**
 * From what was found to the status, pure. The status must not be written without need: each write wakes
 * everybody who watches, this controller included.
 */
import { isDeepStrictEqual } from 'node:util';
import type { StorageDaemonPool } from '@varve/contract/kubernetes/storage-daemon';
import type { Pool } from '@varve/contract/pool';
import type { Condition } from '../../kube/kubernetes-object.ts';
import type { ConditionState } from '../../kube/status-patch.ts';
import { withConditions } from '../../kube/status-patch.ts';
import { describeClosedPool, isAnotherDaemon, isPoolOpen, judge } from './judge.ts';
import type { World } from './world.ts';

/** What a person is told about the daemon. */
export interface DaemonEvent {
  readonly type: 'normal' | 'warning';
  readonly reason: string;
  readonly message: string;
}

/** What is to be done about a daemon now. */
export interface Decision {
  /** The desired status; fields that are left out stay as they are. */
  readonly status: object;
  readonly events: readonly DaemonEvent[];
  /** When to ask again. */
  readonly delayMs: number;
}

/** How often a daemon that works is asked. Callers learn of a failure by themselves, and sooner. */
const pollMs = 10_000;
/** A daemon that does not work is asked after a quarter of the time since it failed, within these bounds. */
const retryMsMin = 500;
const retryMsMax = 15_000;
const retryShare = 0.25;
/** Figures that moved by less than a hundredth of the pool are written at most this often. */
const figuresIntervalMs = 60_000;
const figuresShare = 0.01;
/** The time of the last contact alone is written at most this often. */
const contactIntervalMs = 300_000;

/** Judges a daemon. */
export function decide(world: World, nowMs: number): Decision {
  const { daemon } = world;
  const held = daemon.status;
  // What another daemon says of itself does not count.
  const { info, pools: foundPools } = isAnotherDaemon(world) ? {} : world.findings;
  const found = foundPools?.map(poolStatus);
  const sinceContactMs = nowMs - Date.parse(held?.lastContactTime ?? '1970-01-01T00:00:00Z');
  const isFiguresDue =
    !areClose(held?.pools, found) ||
    (sinceContactMs >= figuresIntervalMs && !isDeepStrictEqual(held?.pools, found));
  const pools = isFiguresDue ? (found ?? held?.pools) : held?.pools;
  const states = judge(world, pools ?? []);
  const { generation } = daemon.metadata;
  const conditions = withConditions(held?.conditions as Condition[] | undefined, states, {
    nowMs,
    generation,
  });
  const isContactDue =
    isFiguresDue || sinceContactMs >= contactIntervalMs || isTransition(held?.conditions, states);
  const status = {
    observedGeneration: generation,
    conditions,
    ...(info !== undefined && {
      daemonId: info.daemonId,
      version: info.version,
      exports: info.exports.map(({ uri }) => uri),
      ...(isContactDue && { lastContactTime: timestamp(nowMs) }),
    }),
    ...(pools !== undefined && {
      pools,
      size: quantity(sum(pools, 'sizeBytes')),
      free: quantity(sum(pools, 'freeBytes')),
    }),
  };
  return { status, events: eventsOf(world, states), delayMs: delayOf(conditions, nowMs) };
}

function poolStatus(pool: Pool): StorageDaemonPool {
  const ready = isPoolOpen(pool);
  return {
    name: pool.id,
    ready,
    ...(!ready && { message: describeClosedPool(pool) }),
    sizeBytes: pool.sizeBytes,
    allocatedBytes: pool.allocatedBytes,
    // What users can still write: when only the reserve is left, the pool is full for them.
    freeBytes: Math.max(0, pool.freeBytes - pool.reservedBytes),
    volumes: pool.volumes,
    snapshots: pool.snapshots,
  };
}

/** Whether the figures that the status shows are good enough still. */
function areClose(
  held: readonly StorageDaemonPool[] | undefined,
  found: readonly StorageDaemonPool[] | undefined,
): boolean {
  if (found === undefined) return true;
  if (held?.length !== found.length) return false;
  return found.every((pool, index) => {
    const before = held[index];
    return (
      before?.name === pool.name &&
      before.ready === pool.ready &&
      before.message === pool.message &&
      before.sizeBytes === pool.sizeBytes &&
      Math.abs(before.freeBytes - pool.freeBytes) < pool.sizeBytes * figuresShare
    );
  });
}

function isTransition(
  held: readonly { readonly type: string; readonly status: string; readonly reason: string }[] = [],
  states: readonly ConditionState[],
): boolean {
  return states.some((state) => {
    const before = held.find(({ type }) => type === state.type);
    return before?.status !== state.status || before.reason !== state.reason;
  });
}

/** One event for each condition that turned, or got another reason. */
function eventsOf({ daemon }: World, states: readonly ConditionState[]): readonly DaemonEvent[] {
  return states
    .filter((state) => isTransition(daemon.status?.conditions, [state]))
    .flatMap(({ type, status, reason, message }): readonly DaemonEvent[] => {
      if (type === 'Schedulable') {
        return reason === 'Cordoned' ? [{ type: 'normal', reason, message }] : [];
      }
      if (status === 'True') return [{ type: 'normal', reason: 'DaemonReady', message }];
      return [{ type: 'warning', reason: `Daemon${reason}`, message }];
    });
}

function delayOf(conditions: readonly Condition[], nowMs: number): number {
  const ready = conditions.find(({ type }) => type === 'Ready');
  if (ready?.status === 'True') return pollMs;
  const sinceMs = nowMs - Date.parse(ready?.lastTransitionTime ?? '');
  return Math.min(Math.max(sinceMs * retryShare, retryMsMin), retryMsMax);
}

function sum(pools: readonly StorageDaemonPool[], field: 'sizeBytes' | 'freeBytes'): number {
  return pools.reduce((total, pool) => total + pool[field], 0);
}

/** A quantity for people: three or four digits, as `63.4Gi`. */
function quantity(sizeBytes: number): string {
  const suffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi'];
  let value = sizeBytes;
  let power = 0;
  while (value >= 1024 && power < suffixes.length - 1) {
    value /= 1024;
    power += 1;
  }
  return `${Math.floor(value * 10) / 10}${suffixes[power]}`;
}

function timestamp(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
}
