/**
 * Knows whether all I/O that was under way at some moment has ended (R5, R11), with two counters per moment asked for
 * instead of a list of requests: I/O is counted in the generation in which it began; asking closes the generation.
 */
import { assert } from '@varve/common/assert';

/** Counts I/O by generation. */
export class IoTracker {
  #generation = 0;
  /** Under way per generation, from `#oldest` on. */
  #counts: number[] = [0];
  #oldest = 0;
  #waiters: { readonly mark: number; readonly done: () => void }[] = [];

  /** Begins an I/O; the answer goes to `end`. */
  begin(): number {
    this.#counts[this.#generation - this.#oldest]!++;
    return this.#generation;
  }

  end(generation: number): void {
    const index = generation - this.#oldest;
    if (!(this.#counts[index]! > 0)) assert(false, `I/O of generation ${generation} ended twice`);
    this.#counts[index]!--;
    this.#retire();
  }

  /** Names the I/O that is under way now. */
  mark(): number {
    const mark = this.#generation;
    if (this.#counts[mark - this.#oldest]! > 0) {
      this.#generation++;
      this.#counts.push(0);
    } else if (mark > this.#oldest) return mark - 1;
    else return -1;
    return mark;
  }

  /** True once all I/O that `mark` names has ended. */
  hasEnded(mark: number): boolean {
    return this.#oldest > mark;
  }

  /** Calls `done` once all I/O that `mark` names has ended: at once if it has. */
  whenEnded(mark: number, done: () => void): void {
    if (this.hasEnded(mark)) done();
    else this.#waiters.push({ mark, done });
  }

  /** Resolves once nothing that is under way now is under way any more. */
  drain(): Promise<void> {
    return new Promise((resolve) => this.whenEnded(this.mark(), resolve));
  }

  #retire(): void {
    let retired = 0;
    while (retired < this.#counts.length - 1 && this.#counts[retired] === 0) retired++;
    if (retired === 0) return;
    this.#counts.splice(0, retired);
    this.#oldest += retired;
    const ready = this.#waiters.filter(({ mark }) => this.hasEnded(mark));
    if (ready.length === 0) return;
    this.#waiters = this.#waiters.filter(({ mark }) => !this.hasEnded(mark));
    for (const { done } of ready) done();
  }
}
