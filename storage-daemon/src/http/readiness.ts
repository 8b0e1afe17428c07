/** Whether the daemon can answer for what it holds. */
import { ProblemError } from '@varve/contract/problem';

import type { ReactorCalls } from '../reactor/channel.ts';
import type { HttpServices } from './http-services.ts';

/**
 * The channel to the reactor, once every known pool was opened or failed to: before that, "not found" would
 * be a guess.
 *
 * @throws ProblemError `unavailable`
 */
export function requireStarted({ pools, channel, stopping }: HttpServices): ReactorCalls {
  if (stopping.aborted) throw unavailable('the daemon is stopping');
  if (!pools.hasStarted) throw unavailable('the daemon is starting: its pools are being opened');
  return channel;
}

/** @throws ProblemError `unavailable` with the reason, unless every known pool is open. */
export function requireReady(services: HttpServices): void {
  requireStarted(services);
  const closed = [...services.pools.closed].map(([pool, reason]) => `pool "${pool}": ${reason}`);
  const reasons = [...services.readFailures(), ...closed];
  if (reasons.length > 0) throw unavailable(reasons.join('; '));
}

function unavailable(reason: string): ProblemError {
  return new ProblemError('unavailable', `The daemon is not ready: ${reason}`, {
    retryAfterSeconds: 1,
  });
}
