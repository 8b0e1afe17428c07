/** Waiting for a word of memory that other threads change. */

/**
 * Resolves once the word is changed by `announce`, on this thread or another; at once if it differs from `value`
 * already. May resolve without a change: look again.
 */
export async function whenWordChanges(
  words: Int32Array<SharedArrayBuffer>,
  index: number,
  value: number,
): Promise<void> {
  const waiting = Atomics.waitAsync(words, index, value);
  if (waiting.async) await waiting.value;
}

/** Adds to a word, and wakes all that wait for it; returns its new value. */
export function announce(words: Int32Array<SharedArrayBuffer>, index: number): number {
  const value = Atomics.add(words, index, 1) + 1;
  Atomics.notify(words, index);
  return value | 0;
}
