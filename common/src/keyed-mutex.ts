/**
 * Mutual exclusion by key: holders of different keys run side by side, holders of one key one after
 * another, in the order in which they came. Several keys are taken in sorted order, so that two callers can
 * never wait for each other.
 */
export class KeyedMutex {
  readonly #tails = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, number>();

  /** Keys that are held or waited for. */
  get keyCount(): number {
    return this.#tails.size;
  }

  /** Callers that hold or wait for a key. */
  countOf(key: string): number {
    return this.#waiting.get(key) ?? 0;
  }

  /** Runs `task` while it holds all of `keys`; they are free again when it has settled. */
  async runExclusive<Result>(
    keys: readonly string[],
    task: () => Promise<Result>,
  ): Promise<Result> {
    const sorted = [...new Set(keys)].sort();
    const releases: (() => void)[] = [];
    try {
      for (const key of sorted) releases.push(await this.#acquire(key));
      return await task();
    } finally {
      for (const release of releases) release();
    }
  }

  async #acquire(key: string): Promise<() => void> {
    const before = this.#tails.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#tails.set(key, promise);
    this.#waiting.set(key, this.countOf(key) + 1);
    await before;
    return () => {
      const count = this.countOf(key) - 1;
      if (count === 0) {
        this.#waiting.delete(key);
        this.#tails.delete(key);
      } else this.#waiting.set(key, count);
      resolve();
    };
  }
}
