/**
 * The only source of chance in a simulated run: the same seed gives the same run, on every machine.
 *
 * sfc32 (Chris Doty-Humphrey's small fast counter generator): 128 bits of state, passes PractRand, needs nothing but
 * 32-bit integer operations. Seeds are spread by splitmix32, so that neighbouring seeds give unrelated runs.
 */
import { assert } from '@varve/common/assert';

/** A seeded generator of numbers and choices. */
export class SeededRandom {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    assert(Number.isSafeInteger(seed) && seed >= 0, `seed ${seed} is not a natural number`);
    const spread = splitmix32(seed >>> 0, Math.floor(seed / 2 ** 32));
    this.#a = spread();
    this.#b = spread();
    this.#c = spread();
    for (let round = 0; round < 12; round++) this.next32();
  }

  /** An unsigned 32-bit number. */
  next32(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + result;
    this.#c |= 0;
    return result >>> 0;
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    assert(limit >= 1 && limit <= 2 ** 32, `limit ${limit} is outside 1..2^32`);
    return Math.floor((this.next32() / 2 ** 32) * limit);
  }

  /** A whole number in [low, high]. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.next32() < probability * 2 ** 32;
  }

  /** One element of a list that has some. */
  pick<T>(choices: readonly T[]): T {
    assert(choices.length > 0, 'cannot pick from nothing');
    return choices[this.below(choices.length)]!;
  }

  /** A key of the table, as likely as its weight says. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const keys = Object.keys(weights) as K[];
    let rest = 0;
    for (const key of keys) rest += weights[key];
    assert(rest > 0, 'all weights are zero');
    rest *= this.next32() / 2 ** 32;
    for (const key of keys) {
      rest -= weights[key];
      if (rest < 0) return key;
    }
    return keys.findLast((key) => weights[key] > 0)!;
  }

  /** Fills `target` with random bytes. */
  fillBytes(target: Uint8Array): Uint8Array {
    for (let index = 0; index < target.length; index++) target[index] = this.next32() & 0xff;
    return target;
  }

  /** A generator of its own, so that more draws in one place do not change another. */
  fork(): SeededRandom {
    return new SeededRandom(this.next32() * 2 ** 20 + (this.next32() >>> 12));
  }
}

function splitmix32(low: number, high: number): () => number {
  let state = (low ^ Math.imul(high, 0x9e3779b9)) | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) | 0;
  };
}
