/**
 * Memory for the data of commands, of one queue and of all together. A queue that has nothing under way may always
 * start one command, so nobody waits for another queue: it waits for its own completions only.
 */
import { nvmeQueueDataBytesMax, nvmeTargetDataBytesMax } from '../limits.ts';

/** Data of all queues of a target. */
export interface TargetBudget {
  usedBytes: number;
}

/** Data of one queue. */
export class QueueBudget {
  readonly #target: TargetBudget;
  #usedBytes = 0;

  constructor(target: TargetBudget) {
    this.#target = target;
  }

  /** Takes memory for a command's data; false if there is no room now. */
  tryTake(bytes: number): boolean {
    const hasRoom =
      this.#usedBytes === 0 ||
      (this.#usedBytes + bytes <= nvmeQueueDataBytesMax &&
        this.#target.usedBytes + bytes <= nvmeTargetDataBytesMax);
    if (hasRoom) this.take(bytes);
    return hasRoom;
  }

  /** Takes memory for data that is on its way already. */
  take(bytes: number): void {
    this.#usedBytes += bytes;
    this.#target.usedBytes += bytes;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
    this.#target.usedBytes -= bytes;
  }
}
