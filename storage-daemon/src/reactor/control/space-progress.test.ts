import { describe, expect, test } from '@jest/globals';

import type { Store, StoreSpace } from '../../store/store-api.ts';
import type { StoreEnvironment } from '../../store/store-environment.ts';
import type { EventRecord } from '../messages.ts';
import { SpaceProgress } from './space-progress.ts';

/** Timers that fire when they are told to. */
class ManualTimers {
  readonly due = new Set<() => void>();

  readonly environment = {
    after: (_: number, task: () => void) => {
      this.due.add(task);
      return () => void this.due.delete(task);
    },
  } as unknown as StoreEnvironment;

  fire(): void {
    const tasks = [...this.due];
    this.due.clear();
    for (const task of tasks) task();
  }
}

function storeWith(space: { pendingFreeBlocks: number }): Store {
  const whole = { freeBlocks: 5, ...space } as StoreSpace;
  return { poolName: 'p', space: () => ({ ...whole, ...space }) } as unknown as Store;
}

describe('SpaceProgress', () => {
  test('reports until nothing is pending, with one timer a store', () => {
    const timers = new ManualTimers();
    const events: EventRecord[] = [];
    const event = (each: EventRecord): void => void events.push(each);
    const progress = new SpaceProgress(timers.environment, { event, log: () => undefined });
    const space = { pendingFreeBlocks: 3 };
    const store = storeWith(space);
    progress.watch(store);
    progress.watch(store);
    expect(timers.due.size).toBe(1);
    timers.fire();
    space.pendingFreeBlocks = 0;
    timers.fire();
    timers.fire();
    expect(events.map(({ fields }) => fields?.['pendingFreeBytes'])).toEqual([3 * 4096, 0]);
    expect(events[0]).toMatchObject({ type: 'space-progress', object: 'pool/p' });
    expect(timers.due.size).toBe(0);
  });

  test('ends its timers when it is closed', () => {
    const timers = new ManualTimers();
    const notices = { event: () => undefined, log: () => undefined };
    const progress = new SpaceProgress(timers.environment, notices);
    progress.watch(storeWith({ pendingFreeBlocks: 3 }));
    progress.close();
    expect(timers.due.size).toBe(0);
  });
});
