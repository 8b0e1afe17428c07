/**
 * Which calls may run at the same time, whichever listener they came by. A call that changes an object has
 * it alone. What it is made from is held shared: many snapshots of one volume, or clones of one snapshot,
 * are made side by side (their journal writes share a flush), but the source cannot vanish or change its
 * state in between. Objects are named as in their export names.
 */
import type { KeyedLock, LockKeys } from '@varve/common/keyed-lock';
import { ProblemError } from '@varve/contract/problem';

/**
 * Calls that may change one object or wait to. A correct client has one or two; more is a client that
 * repeats without waiting, and a longer queue would only answer calls whose callers have given up. Shared
 * holders need no bound of their own: each has a connection.
 */
const changersMax = 16;

/**
 * Runs `task` while it holds these objects. @throws ProblemError `aborted` if too many calls want one of them
 * already.
 */
export function withObjects<Result>(
  locks: KeyedLock,
  objects: LockKeys,
  task: () => Promise<Result>,
): Promise<Result> {
  const busy = objects.exclusive?.find((object) => locks.exclusiveCount(object) >= changersMax);
  if (busy === undefined) return locks.run(objects, task);
  const message = `Changing ${busy} failed: ${changersMax} calls on it are under way already`;
  return Promise.reject(new ProblemError('aborted', message, { blocker: busy }));
}
