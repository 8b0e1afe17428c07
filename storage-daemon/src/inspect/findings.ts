/**
 * What is wrong with a pool, as sentences, each once. One rotten page can violate thousands of invariants, so there is
 * a bound on what is kept; the rest is counted.
 */
import type { CorruptionError } from '../format/corruption-error.ts';

/** Sentences that are kept: enough to see a pattern, few enough to read. */
const findingsMax = 200;

/** Collects findings. */
export class Findings {
  readonly #sentences = new Set<string>();
  #leftOut = 0;

  /** Adds a sentence, unless it is there already. */
  add(sentence: string): void {
    if (this.#sentences.size < findingsMax) this.#sentences.add(sentence);
    else if (!this.#sentences.has(sentence)) this.#leftOut++;
  }

  /** Adds the sentence unless the condition holds. */
  expect(condition: boolean, describe: () => string): void {
    if (!condition) this.add(describe());
  }

  /** Runs what reads from the pool; what cannot be read becomes a finding, and the answer undefined. */
  async attempt<T>(what: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      if (!isReadFailure(error)) throw error;
      this.add(`${what}: ${error.message}`);
      return undefined;
    }
  }

  /** Adds what another collection found. */
  addAll(other: Findings): void {
    for (const sentence of other.#sentences) this.add(sentence);
    this.#leftOut += other.#leftOut;
  }

  /** All sentences, in order; empty if all is well. */
  list(): readonly string[] {
    if (this.#leftOut === 0) return [...this.#sentences];
    return [...this.#sentences, `${this.#leftOut} more`];
  }
}

/** True for what a bad disk causes, as opposed to a bug of ours. */
function isReadFailure(error: unknown): error is CorruptionError {
  const { name } = error as Error;
  return name === 'CorruptionError' || name === 'DeviceError';
}
