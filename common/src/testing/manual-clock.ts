import type { Clock, Timer } from '../clock.ts';

interface PendingTimer {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A clock that stands still until a test moves it; timers fire in the order of their due times. */
export class ManualClock implements Clock {
  readonly #wallStartMs: number;
  readonly #timers = new Set<PendingTimer>();
  #elapsedMs = 0;
  #order = 0;

  constructor(wallStartMs = Date.UTC(2026, 10, 1)) {
    this.#wallStartMs = wallStartMs;
  }

  nowMs(): number {
    return this.#wallStartMs + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const timer = {
      dueMs: this.#elapsedMs + Math.max(delayMs, 0),
      order: this.#order++,
      callback,
    };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /** How many timers are set: a test can wait for code to go to sleep before it moves the clock. */
  get timerCount(): number {
    return this.#timers.size;
  }

  /** Moves the clock and fires what falls due, one timer at a time, letting promises settle after each. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#elapsedMs + durationMs;
    await settle();
    for (;;) {
      const next = this.#nextDueBy(endMs);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#elapsedMs = Math.max(this.#elapsedMs, next.dueMs);
      next.callback();
      await settle();
    }
    this.#elapsedMs = endMs;
  }

  #nextDueBy(endMs: number): PendingTimer | undefined {
    return [...this.#timers]
      .filter((timer) => timer.dueMs <= endMs)
      .sort((left, right) => left.dueMs - right.dueMs || left.order - right.order)[0];
  }
}

/** Lets everything that waits for promises alone run to its next wait. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
