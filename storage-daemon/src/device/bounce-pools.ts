/**
 * Aligned memory that a device copies through where a caller's bytes do not lie in memory that it can hand to the
 * kernel: slots of one block, and larger ones.
 */
import { ringBounceBlockSlots, ringBounceLargeBytes, ringBounceLargeSlots } from '../limits.ts';
import { blockSizeBytes } from '../units.ts';
import { Arena, type SlotPool } from '../uring/arena.ts';

/** The slots of one device, by the number of their pool. */
export class BouncePools {
  readonly arena: Arena;
  readonly #pools: readonly SlotPool[];

  /** @throws RingRefusedError if the memory cannot be had. */
  constructor() {
    const pools = [
      { slotBytes: blockSizeBytes, slotCount: ringBounceBlockSlots },
      { slotBytes: ringBounceLargeBytes, slotCount: ringBounceLargeSlots },
    ];
    const sizeBytes = pools.reduce(
      (sum, { slotBytes, slotCount }) => sum + slotBytes * slotCount,
      0,
    );
    this.arena = new Arena({ sizeBytes });
    this.#pools = pools.map((options) => this.arena.createPool(options));
  }

  /** The number of a pool with a free slot for a request of this size; -1 if it must wait. */
  choose(lengthBytes: number): number {
    if (lengthBytes <= blockSizeBytes && this.#pools[0]!.freeCount > 0) return 0;
    return this.#pools[1]!.freeCount > 0 ? 1 : -1;
  }

  get(pool: number): SlotPool {
    return this.#pools[pool]!;
  }
}
