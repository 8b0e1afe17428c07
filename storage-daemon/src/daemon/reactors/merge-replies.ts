/** Makes one answer of the answers of several reactors. */
import type { Page } from '@varve/contract/page';

import type {
  OpenPool,
  PoolCounters,
  ReactorCounters,
  ReactorShareCounters,
} from '../../reactor/messages.ts';

/** One page of what several lists hold, each in order of id. */
export function mergePages<Item extends { readonly id: string }>(
  pages: readonly Page<Item>[],
  limit: number,
): Page<Item> {
  const all = pages.flatMap(({ items }) => items).sort((a, b) => (a.id < b.id ? -1 : 1));
  const items = all.slice(0, limit);
  const hasMore = all.length > items.length || pages.some(({ next }) => next !== undefined);
  return { items, ...(hasMore && items.length > 0 && { next: items.at(-1)!.id }) };
}

/** A pool from the views of those who serve its parts: each knows its own blocks, and the size of all. */
export function mergeParts(parts: readonly OpenPool[]): OpenPool {
  const [first] = parts;
  const total = (count: (part: OpenPool) => number): number =>
    parts.reduce((sum, part) => sum + count(part), 0);
  const allocatedBytes = total((part) => part.allocatedBytes);
  const unwritable = parts
    .flatMap(({ conditions }) => conditions)
    .find(({ type, status }) => type === 'Writable' && status === 'False');
  return {
    ...first!,
    conditions: first!.conditions.map((each) =>
      each.type === 'Writable' && unwritable ? unwritable : each,
    ),
    cells: total((part) => part.cells),
    allocatedBytes,
    freeBytes: first!.sizeBytes - allocatedBytes,
    referencedBytes: total((part) => part.referencedBytes),
    metadataBytes: total((part) => part.metadataBytes),
    slackBytes: total((part) => part.slackBytes ?? 0),
    pendingFreeBytes: total((part) => part.pendingFreeBytes),
    provisionedBytes: total((part) => part.provisionedBytes),
    mapMemory: {
      budgetBytes: total((part) => part.mapMemory?.budgetBytes ?? 0),
      residentBytes: total((part) => part.mapMemory?.residentBytes ?? 0),
    },
    volumes: total((part) => part.volumes),
    snapshots: total((part) => part.snapshots),
  };
}

/** The counters of all reactors. `ended` are those that have none any more. */
export function mergeCounters(
  running: readonly (ReactorCounters & { readonly reactor: number })[],
  ended: readonly number[],
): ReactorCounters {
  const total = (count: (each: ReactorCounters) => number): number =>
    running.reduce((sum, each) => sum + count(each), 0);
  const reactors: ReactorShareCounters[] = [
    ...running.map(({ reactor, connections, cpuSeconds }) => ({
      reactor,
      isRunning: true,
      connections,
      cpuSeconds,
    })),
    ...ended.map((reactor) => ({
      reactor,
      isRunning: false,
      connections: 0,
      cpuSeconds: { user: 0, system: 0 },
    })),
  ];
  return {
    ...sumNumbers(running.map((each): ReactorCounters => ({ ...each, pools: [], reactors: [] }))),
    pools: mergePoolCounters(running.flatMap(({ pools }) => pools)),
    connections: total(({ connections }) => connections),
    reactors: reactors.sort((a, b) => a.reactor - b.reactor),
  };
}

function mergePoolCounters(all: readonly PoolCounters[]): readonly PoolCounters[] {
  const names = [...new Set(all.map(({ pool }) => pool))].sort();
  return names.map((pool) => ({
    pool,
    store: sumNumbers(all.filter((each) => each.pool === pool).map(({ store }) => store)),
  }));
}

/** Adds records of one shape, numbers in them and in what they hold. */
export function sumNumbers<Value extends object>(values: readonly Value[]): Value {
  return values.reduce((sum, each) => add(sum, each) as Value);
}

function add(a: unknown, b: unknown): unknown {
  if (typeof a === 'number') return a + (b as number);
  if (Array.isArray(a)) return a.map((each, index) => add(each, (b as unknown[])[index]));
  if (typeof a !== 'object' || a === null) return a;
  return Object.fromEntries(
    Object.entries(a).map(([key, value]) => [key, add(value, (b as Record<string, unknown>)[key])]),
  );
}
