/** A timer that has been set; cancelling one that fired or was cancelled does nothing. */
export interface Timer {
  cancel(): void;
}

/**
 * Time as our code sees it. Everything that waits or measures takes a clock, so that a test can hold
 * time in its hand instead of sleeping. Monotonic time is for durations and deadlines; wall time is
 * for what people and other machines read.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump when the machine's time is set. */
  nowMs(): number;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonicMs(): number;
  /** Calls `callback` once, after `delayMs`. The timer alone does not keep the process alive. */
  setTimer(callback: () => void, delayMs: number): Timer;
}

/** Node's timers fire at once when asked for more than this. */
const timerDelayMsMax = 2 ** 31 - 1;

/** The machine's own time. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (callback, delayMs) => {
    const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), timerDelayMsMax));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Resolves after `delayMs`, or at once when `signal` is aborted: look at the signal afterwards. Never rejects. */
export async function waitFor(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return;
  await new Promise<void>((resolve) => {
    const finish = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = clock.setTimer(finish, delayMs);
    signal?.addEventListener('abort', finish, { once: true });
  });
}
