/**
 * What follows from the orphans of a daemon, pure: a condition, an event when it says something new, and what may be
 * removed. Only data at the daemon is ever removed, never an object, and only where that is switched on.
 */
import type { Condition } from '../../kube/kubernetes-object.ts';
import type { ConditionState } from '../../kube/status-patch.ts';
import { changedConditions, findCondition } from '../shared/condition-list.ts';
import { warningEvent, type ObjectEvent } from '../shared/object-event.ts';
import type { Orphan, OrphanKind, World } from './world.ts';

/** What may be removed, and when. */
export interface RemovalRules {
  readonly isOn: boolean;
  readonly graceMs: number;
}

/** What is to be done about a daemon's orphans. */
export interface Decision {
  /** The conditions to write; undefined when they say it already. */
  readonly conditions: readonly Condition[] | undefined;
  readonly events: readonly ObjectEvent[];
  readonly removals: readonly Orphan[];
}

/** Type of the condition on the StorageDaemon. */
export const consistentCondition = 'Consistent';

/** More names would make the message longer than anybody reads; the metric counts all. */
const namesMax = 5;

const titles: Readonly<Record<OrphanKind, string>> = {
  volume: 'volume without a claim or PersistentVolume',
  snapshot: 'snapshot without a VolumeSnapshotContent',
  'persistent-volume': 'PersistentVolume without a volume at the daemon',
  content: 'VolumeSnapshotContent without a snapshot at the daemon',
};

/** Decides. */
export function decide(
  world: World,
  rules: RemovalRules,
  context: { readonly nowMs: number },
): Decision {
  const { daemon, orphans, ageMsOf } = world;
  const state = consistency(orphans, rules);
  const held = daemon.status?.conditions as readonly Condition[] | undefined;
  const generation = daemon.metadata.generation;
  const before = findCondition(held, consistentCondition);
  // Nothing was ever wrong: a condition that says so of every daemon is no news.
  const isSilent = before === undefined && orphans.length === 0;
  return {
    conditions: isSilent
      ? undefined
      : changedConditions(held, state, { nowMs: context.nowMs, generation }),
    events:
      orphans.length > 0 && before?.message !== state.message
        ? [warningEvent(state.reason, state.message)]
        : [],
    removals: orphans.filter(
      (orphan) => rules.isOn && isAtDaemon(orphan) && ageMsOf(orphan) >= rules.graceMs,
    ),
  };
}

/** Whether the orphan is data at the daemon rather than an object. */
export function isAtDaemon({ kind }: Orphan): boolean {
  return kind === 'volume' || kind === 'snapshot';
}

function consistency(orphans: readonly Orphan[], rules: RemovalRules): ConditionState {
  const type = consistentCondition;
  if (orphans.length === 0) {
    const message = 'All that the daemon holds for this cluster is known in it, and the reverse';
    return { type, status: 'True', reason: 'Consistent', message };
  }
  const kinds = [...new Set(orphans.map(({ kind }) => kind))];
  const sentences = kinds.map((kind) => describe(orphans.filter((each) => each.kind === kind)));
  if (rules.isOn && orphans.some(isAtDaemon)) {
    const minutes = Math.round(rules.graceMs / 60_000);
    sentences.push(`What the daemon holds is removed after ${minutes} minutes`);
  }
  return { type, status: 'False', reason: 'OrphansFound', message: sentences.join('. ') };
}

function describe(orphans: readonly Orphan[]): string {
  const [{ kind } = { kind: 'volume' as const }] = orphans;
  const named = orphans.slice(0, namesMax).map(({ name, owner }) => `${name} (${owner})`);
  const rest = orphans.length > namesMax ? ` and ${orphans.length - namesMax} more` : '';
  return `${orphans.length} ${titles[kind]}: ${named.join(', ')}${rest}`;
}
