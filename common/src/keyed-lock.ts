/**
 * Shared and exclusive locks by key. Holders of different keys run side by side; so do shared holders of
 * one key. Whoever comes first is served first, so neither sort starves. Several keys are taken in sorted
 * order, so that two callers can never wait for each other.
 */
import { assert } from './assert.ts';

/** What a task needs. A key that is in both lists is taken exclusively. */
export interface LockKeys {
  /** Keys that nobody else may hold meanwhile. */
  readonly exclusive?: readonly string[];
  /** Keys that others may hold as well, shared. */
  readonly shared?: readonly string[];
}

interface Waiter {
  readonly isExclusive: boolean;
  readonly grant: () => void;
}

interface KeyState {
  sharedCount: number;
  isExclusive: boolean;
  readonly waiters: Waiter[];
}

/** Locks that exist as long as somebody holds or wants them. */
export class KeyedLock {
  readonly #keys = new Map<string, KeyState>();
  /** Callers that hold a key exclusively or want to, also while they still wait for another key. */
  readonly #exclusiveCounts = new Map<string, number>();

  /** Keys that are held or waited for. */
  get keyCount(): number {
    return this.#keys.size;
  }

  /** Callers that hold a key exclusively or want to. */
  exclusiveCount(key: string): number {
    return this.#exclusiveCounts.get(key) ?? 0;
  }

  /** Runs `task` while it holds all keys; they are free again when it has settled. */
  async run<Result>(
    { exclusive = [], shared = [] }: LockKeys,
    task: () => Promise<Result>,
  ): Promise<Result> {
    const modes = new Map(shared.map((key) => [key, false]));
    for (const key of exclusive) modes.set(key, true);
    const held: [string, boolean][] = [];
    this.#count(modes, 1);
    try {
      for (const [key, isExclusive] of [...modes].sort(([a], [b]) => (a < b ? -1 : 1))) {
        await this.#acquire(key, isExclusive);
        held.push([key, isExclusive]);
      }
      return await task();
    } finally {
      for (const [key, isExclusive] of held) this.#release(key, isExclusive);
      this.#count(modes, -1);
    }
  }

  #count(modes: ReadonlyMap<string, boolean>, change: 1 | -1): void {
    for (const [key, isExclusive] of modes) {
      if (!isExclusive) continue;
      const count = this.exclusiveCount(key) + change;
      if (count === 0) this.#exclusiveCounts.delete(key);
      else this.#exclusiveCounts.set(key, count);
    }
  }

  #acquire(key: string, isExclusive: boolean): Promise<void> {
    const state = this.#keys.get(key) ?? { sharedCount: 0, isExclusive: false, waiters: [] };
    this.#keys.set(key, state);
    return new Promise((grant) => {
      state.waiters.push({ isExclusive, grant });
      grantWaiters(state);
    });
  }

  #release(key: string, isExclusive: boolean): void {
    const state = this.#keys.get(key);
    assert(state !== undefined, `lock ${key} is released but not held`);
    if (isExclusive) state.isExclusive = false;
    else state.sharedCount--;
    grantWaiters(state);
    if (!state.isExclusive && state.sharedCount === 0) this.#keys.delete(key);
  }
}

/** Serves the queue from its head as far as the modes allow. */
function grantWaiters(state: KeyState): void {
  for (let next = state.waiters[0]; next !== undefined; next = state.waiters[0]) {
    if (state.isExclusive || (next.isExclusive && state.sharedCount > 0)) return;
    if (next.isExclusive) state.isExclusive = true;
    else state.sharedCount++;
    state.waiters.shift();
    next.grant();
  }
}
