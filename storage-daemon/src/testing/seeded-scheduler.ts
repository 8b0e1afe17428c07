/**
 * Time and order of a simulated run. Whatever may happen next (a device completion, a due timer, a resumed turn) is a
 * ready task; the seed picks one at a time. Time is virtual: it creeps with every step and jumps to the next timer
 * when nothing is ready, so a run of hours takes milliseconds.
 *
 * Between two steps all promise jobs must have run, as they would between two events of a real event loop: callers
 * drive it as `while (scheduler.step()) await drainMicrotasks()`.
 */
import { setImmediate } from 'node:timers';

import type { CancelTimer, StoreEnvironment } from '../store/store-environment.ts';
import type { SeededRandom } from './seeded-random.ts';

/** Virtual time per step: 100 steps are a millisecond. */
const stepMs = 0.01;
/** How often a due time jump is taken although tasks are ready, so that slow devices meet timers too. */
const jumpChance = 0.002;

interface Timer {
  readonly dueMs: number;
  readonly task: () => void;
  cancelled: boolean;
}

interface Watcher {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly index: number;
  readonly value: number;
  readonly resolve: () => void;
}

/** What the store said, kept for traces. */
export type LogSink = (
  level: 'info' | 'warn' | 'error',
  message: string,
  fields: Record<string, unknown>,
) => void;

/** One incarnation of the simulated machine: it ends with a crash, and everything that waited in it is gone. */
export class SeededScheduler {
  readonly environment: StoreEnvironment;
  readonly #random: SeededRandom;
  readonly #ready: (() => void)[] = [];
  #timers: Timer[] = [];
  #watchers: Watcher[] = [];
  #nowMs: number;
  #stepCount = 0;
  #stopped = false;

  constructor(random: SeededRandom, options: { startMs?: number; log?: LogSink } = {}) {
    this.#random = random;
    this.#nowMs = options.startMs ?? 1_700_000_000_000;
    const uuids = random.fork();
    this.environment = {
      nowMs: () => Math.floor(this.#nowMs),
      after: (delayMs, task) => this.after(delayMs, task),
      whenChanged: (words, index, value) =>
        new Promise((resolve) => this.#watchers.push({ words, index, value, resolve })),
      yieldTurn: () => new Promise((resolve) => this.enqueue(resolve)),
      randomUuid: () => uuids.fillBytes(new Uint8Array(16)),
      log: options.log ?? (() => {}),
    };
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Steps taken so far: the clock that orders issue and completion of operations. */
  get stepCount(): number {
    return this.#stepCount;
  }

  get readyCount(): number {
    return this.#ready.length;
  }

  /** Runs `task` at some later step. */
  enqueue(task: () => void): void {
    if (!this.#stopped) this.#ready.push(task);
  }

  /** Makes `task` ready once `delayMs` of virtual time have passed. */
  after(delayMs: number, task: () => void): CancelTimer {
    const timer: Timer = { dueMs: this.#nowMs + Math.max(0, delayMs), task, cancelled: false };
    if (!this.#stopped) this.#timers.push(timer);
    return () => {
      timer.cancelled = true;
    };
  }

  /** Runs one task that may run now; false if none will ever be ready by itself. */
  step(): boolean {
    if (this.#stopped) return false;
    this.#stepCount++;
    this.#nowMs += stepMs;
    this.#releaseDue();
    this.#releaseWatchers();
    if (this.#ready.length === 0 || this.#random.chance(jumpChance)) this.#jumpToNextTimer();
    if (this.#ready.length === 0) return false;
    const chosen = this.#random.below(this.#ready.length);
    const task = this.#ready[chosen]!;
    this.#ready[chosen] = this.#ready.at(-1)!;
    this.#ready.pop();
    task();
    return true;
  }

  /** Forgets everything that was to happen; later calls do nothing. The end of a crashed incarnation. */
  stop(): void {
    this.#stopped = true;
    this.#ready.length = 0;
    this.#timers = [];
    this.#watchers = [];
  }

  /** Who waits for a word that has changed resumes at some later step, as on a thread that has been woken. */
  #releaseWatchers(): void {
    if (this.#watchers.length === 0) return;
    const waiting: Watcher[] = [];
    for (const watcher of this.#watchers) {
      const { words, index, value, resolve } = watcher;
      if (Atomics.load(words, index) === value) waiting.push(watcher);
      else this.#ready.push(resolve);
    }
    this.#watchers = waiting;
  }

  #releaseDue(): void {
    let due = false;
    for (const timer of this.#timers) {
      if (timer.cancelled || timer.dueMs <= this.#nowMs) due = true;
    }
    if (!due) return;
    const waiting: Timer[] = [];
    for (const timer of this.#timers) {
      if (timer.cancelled) continue;
      if (timer.dueMs <= this.#nowMs) {
        this.#ready.push(() => {
          if (!timer.cancelled) timer.task();
        });
      } else waiting.push(timer);
    }
    this.#timers = waiting;
  }

  #jumpToNextTimer(): void {
    let nextMs = Infinity;
    for (const timer of this.#timers) if (!timer.cancelled) nextMs = Math.min(nextMs, timer.dueMs);
    if (nextMs === Infinity) return;
    this.#nowMs = Math.max(this.#nowMs, nextMs);
    this.#releaseDue();
  }
}

/** Resolves after all promise jobs that are due now, and all that they cause. */
export function drainMicrotasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
