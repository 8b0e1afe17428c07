/**
 * Which cell owns which allocation group. Cells meet only here, in memory that all threads of a pool share: a cell
 * takes a group by one compare-and-swap, and gives it back by another. The table is not stored: at load it is the
 * union of what the cells list.
 *
 * A cell that needs a group when none is left asks all others (`GroupExchange`): requests are numbered, and each cell
 * says here up to which it has answered.
 */
import { assert } from '@varve/common/assert';

import { cellsMax } from '../format/pool-layout.ts';

const nobody = -1;
/** Words before the owners: these, and one for each cell. */
const word = { groups: 0, unowned: 1, requests: 2, answers: 3, cells: 4 } as const;
const headBytes = 4 * (word.cells + cellsMax);
/** In the word of a cell that answers no requests; they count from 1. */
const notServing = 0;
/** Below a tenth of unowned groups a pool is nearly full: cells hold on to as little as they can. */
const scarceDivisor = 10;

/** A word to wait for. */
export interface SharedWord {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly index: number;
}

/** The table of a pool: one object per thread, over the same memory. */
export class GroupOwners {
  readonly groupCount: number;
  /** For a thread that is to share the table. */
  readonly memory: SharedArrayBuffer;
  /** Changes with each request. */
  readonly requests: SharedWord;
  /** Changes with each answer. */
  readonly answers: SharedWord;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #owners: Int16Array;
  /** Where the search for an unowned group starts. */
  #hint = 0;

  /** A table of the memory that another thread has made, or a new one without owners. */
  constructor(source: number | SharedArrayBuffer) {
    const isNew = typeof source === 'number';
    this.memory = isNew ? new SharedArrayBuffer(headBytes + 2 * source) : source;
    this.#words = new Int32Array(this.memory, 0, headBytes / 4);
    this.groupCount = isNew ? source : this.#words[word.groups]!;
    this.#owners = new Int16Array(this.memory, headBytes, this.groupCount);
    this.requests = { words: this.#words, index: word.requests };
    this.answers = { words: this.#words, index: word.answers };
    if (!isNew) return;
    this.#owners.fill(nobody);
    this.#words[word.groups] = source;
    this.#words[word.unowned] = source;
  }

  /** Groups that no cell owns. */
  get unownedCount(): number {
    return Atomics.load(this.#words, word.unowned);
  }

  /** True in a pool that is nearly full. */
  get isScarce(): boolean {
    return this.unownedCount * scarceDivisor < this.groupCount;
  }

  /** Claims one group for a cell; false if another cell owns it. */
  claim(group: number, cell: number): boolean {
    if (Atomics.compareExchange(this.#owners, group, nobody, cell) !== nobody) return false;
    Atomics.sub(this.#words, word.unowned, 1);
    return true;
  }

  /** Lets others take a group: no durable root and no journal of the cell names it any more (R7). */
  release(group: number, cell: number): void {
    const owner = Atomics.compareExchange(this.#owners, group, cell, nobody);
    assert(owner === cell, `group ${group} of cell ${owner} is given back by cell ${cell}`);
    Atomics.add(this.#words, word.unowned, 1);
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

  /** The number of the last request. */
  get lastRequest(): number {
    return Atomics.load(this.#words, word.requests);
  }

  /** Asks all cells for groups; returns the number of the request. */
  ask(): number {
    return announce(this.#words, word.requests);
  }

  /** The cell has given what it could up to this request. Whoever has answered once is waited for from then on. */
  answer(cell: number, request: number): void {
    Atomics.store(this.#words, word.cells + cell, request + 1);
    announce(this.#words, word.answers);
  }

  /** The cell answers no requests any more. Wakes it, too: nothing of it waits for ever. */
  leave(cell: number): void {
    Atomics.store(this.#words, word.cells + cell, notServing);
    announce(this.#words, word.answers);
    Atomics.notify(this.#words, word.requests);
  }

  /** True if all cells but the one that asks have answered this request, or answer none. */
  isAnswered(request: number, asker: number): boolean {
    for (let cell = 0; cell < cellsMax; cell++) {
      const next = Atomics.load(this.#words, word.cells + cell);
      if (cell !== asker && next !== notServing && next <= request) return false;
    }
    return true;
  }
}

/** Adds to a word, and wakes all that wait for it; returns its new value. */
function announce(words: Int32Array<SharedArrayBuffer>, index: number): number {
  const value = Atomics.add(words, index, 1) + 1;
  Atomics.notify(words, index);
  return value | 0;
}
