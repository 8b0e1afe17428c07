/**
 * Where the reactors that open parts of one pool meet: no cell takes a group before the cells of all reactors have said
 * which are theirs, and a hole in the journal of one cell makes all of the pool read-only. In memory that all share.
 */
import { StoreError } from '../../store/store-error.ts';

const word = { recovered: 0, failed: 1, holes: 2 } as const;

/** One opening of a pool; an object for each thread, over the same memory. */
export class RecoveryBarrier {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(4 * Object.keys(word).length)) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
  }

  /**
   * This thread's part is recovered. Resolves when all are, with the reason if there is a hole anywhere. @throws
   * StoreError `unavailable` if another part cannot be opened.
   */
  async arrive(partCount: number, hole: string | undefined): Promise<string | undefined> {
    if (hole !== undefined) Atomics.add(this.#words, word.holes, 1);
    Atomics.add(this.#words, word.recovered, 1);
    Atomics.notify(this.#words, word.recovered);
    for (;;) {
      const seen = Atomics.load(this.#words, word.recovered);
      if (Atomics.load(this.#words, word.failed) > 0) {
        throw new StoreError('unavailable', 'Opening the pool failed: another part of it failed');
      }
      if (seen >= partCount) break;
      const waiting = Atomics.waitAsync(this.#words, word.recovered, seen);
      if (waiting.async) await waiting.value;
    }
    if (Atomics.load(this.#words, word.holes) === 0) return undefined;
    return hole ?? 'the journal of a cell that another reactor serves has a hole';
  }

  /** A part cannot be opened: nobody waits for it. */
  fail(): void {
    Atomics.add(this.#words, word.failed, 1);
    // Counted as an arrival, so that who looks just now does not fall asleep.
    Atomics.add(this.#words, word.recovered, 1);
    Atomics.notify(this.#words, word.recovered);
  }
}
