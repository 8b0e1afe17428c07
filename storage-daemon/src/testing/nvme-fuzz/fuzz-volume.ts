/** A volume for the fuzzer: refuses nothing that is in bounds, holds no data, and answers when it is told to. */
import { assert } from '@varve/common/assert';

import type { NvmeCompletion, NvmeFailure, NvmeVolume } from '../../nvmf/ports.ts';
import type { SeededRandom } from '../seeded-random.ts';

const kinds: readonly NvmeFailure['kind'][] = [
  'out-of-range',
  'read-only',
  'closed',
  'no-space',
  'io',
];

/** A volume of 2 MiB. */
export class FuzzVolume implements NvmeVolume {
  readonly isReadOnly: boolean;
  sizeBytes = 2 * 1024 * 1024;
  readonly #random: SeededRandom;
  readonly #pending: { readonly done: NvmeCompletion; failure: NvmeFailure | null }[] = [];

  constructor(random: SeededRandom) {
    this.#random = random;
    this.isReadOnly = random.chance(0.05);
  }

  /** Requests without an answer. */
  get pendingCount(): number {
    return this.#pending.length;
  }

  /** Answers one request, not the oldest necessarily. */
  answerOne(): void {
    const [answer] = this.#pending.splice(this.#random.below(this.#pending.length), 1);
    answer?.done(answer.failure);
  }

  /** Some have started, some have not. */
  dropWaiting(completions: ReadonlySet<NvmeCompletion>): void {
    for (const each of this.#pending) {
      if (!completions.has(each.done) || this.#random.chance(0.5)) continue;
      each.failure = { kind: 'io', message: 'it was dropped' };
    }
  }

  read(offsetBytes: number, target: Uint8Array, done: NvmeCompletion): void {
    this.#submit(offsetBytes, target.length, done);
  }

  write(offsetBytes: number, source: Uint8Array, _fua: boolean, done: NvmeCompletion): void {
    assert(!this.isReadOnly, 'a write of a read-only volume');
    this.#submit(offsetBytes, source.length, done);
  }

  writeZeroes(
    offsetBytes: number,
    lengthBytes: number,
    _options: { readonly fua: boolean; readonly keepAllocated: boolean },
    done: NvmeCompletion,
  ): void {
    assert(!this.isReadOnly, 'zeros for a read-only volume');
    this.#submit(offsetBytes, lengthBytes, done);
  }

  discard(offsetBytes: number, lengthBytes: number, _fua: boolean, done: NvmeCompletion): void {
    assert(!this.isReadOnly, 'a discard of a read-only volume');
    this.#submit(offsetBytes, lengthBytes, done);
  }

  flush(done: NvmeCompletion): void {
    this.#submit(0, 0, done);
  }

  #submit(offsetBytes: number, lengthBytes: number, done: NvmeCompletion): void {
    assert(
      Number.isSafeInteger(offsetBytes) &&
        offsetBytes >= 0 &&
        offsetBytes + lengthBytes <= this.sizeBytes,
      `${lengthBytes} bytes at ${offsetBytes}`,
    );
    const failure = this.#random.chance(0.05)
      ? { kind: this.#random.pick(kinds), message: 'as the fuzzer wants it' }
      : null;
    this.#pending.push({ done, failure });
  }
}
