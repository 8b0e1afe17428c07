/**
 * How a pass over one key ended. Throwing is the fourth outcome: the key comes back after its exponential
 * backoff. There is no "requeue and also failed".
 */
export type ReconcileResult =
  /** Nothing left to do until something changes. */
  | { readonly outcome: 'done' }
  /** Waiting for time to pass, or for a thing that no watch tells of. Not a failure: no backoff. */
  | { readonly outcome: 'requeue-after'; readonly delayMs: number }
  /** Cannot succeed until the object changes; counted, written to the object by now, not retried. */
  | { readonly outcome: 'terminal'; readonly error: unknown };

/** Nothing left to do until something changes. */
export function done(): ReconcileResult {
  return { outcome: 'done' };
}

/** Look again after `delayMs` even if nothing changes. */
export function requeueAfter(delayMs: number): ReconcileResult {
  return { outcome: 'requeue-after', delayMs };
}

/** Stop until the object changes: `error` can never succeed as things stand. */
export function terminal(error: unknown): ReconcileResult {
  return { outcome: 'terminal', error };
}
