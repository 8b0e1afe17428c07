/**
 * Deletes old Events, as kube-apiserver does by a lease on each: they tell what happened lately, and would
 * pile up for ever.
 */
import { eventLifetimeMs, eventSweepIntervalMs } from './limits.ts';
import type { ServerState } from './operations/server-state.ts';

/** Starts sweeping; the result stops it. */
export function startEventSweeper(state: ServerState): () => void {
  const timer = setInterval(() => sweepEvents(state), eventSweepIntervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** Deletes the Events that nobody has touched for an hour. */
export function sweepEvents(state: ServerState): void {
  const oldest = state.now().getTime() - eventLifetimeMs;
  for (const event of state.store.list('events')) {
    if (lastTouched(event) < oldest) state.store.remove('events', event);
  }
}

function lastTouched(event: { readonly [member: string]: unknown }): number {
  const series = event['series'] as { lastObservedTime?: string } | undefined;
  const metadata = event['metadata'] as { creationTimestamp: string };
  const times = [series?.lastObservedTime, event['lastTimestamp'], metadata.creationTimestamp];
  return Math.max(
    ...times.map((time) => Date.parse(String(time))).filter((time) => !Number.isNaN(time)),
  );
}
