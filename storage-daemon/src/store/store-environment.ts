/**
 * All that the store sees of the world besides its devices. The daemon passes the real one, the simulator a seeded
 * one; nothing in the store may ask the time, draw a number or wait by any other way.
 */

/** Ends a timer; harmless after it ran. */
export type CancelTimer = () => void;

/** Wall-clock time, delays and randomness for the store, and where it logs to. */
export interface StoreEnvironment {
  /** Milliseconds since 1970 (may jump; used for creation times only). */
  nowMs(): number;
  /** Runs `task` once, at least `delayMs` later, never before this call returns. */
  after(delayMs: number, task: () => void): CancelTimer;
  /** Lets pending I/O completions and other tasks run, then resumes: how long work (walks, discards) is paced. */
  yieldTurn(): Promise<void>;
  /**
   * Resolves once the word changes and somebody is notified of it, on whatever thread; at once if it is not `value`
   * now. May resolve for nothing.
   */
  whenChanged(words: Int32Array<SharedArrayBuffer>, index: number, value: number): Promise<void>;
  /** 16 random bytes for pool and object UUIDs. */
  randomUuid(): Uint8Array;
  /** Structured log line: rare events only (recovery, journal hole, read-only). */
  log(level: 'info' | 'warn' | 'error', message: string, fields: Record<string, unknown>): void;
}

/** `whenChanged` of the real world. */
export async function whenWordChanges(
  words: Int32Array<SharedArrayBuffer>,
  index: number,
  value: number,
): Promise<void> {
  const waiting = Atomics.waitAsync(words, index, value);
  if (waiting.async) await waiting.value;
}
