/**
 * Freed blocks that may not be used again yet (J9):
 *
 * - R2: a data block, until the record that freed it is durable; else recovery would find the old mapping and new
 *   bytes.
 * - R3: a page of metadata, until a root that no longer needs it is durable; replay reads the pages of the last root.
 * - R11: any block, until every I/O that began before it was freed has ended.
 */
import type { IoTracker } from './io-tracker.ts';

interface FreedBlock {
  readonly pbn: number;
  /** Number of the record that freed it. */
  readonly record: number;
  /** Number of the first checkpoint whose root does not need it. */
  readonly checkpoint: number;
}

interface QuarantinedBlock extends FreedBlock {
  readonly ioMark: number;
}

/** What has become durable. */
export interface Durability {
  readonly durableRecord: number;
  readonly durableCheckpoint: number;
}

/**
 * Blocks on their way from allocated to available, in the order in which they were freed: conditions are met in that
 * order too.
 */
export class Quarantine {
  readonly #tracker: IoTracker;
  readonly #data: QuarantinedBlock[] = [];
  readonly #meta: QuarantinedBlock[] = [];

  constructor(tracker: IoTracker) {
    this.#tracker = tracker;
  }

  get size(): number {
    return this.#data.length + this.#meta.length;
  }

  add(block: FreedBlock & { readonly isMeta: boolean }): void {
    const { pbn, record, checkpoint } = block;
    const queue = block.isMeta ? this.#meta : this.#data;
    queue.push({ pbn, record, checkpoint, ioMark: this.#tracker.mark() });
  }

  /** Takes out all blocks that may be used again. */
  release({ durableRecord, durableCheckpoint }: Durability): number[] {
    const hasEnded = ({ ioMark }: QuarantinedBlock) => this.#tracker.hasEnded(ioMark); // R11
    return [
      ...takeWhile(this.#data, (block) => block.record <= durableRecord && hasEnded(block)), // R2
      ...takeWhile(this.#meta, (block) => block.checkpoint <= durableCheckpoint && hasEnded(block)), // R3
    ];
  }
}

function takeWhile(
  queue: QuarantinedBlock[],
  mayGo: (block: QuarantinedBlock) => boolean,
): number[] {
  let count = 0;
  while (count < queue.length && mayGo(queue[count]!)) count++;
  return queue.splice(0, count).map(({ pbn }) => pbn);
}
