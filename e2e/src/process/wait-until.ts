/**
 * Bounded waiting. Every wait of the end-to-end tests goes through here, so that none can hang and each that
 * fails says what it waited for, what it saw last, and what the process in question logged.
 */
import { setTimeout as sleep } from 'node:timers/promises';

/** How long to wait, how often to look, and what to add to the message when time is up. */
export interface WaitOptions {
  readonly timeoutMs: number;
  /** Pause between two looks; default 100. */
  readonly intervalMs?: number;
  /** Added to the message of a failed wait: the tail of a log, for example. */
  readonly explain?: () => string;
}

/** A wait whose time was up. */
export class WaitTimeoutError extends Error {
  readonly kind = 'wait-timeout';
}

/**
 * Looks until `probe` answers something other than undefined, and returns that. An error that the probe throws
 * counts as "not yet" and is quoted when time is up.
 */
export async function waitUntil<Found>(
  what: string,
  probe: () => Promise<Found | undefined> | Found | undefined,
  options: WaitOptions,
): Promise<Found> {
  const deadlineMs = performance.now() + options.timeoutMs;
  let lastSeen = 'nothing';
  for (;;) {
    try {
      const found = await probe();
      if (found !== undefined) return found;
      lastSeen = 'not yet';
    } catch (error) {
      lastSeen = messageOf(error);
    }
    if (performance.now() >= deadlineMs) {
      const explanation = options.explain?.() ?? '';
      throw new WaitTimeoutError(
        `Waiting for ${what} took more than ${options.timeoutMs / 1000} s: last seen: ${lastSeen}` +
          (explanation === '' ? '' : `\n${explanation}`),
      );
    }
    await sleep(options.intervalMs ?? 100);
  }
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
