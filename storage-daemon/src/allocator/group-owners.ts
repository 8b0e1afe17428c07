/**
 * Which cell owns which allocation group. Cells meet only here, in memory that all threads of a pool share: a cell
 * takes a group by one compare-and-swap, and gives it back by another. The table is not stored: at load it is the
 * union of what the cells list.
 */
import { assert } from '@varve/common/assert';

const nobody = -1;
/** Counters before the owners. */
const Counter = { groups: 0, unowned: 1 } as const;
const counterBytes = 4 * Object.keys(Counter).length;
/** Below a tenth of unowned groups a pool is nearly full: cells hold on to as little as they can. */
const scarceDivisor = 10;

/** The table of a pool: one object per thread, over the same memory. */
export class GroupOwners {
  readonly groupCount: number;
  /** For a thread that is to share the table. */
  readonly memory: SharedArrayBuffer;
  readonly #counters: Int32Array;
  readonly #owners: Int16Array;
  /** Where the search for an unowned group starts. */
  #hint = 0;

  /** A table of the memory that another thread has made, or a new one without owners. */
  constructor(source: number | SharedArrayBuffer) {
    const isNew = typeof source === 'number';
    this.memory = isNew ? new SharedArrayBuffer(counterBytes + 2 * source) : source;
    this.#counters = new Int32Array(this.memory, 0, counterBytes / 4);
    this.groupCount = isNew ? source : this.#counters[Counter.groups]!;
    this.#owners = new Int16Array(this.memory, counterBytes, this.groupCount);
    if (!isNew) return;
    this.#owners.fill(nobody);
    this.#counters[Counter.groups] = source;
    this.#counters[Counter.unowned] = source;
  }

  /** Groups that no cell owns. */
  get unownedCount(): number {
    return Atomics.load(this.#counters, Counter.unowned);
  }

  /** True in a pool that is nearly full. */
  get isScarce(): boolean {
    return this.unownedCount * scarceDivisor < this.groupCount;
  }

  /** Claims one group for a cell; false if another cell owns it. */
  claim(group: number, cell: number): boolean {
    if (Atomics.compareExchange(this.#owners, group, nobody, cell) !== nobody) return false;
    Atomics.sub(this.#counters, Counter.unowned, 1);
    return true;
  }

  /** Lets others take a group: no durable root and no journal of the cell names it any more (R7). */
  release(group: number, cell: number): void {
    const owner = Atomics.compareExchange(this.#owners, group, cell, nobody);
    assert(owner === cell, `group ${group} of cell ${owner} is given back by cell ${cell}`);
    Atomics.add(this.#counters, Counter.unowned, 1);
  }

  isOwner(group: number, cell: number): boolean {
    return Atomics.load(this.#owners, group) === cell;
  }

  /** Claims any group; undefined if all are owned. */
  claimAny(cell: number): number | undefined {
    for (let step = 0; step < this.groupCount && this.unownedCount > 0; step++) {
      const group = (this.#hint + step) % this.groupCount;
      if (!this.claim(group, cell)) continue;
      this.#hint = group + 1;
      return group;
    }
    return undefined;
  }
}
