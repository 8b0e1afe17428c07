/**
 * A queue of keys after client-go's. Invariants:
 *
 * - A key is at most once in the ready list, and never given out while it is being worked on: an add
 *   meanwhile makes it ready again when the work is done. So repeats merge, and work on one key never
 *   overlaps.
 * - Ready keys are given out in the order in which they became ready.
 * - Of several delayed adds of a key the earliest counts; an add without delay supersedes them.
 * - The number of keys is bounded (`keysMax`); what is refused is counted, and found again by the
 *   controller's periodic resync.
 */
import type { BackoffOptions } from '@varve/common/backoff';
import { backoffMs } from '@varve/common/backoff';
import type { Clock, Timer } from '@varve/common/clock';
import { assert } from '@varve/common/assert';
import type { TokenBucketOptions } from './token-bucket.ts';
import { TokenBucket } from './token-bucket.ts';
import type { WorkqueueMetrics } from './kube-metrics.ts';

/** How a queue delays and limits; see {@link workqueueDefaults}. */
export interface WorkqueueOptions {
  readonly name: string;
  /** Wait of one key after each failure in a row. */
  readonly backoff: BackoffOptions;
  /** All failing keys of the queue together. */
  readonly retryBucket: TokenBucketOptions;
  readonly keysMax: number;
}

/** Values for `WorkqueueOptions`, with their reasons. */
export const workqueueDefaults = {
  /** Upstream's sidecars wait 1 s to 5 min; a first short retry resolves most conflicts unseen. */
  backoff: { firstMs: 100, longestMs: 300_000, jitter: 0.2 },
  /** When everything fails at once the API server and the daemons still see a bounded rate. */
  retryBucket: { ratePerSecond: 100, burst: 1000 },
  /** About 20 MB of keys: more than the objects that one operator can serve. */
  keysMax: 100_000,
} as const;

interface DelayedKey {
  readonly dueMs: number;
  readonly timer: Timer;
}

interface Failures {
  readonly count: number;
  /** When the retry of the last of them is, or was, due. */
  readonly dueMs: number;
}

/** See the file's head. */
export class Workqueue {
  readonly #options: WorkqueueOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #metrics: WorkqueueMetrics;
  readonly #retryBucket: TokenBucket;
  /** Ready keys and since when; a Map keeps the order of insertion. */
  readonly #ready = new Map<string, number>();
  readonly #working = new Map<string, number>();
  /** Keys that were added while being worked on. */
  readonly #again = new Set<string>();
  readonly #delayed = new Map<string, DelayedKey>();
  readonly #failures = new Map<string, Failures>();
  readonly #waiters: ((key: string | undefined) => void)[] = [];
  #isClosed = false;

  constructor(
    options: WorkqueueOptions,
    dependencies: {
      readonly clock: Clock;
      readonly metrics: WorkqueueMetrics;
      readonly random?: () => number;
    },
  ) {
    this.#options = options;
    this.#clock = dependencies.clock;
    this.#metrics = dependencies.metrics;
    this.#random = dependencies.random ?? Math.random;
    this.#retryBucket = new TokenBucket(options.retryBucket, dependencies);
    this.#metrics.observe(options.name, this);
  }

  /** How many keys are ready. */
  get depth(): number {
    return this.#ready.size;
  }

  /** How long the first ready key has been waiting. */
  get oldestAgeMs(): number {
    for (const readySinceMs of this.#ready.values()) {
      return this.#clock.monotonicMs() - readySinceMs;
    }
    return 0;
  }

  /** How long the key that has been worked on longest has been. */
  get longestWorkMs(): number {
    for (const startedMs of this.#working.values()) return this.#clock.monotonicMs() - startedMs;
    return 0;
  }

  /** Makes the key ready now, if it is not yet. */
  add(key: string): void {
    if (this.#isClosed || !this.#hasRoomFor(key)) return;
    this.#metrics.added(this.#options.name);
    this.#cancelDelay(key);
    if (this.#working.has(key)) this.#again.add(key);
    else if (!this.#ready.has(key)) this.#makeReady(key);
  }

  /** Makes the key ready after a delay, unless it becomes ready before. */
  addAfter(key: string, delayMs: number): void {
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    if (this.#isClosed || this.#ready.has(key) || !this.#hasRoomFor(key)) return;
    const dueMs = this.#clock.monotonicMs() + delayMs;
    const held = this.#delayed.get(key);
    if (held !== undefined && held.dueMs <= dueMs) return;
    held?.timer.cancel();
    const timer = this.#clock.setTimer(() => {
      this.#delayed.delete(key);
      this.add(key);
    }, delayMs);
    this.#delayed.set(key, { dueMs, timer });
  }

  /**
   * Makes the key ready after its exponential backoff, at least `leastMs`, and when the queue's bucket
   * allows. Returns the delay. A failure of a pass that an event brought on before the retry was due does not
   * count: many events in a short outage would otherwise put the retry off for long after it.
   */
  addRateLimited(key: string, leastMs = 0): number {
    const nowMs = this.#clock.monotonicMs();
    const before = this.#failures.get(key);
    const isEarly = before !== undefined && nowMs < before.dueMs;
    const count = isEarly ? before.count : this.failureCountOf(key) + 1;
    this.#metrics.retried(this.#options.name);
    const ownMs = isEarly
      ? before.dueMs - nowMs
      : backoffMs(this.#options.backoff, count, this.#random);
    const delayMs = Math.max(ownMs, leastMs, this.#retryBucket.reserve());
    this.#failures.set(key, { count, dueMs: nowMs + delayMs });
    this.addAfter(key, delayMs);
    return delayMs;
  }

  /** How many retries in a row of the key have failed. */
  failureCountOf(key: string): number {
    return this.#failures.get(key)?.count ?? 0;
  }

  /** The key succeeded: its next failure starts from the shortest wait again. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Waits for a key to be ready; undefined when the queue is closed. Call `done` with it afterwards. */
  async take(): Promise<string | undefined> {
    for (const [key] of this.#ready) {
      this.#startWork(key);
      return key;
    }
    if (this.#isClosed) return undefined;
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** The work on a key that `take` gave out is over. */
  done(key: string): void {
    const startedMs = this.#working.get(key);
    assert(startedMs !== undefined, `done(${key}) without take`);
    this.#working.delete(key);
    this.#metrics.worked(this.#options.name, (this.#clock.monotonicMs() - startedMs) / 1000);
    if (this.#again.delete(key)) this.#makeReady(key);
  }

  /** Gives out nothing more; whoever waits is told. May be called twice. */
  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#delayed.values()) timer.cancel();
    this.#delayed.clear();
    this.#ready.clear();
    for (const resolve of this.#waiters.splice(0)) resolve(undefined);
  }

  #makeReady(key: string): void {
    if (this.#isClosed) return;
    this.#ready.set(key, this.#clock.monotonicMs());
    const waiter = this.#waiters.shift();
    if (waiter === undefined) return;
    this.#startWork(key);
    waiter(key);
  }

  #startWork(key: string): void {
    const nowMs = this.#clock.monotonicMs();
    const readySinceMs = this.#ready.get(key) ?? nowMs;
    this.#ready.delete(key);
    this.#working.set(key, nowMs);
    this.#metrics.waited(this.#options.name, (nowMs - readySinceMs) / 1000);
  }

  #cancelDelay(key: string): void {
    this.#delayed.get(key)?.timer.cancel();
    this.#delayed.delete(key);
  }

  #hasRoomFor(key: string): boolean {
    if (this.#ready.has(key) || this.#working.has(key) || this.#delayed.has(key)) return true;
    if (this.#ready.size + this.#delayed.size < this.#options.keysMax) return true;
    this.#metrics.refused(this.#options.name);
    return false;
  }
}
