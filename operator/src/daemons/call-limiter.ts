/**
 * Keeps a daemon that does not answer from taking all workers with it: they serve the objects of other daemons too.
 * So many calls to one daemon are under way at most; the next wait a moment, and are refused when none of the
 * calls before them came back meanwhile. While all that are under way have been so for long, nobody waits at all.
 */
import type { Clock, Timer } from '@varve/common/clock';
import { ProblemError } from '@varve/contract/problem';

/** Bounds; see {@link callLimiterDefaults}. */
export interface CallLimiterOptions {
  readonly daemon: string;
  readonly callsMax: number;
  readonly waitMsMax: number;
  readonly slowMs: number;
}

/** Values for `CallLimiterOptions`, with their reasons. */
export const callLimiterDefaults = {
  /** Half of a controller's workers: the other half stays free. More would not make a daemon faster. */
  callsMax: 32,
  /** A daemon answers within milliseconds, so a queue moves on long before this. */
  waitMsMax: 1000,
  /** When every call is older than this the daemon hangs. */
  slowMs: 2000,
} as const;

interface Waiter {
  readonly admit: () => void;
  readonly timer: Timer;
}

/** See the file's head. */
export class CallLimiter {
  readonly #options: CallLimiterOptions;
  readonly #clock: Clock;
  /** When each call under way began, oldest first. */
  readonly #startedMs = new Set<{ readonly atMs: number }>();
  readonly #waiters = new Set<Waiter>();

  constructor(options: CallLimiterOptions, dependencies: { readonly clock: Clock }) {
    this.#options = options;
    this.#clock = dependencies.clock;
  }

  /** Runs the call, if need be after a wait; rejects with `unavailable` instead while the daemon hangs. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#startedMs.size >= this.#options.callsMax) await this.#wait();
    const started = { atMs: this.#clock.monotonicMs() };
    this.#startedMs.add(started);
    try {
      return await call();
    } finally {
      this.#startedMs.delete(started);
      this.#admitNext();
    }
  }

  async #wait(): Promise<void> {
    if (this.#isHanging()) throw this.#refusal();
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        admit: resolve,
        timer: this.#clock.setTimer(() => {
          this.#waiters.delete(waiter);
          reject(this.#refusal());
        }, this.#options.waitMsMax),
      };
      this.#waiters.add(waiter);
    });
  }

  #admitNext(): void {
    for (const waiter of this.#waiters) {
      this.#waiters.delete(waiter);
      waiter.timer.cancel();
      waiter.admit();
      return;
    }
  }

  /** Whether even the youngest call has been under way for long. */
  #isHanging(): boolean {
    const nowMs = this.#clock.monotonicMs();
    return [...this.#startedMs].every(({ atMs }) => nowMs - atMs >= this.#options.slowMs);
  }

  #refusal(): ProblemError {
    const { daemon, callsMax } = this.#options;
    return new ProblemError(
      'unavailable',
      `Calling storage daemon "${daemon}" failed: ${callsMax} calls are waiting for its answers already`,
    );
  }
}
