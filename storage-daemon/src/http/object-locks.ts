/**
 * Calls that change one object run one after another, whichever listener they came by. A creation also
 * holds what it is made from, so that neither can vanish or change its state in between. Objects are named
 * as in their export names.
 */
import type { KeyedMutex } from '@varve/common/keyed-mutex';
import { ProblemError } from '@varve/contract/problem';

/**
 * Calls that may hold or wait for one object. A correct client has one or two; more is a client that
 * repeats without waiting, and a longer queue would only answer calls whose callers have given up.
 */
const waitersMax = 16;

/**
 * Runs `task` while no other call changes these objects. @throws ProblemError `aborted` if too many wait
 * already.
 */
export function withObjects<Result>(
  mutex: KeyedMutex,
  objects: readonly string[],
  task: () => Promise<Result>,
): Promise<Result> {
  const busy = objects.find((object) => mutex.countOf(object) >= waitersMax);
  if (busy === undefined) return mutex.runExclusive(objects, task);
  const message = `Changing ${busy} failed: ${waitersMax} calls on it are under way already`;
  return Promise.reject(new ProblemError('aborted', message, { blocker: busy }));
}
