/** What each block of a cell's groups is used for. A block has one use, and the bitmaps must say exactly the same. */
import type { Findings } from '../findings.ts';

/** Uses of a block; 0 is none. */
export const BlockUse = { slot: 1, page: 2, data: 3, freedData: 4, freedPage: 5 } as const;
/** One of BlockUse. */
export type BlockUse = (typeof BlockUse)[keyof typeof BlockUse];

const useNames = [
  'nothing',
  'a bitmap slot',
  'a page',
  'data',
  'data to be freed',
  'a page to be freed',
];

/** Uses of all blocks of one cell. */
export class BlockUses {
  readonly #cell: number;
  readonly #groupBlocks: number;
  readonly #findings: Findings;
  readonly #groups = new Map<number, Uint8Array>();
  readonly #counts = [0, 0, 0, 0, 0, 0];
  #isWhole = true;

  constructor(
    options: { cell: number; groupBlocks: number },
    dependencies: { findings: Findings },
  ) {
    this.#cell = options.cell;
    this.#groupBlocks = options.groupBlocks;
    this.#findings = dependencies.findings;
  }

  /** Says that something could not be read: what seems to be unused may be used by that. */
  giveUp(): void {
    this.#isWhole = false;
  }

  /** True if all uses are known. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Says that the cell owns this group. */
  addGroup(group: number): void {
    this.#groups.set(group, new Uint8Array(this.#groupBlocks));
  }

  /** Says what a block is used for. `describe` says by whom. */
  claim(pbn: number, use: BlockUse, describe: () => string): void {
    const group = Math.floor(pbn / this.#groupBlocks);
    const uses = this.#groups.get(group);
    if (!uses) {
      this.#findings.add(
        `cell ${this.#cell}: block ${pbn}, ${describe()}, is in group ${group}, which the cell does not own`,
      );
      return;
    }
    const position = pbn % this.#groupBlocks;
    const before = uses[position]!;
    if (before !== 0) {
      this.#findings.add(
        `cell ${this.#cell}: block ${pbn} is used twice: as ${useNames[before]} and by ${describe()}`,
      );
      return;
    }
    uses[position] = use;
    this.#counts[use]!++;
  }

  /** Blocks of a use. */
  count(use: BlockUse): number {
    return this.#counts[use]!;
  }

  /** Compares a group with its bitmap. Returns the number of set bits. */
  compare(group: number, bitmap: Uint8Array): number {
    const uses = this.#groups.get(group)!;
    const leaked: number[] = [];
    let setCount = 0;
    for (let position = 0; position < this.#groupBlocks; position++) {
      const isSet = ((bitmap[position >> 3]! >> (position & 7)) & 1) === 1;
      const use = uses[position]!;
      const pbn = group * this.#groupBlocks + position;
      if (isSet) setCount++;
      if (isSet && use === 0 && this.#isWhole) leaked.push(pbn);
      if (!isSet && use !== 0) {
        this.#findings.add(
          `cell ${this.#cell}: block ${pbn} is ${useNames[use]} and counts as free`,
        );
      }
    }
    for (const run of runsOf(leaked)) {
      this.#findings.add(`cell ${this.#cell}: nothing uses ${run}, and it counts as allocated`);
    }
    return setCount;
  }
}

/** Neighbouring blocks as one phrase. */
function runsOf(pbns: readonly number[]): string[] {
  const runs: string[] = [];
  for (let start = 0; start < pbns.length;) {
    let end = start;
    while (pbns[end + 1] === pbns[end]! + 1) end++;
    runs.push(start === end ? `block ${pbns[start]}` : `blocks ${pbns[start]} to ${pbns[end]}`);
    start = end + 1;
  }
  return runs;
}
