/**
 * One allocation group in memory: what is allocated (persistent, changed by apply() and checkpoints only) and what
 * may not be handed out (allocated, reserved for a write under way, or freed too recently). R10 and J9 live in this
 * difference.
 */
import { assert } from '@varve/common/assert';

import { bitmapSlots } from '../format/pool-layout.ts';
import { clusterSizeBlocks } from '../units.ts';

/** A run of blocks in one group. */
export interface BlockRun {
  readonly pbn: number;
  readonly count: number;
}

/** Bits of one group. */
export class GroupBitmap {
  readonly group: number;
  readonly blockCount: number;
  #allocated: Uint32Array;
  /** The words are those of all full groups, until something here is freed. */
  #isShared = false;
  /** The same words as `#allocated` while the two do not differ, as in most groups: half the memory. */
  #taken: Uint32Array;
  #allocatedCount = bitmapSlots;
  #takenCount = bitmapSlots;
  /** Of the bitmap on disk: its parity is the slot. */
  slotGeneration = 0;
  bitmapCrc = 0;
  /** Below it no physical cluster is available. */
  #clusterHint = 0;
  /** The bitmap differs from the one on disk. */
  isDirty = true;

  constructor(group: number, blockCount: number) {
    this.group = group;
    this.blockCount = blockCount;
    this.#allocated = new Uint32Array(Math.ceil(blockCount / 32));
    this.#allocated[0] = 2 ** bitmapSlots - 1;
    this.#taken = this.#allocated;
  }

  /** Allocated blocks, bitmap slots included. */
  get allocatedCount(): number {
    return this.#allocatedCount;
  }

  /** Blocks that may be handed out. */
  get availableCount(): number {
    return this.blockCount - this.#takenCount;
  }

  /** True if every block but the bitmap's slots may be handed out. */
  get isEmpty(): boolean {
    return this.#takenCount === bitmapSlots;
  }

  isAllocated(index: number): boolean {
    return getBit(this.#allocated, index);
  }

  /** True if the block is allocated, reserved or in quarantine. */
  isTaken(index: number): boolean {
    return getBit(this.#taken, index);
  }

  allocate(index: number): void {
    assert(!this.isAllocated(index), `block ${index} of group ${this.group} is allocated already`);
    if (!this.isTaken(index)) {
      setBit(this.#taken, index);
      this.#takenCount++;
    }
    setBit(this.#allocated, index);
    this.#allocatedCount++;
    this.isDirty = true;
  }

  /** Frees a block; it stays taken until `giveBack`. */
  free(index: number): void {
    assert(index >= bitmapSlots, `block ${index} of group ${this.group} is a bitmap slot`);
    assert(this.isAllocated(index), `block ${index} of group ${this.group} is freed twice`);
    this.#separate();
    if (this.#isShared) this.#allocated = this.#allocated.slice();
    this.#isShared = false;
    clearBit(this.#allocated, index);
    this.#allocatedCount--;
    this.isDirty = true;
  }

  take(index: number): void {
    assert(!this.isTaken(index), `block ${index} of group ${this.group} is taken already`);
    this.#separate();
    setBit(this.#taken, index);
    this.#takenCount++;
  }

  giveBack(index: number): void {
    assert(this.isTaken(index) && !this.isAllocated(index), `block ${index} cannot be given back`);
    clearBit(this.#taken, index);
    this.#takenCount--;
    this.#clusterHint = Math.min(this.#clusterHint, index - (index % clusterSizeBlocks));
  }

  /** The first available run at or after `from`, at most `countMax` blocks; undefined if there is none. */
  findRun(from: number, countMax: number): { index: number; count: number } | undefined {
    let index = from;
    while (index < this.blockCount && this.isTaken(index)) {
      index += this.#taken[index >>> 5] === 0xffffffff ? 32 - (index & 31) : 1;
    }
    if (index >= this.blockCount) return undefined;
    let count = 1;
    while (count < countMax && index + count < this.blockCount && !this.isTaken(index + count)) {
      count++;
    }
    return { index, count };
  }

  /**
   * The first run of available physical clusters (16 aligned blocks) at or after `from`, at most `countMax`, in
   * blocks; undefined if there is none.
   */
  findClusters(from: number, countMax: number): { index: number; count: number } | undefined {
    const start = Math.max(this.#clusterHint, from + clusterSizeBlocks - 1);
    let index = start - (start % clusterSizeBlocks);
    while (index + clusterSizeBlocks <= this.blockCount && !this.#isClusterFree(index)) {
      index += clusterSizeBlocks;
    }
    if (from <= this.#clusterHint) this.#clusterHint = index;
    let end = index;
    while (
      end - index < countMax * clusterSizeBlocks &&
      end + clusterSizeBlocks <= this.blockCount &&
      this.#isClusterFree(end)
    ) {
      end += clusterSizeBlocks;
    }
    return end === index ? undefined : { index, count: end - index };
  }

  #isClusterFree(index: number): boolean {
    return ((this.#taken[index >>> 5]! >>> (index & 31)) & 0xffff) === 0;
  }

  #separate(): void {
    if (this.#taken === this.#allocated) this.#taken = this.#allocated.slice();
  }

  /** Writes the bitmap page. */
  encode(target: Uint8Array): void {
    if (this.#takenCount === this.#allocatedCount) this.#taken = this.#allocated;
    target.fill(0);
    target.set(new Uint8Array(this.#allocated.buffer));
  }

  /** The bitmap on disk says that all blocks are in use; `words`, all ones, are shared by all such groups. */
  loadFull(words: Uint32Array): void {
    assert(words.length === this.#allocated.length, 'a bitmap of another size');
    this.#allocated = words;
    this.#taken = words;
    this.#isShared = true;
    this.#allocatedCount = this.blockCount;
    this.#takenCount = this.blockCount;
    this.isDirty = false;
  }

  /** Takes over a bitmap page from disk. */
  load(page: Uint8Array): void {
    const words = new Uint32Array(page.slice(0, this.#allocated.length * 4).buffer);
    this.#allocated.set(words);
    this.#taken = this.#allocated;
    let count = 0;
    for (const word of words) count += countBits(word);
    this.#allocatedCount = count;
    this.#takenCount = count;
    this.isDirty = false;
  }
}

function getBit(words: Uint32Array, index: number): boolean {
  return ((words[index >>> 5]! >>> (index & 31)) & 1) === 1;
}

function setBit(words: Uint32Array, index: number): void {
  words[index >>> 5]! |= 1 << (index & 31);
}

function clearBit(words: Uint32Array, index: number): void {
  words[index >>> 5]! &= ~(1 << (index & 31));
}

function countBits(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
