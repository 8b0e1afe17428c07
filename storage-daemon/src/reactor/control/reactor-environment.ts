/**
 * The real world for stores: this machine's clock, timers and random numbers, and the log of the main thread.
 */
import { randomUUID } from 'node:crypto';

import { type StoreEnvironment, whenWordChanges } from '../../store/store-environment.ts';
import type { ReactorNotices } from '../channel.ts';
import { parseUuid } from '../uuid-text.ts';

/** Creates the environment of all stores of a reactor. */
export function createReactorEnvironment(notices: ReactorNotices): StoreEnvironment {
  return {
    nowMs: () => Date.now(),
    after: (delayMs, task) => {
      const timer = setTimeout(task, delayMs);
      return () => clearTimeout(timer);
    },
    yieldTurn: () => new Promise((resolve) => setImmediate(resolve)),
    whenChanged: whenWordChanges,
    randomUuid: () => parseUuid(randomUUID()),
    log: (level, message, fields) => notices.log(level, message, fields),
  };
}
