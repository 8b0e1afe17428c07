/**
 * Which cell owns which allocation group. Cells meet only here, by one compare-and-swap, so that cells on other
 * threads can share the table. It is not stored: at load it is the union of what the cells list.
 */
const nobody = -1;

/** The table of a pool. */
export class GroupOwners {
  readonly groupCount: number;
  readonly #owners: Int32Array;
  /** Where the search for an unowned group starts. */
  #hint = 0;

  constructor(groupCount: number) {
    this.groupCount = groupCount;
    this.#owners = new Int32Array(new SharedArrayBuffer(4 * (groupCount + 1))).fill(nobody);
    this.#owners[groupCount] = groupCount;
  }

  /** Groups that no cell owns. */
  get unownedCount(): number {
    return Atomics.load(this.#owners, this.groupCount);
  }

  /** Claims one group for a cell; false if another cell owns it. */
  claim(group: number, cell: number): boolean {
    if (Atomics.compareExchange(this.#owners, group, nobody, cell) !== nobody) return false;
    Atomics.sub(this.#owners, this.groupCount, 1);
    return true;
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
