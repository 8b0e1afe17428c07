import { assert } from './assert.ts';

/** How long to wait between attempts: `firstMs`, then doubling up to `longestMs`, each spread at random by `jitter`. */
export interface BackoffOptions {
  readonly firstMs: number;
  readonly longestMs: number;
  /** 0.2 waits 80 % to 120 % of the computed time, so that clients do not all come back at once. */
  readonly jitter: number;
}

/** The wait after `failureCount` (from 1) attempts that failed in a row. */
export function backoffMs(
  options: BackoffOptions,
  failureCount: number,
  random: () => number = Math.random,
): number {
  assert(failureCount >= 1, `backoff after ${failureCount} failures`);
  const doublings = Math.min(failureCount - 1, 52);
  const baseMs = Math.min(options.firstMs * 2 ** doublings, options.longestMs);
  return baseMs * (1 - options.jitter + 2 * options.jitter * random());
}
