import { assert } from './assert.ts';

/** How long to wait between attempts: `firstMs`, then doubling up to `longestMs`, each spread at random by `jitter`. */
export interface BackoffOptions {
  readonly firstMs: number;
  readonly longestMs: number;
  /** 0.2 waits between 80 % and 120 % of the computed time, so that many clients do not come back at one instant. */
  readonly jitter: number;
}

/** The wait before attempt number `failureCount` + 1, given that `failureCount` (from 1) attempts have failed in a row. */
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
