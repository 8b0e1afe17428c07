/**
 * Holds back the reads and writes of one volume to so many per second, and so many bytes per second.
 *
 * - Reads and writes each have a lane of their own; a lane is first come, first served. Zeros and discards go with
 *   the writes and count as operations only: they move no data. Flushes are never held back, since others wait for
 *   what they make durable.
 * - What was not used is good for `limitBurstMs` and no longer. A request larger than that goes when its turn has come
 *   and is paid for by those after it, so the average holds for any size.
 * - A lane has one timer, whatever the number of requests that wait. They need no bound of their own: each is one of
 *   the requests that its connection may have under way.
 *
 * Each lane keeps, for operations and for bytes, the time up to which its rate is used up (the theoretical arrival time
 * of the generic cell rate algorithm): the next request may go when that is at most `limitBurstMs` ahead.
 */
import { limitBurstMs } from '../limits.ts';

/** Upper bounds per second; what is absent is unlimited. */
export interface VolumeLimits {
  readonly readIops?: number | undefined;
  readonly writeIops?: number | undefined;
  readonly readBytesPerSecond?: number | undefined;
  readonly writeBytesPerSecond?: number | undefined;
}

/** Requests that were held back, and for how long in all; both only grow. */
export interface ThrottleCounts {
  readonly count: number;
  readonly seconds: number;
}

/** The timer of a lane: calls back once, unless it is cancelled first. */
export type StartTimer = (delayMs: number, run: () => void) => { cancel(): void };

/** Starts a request whose turn has come; also what names it while it waits. */
export type LimitedStart = () => void;

/** What a limiter needs. */
export interface IoLimiterDependencies {
  /** Monotonic milliseconds. */
  readonly clockMs: () => number;
  readonly startTimer: StartTimer;
}

/** Longest time between two looks at a lane; longer timers overflow in Node.js and fire at once. */
const timerMsMax = 60_000;

/** The timers of Node.js. */
export const startNodeTimer: StartTimer = (delayMs, run) => {
  const timer = setTimeout(run, delayMs);
  return { cancel: () => clearTimeout(timer) };
};

/** The limits of one open volume. */
export class IoLimiter {
  readonly #reads: Lane;
  readonly #writes: Lane;

  constructor(limits: VolumeLimits, dependencies: IoLimiterDependencies) {
    this.#reads = new Lane(dependencies);
    this.#writes = new Lane(dependencies);
    this.setLimits(limits);
  }

  /** True if these limits need no limiter. */
  static isUnlimited(limits: VolumeLimits): boolean {
    return Object.values(limits).every((limit) => limit === undefined);
  }

  /** Takes effect at once, also for requests that wait. */
  setLimits(limits: VolumeLimits): void {
    this.#reads.setRates(limits.readIops, limits.readBytesPerSecond);
    this.#writes.setRates(limits.writeIops, limits.writeBytesPerSecond);
  }

  /** Starts a read now or when its turn comes. */
  read(lengthBytes: number, start: LimitedStart): void {
    this.#reads.submit(lengthBytes, start);
  }

  /** Starts a write now or when its turn comes; zeros and discards have no bytes. */
  write(lengthBytes: number, start: LimitedStart): void {
    this.#writes.submit(lengthBytes, start);
  }

  /** Forgets requests that wait: they never start. Those behind them move up. */
  drop(isDropped: (start: LimitedStart) => boolean): void {
    this.#reads.drop(isDropped);
    this.#writes.drop(isDropped);
  }

  /** What was held back so far. */
  get counts(): ThrottleCounts {
    const lanes = [this.#reads.counts, this.#writes.counts];
    return {
      count: lanes.reduce((sum, { count }) => sum + count, 0),
      seconds: lanes.reduce((sum, { seconds }) => sum + seconds, 0),
    };
  }
}

interface Waiting {
  readonly lengthBytes: number;
  readonly start: LimitedStart;
  readonly sinceMs: number;
}

class Lane {
  readonly #clockMs: () => number;
  readonly #startTimer: StartTimer;
  #operationMs = 0;
  #byteMs = 0;
  /** Times up to which the rates are used up. */
  #operationsUsedMs = 0;
  #bytesUsedMs = 0;
  #waiting: Waiting[] = [];
  #firstIndex = 0;
  #timer: { cancel(): void } | undefined;
  #count = 0;
  #seconds = 0;

  constructor({ clockMs, startTimer }: IoLimiterDependencies) {
    this.#clockMs = clockMs;
    this.#startTimer = startTimer;
  }

  get counts(): ThrottleCounts {
    return { count: this.#count, seconds: this.#seconds };
  }

  setRates(iops: number | undefined, bytesPerSecond: number | undefined): void {
    this.#operationMs = iops === undefined ? 0 : 1000 / iops;
    this.#byteMs = bytesPerSecond === undefined ? 0 : 1000 / bytesPerSecond;
    // Debts were made at other rates: whoever waits first goes now.
    const horizonMs = this.#clockMs() + limitBurstMs;
    this.#operationsUsedMs = Math.min(this.#operationsUsedMs, horizonMs);
    this.#bytesUsedMs = Math.min(this.#bytesUsedMs, horizonMs);
    this.#startWaiting();
  }

  drop(isDropped: (start: LimitedStart) => boolean): void {
    const waiting = this.#waiting.slice(this.#firstIndex);
    this.#waiting = waiting.filter(({ start }) => !isDropped(start));
    this.#firstIndex = 0;
  }

  submit(lengthBytes: number, start: LimitedStart): void {
    const nowMs = this.#clockMs();
    if (this.#firstIndex === this.#waiting.length && this.#readyMs() <= nowMs) {
      this.#use(lengthBytes, nowMs);
      start();
      return;
    }
    this.#waiting.push({ lengthBytes, start, sinceMs: nowMs });
    this.#armTimer(nowMs);
  }

  #readyMs(): number {
    return Math.max(this.#operationsUsedMs, this.#bytesUsedMs) - limitBurstMs;
  }

  #use(lengthBytes: number, nowMs: number): void {
    this.#operationsUsedMs = Math.max(this.#operationsUsedMs, nowMs) + this.#operationMs;
    this.#bytesUsedMs = Math.max(this.#bytesUsedMs, nowMs) + lengthBytes * this.#byteMs;
  }

  #startWaiting(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const nowMs = this.#clockMs();
    while (this.#firstIndex < this.#waiting.length && this.#readyMs() <= nowMs) {
      const { lengthBytes, start, sinceMs } = this.#waiting[this.#firstIndex]!;
      this.#firstIndex++;
      this.#count++;
      this.#seconds += (nowMs - sinceMs) / 1000;
      this.#use(lengthBytes, nowMs);
      start();
    }
    // Started requests leave the array together, so that a shift of it is not paid for by each.
    if (this.#firstIndex * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#firstIndex);
      this.#firstIndex = 0;
    }
    if (this.#waiting.length > 0) this.#armTimer(nowMs);
  }

  #armTimer(nowMs: number): void {
    if (this.#timer !== undefined) return;
    const delayMs = Math.min(timerMsMax, Math.max(0, Math.ceil(this.#readyMs() - nowMs)));
    this.#timer = this.#startTimer(delayMs, () => this.#startWaiting());
  }
}
