import { describe, expect, test } from '@jest/globals';

import { SeededRandom } from './seeded-random.ts';

describe('SeededRandom', () => {
  test('gives the same numbers for the same seed, on every machine', () => {
    const draw = (seed: number) => {
      const random = new SeededRandom(seed);
      return [random.next32(), random.next32(), random.next32()];
    };
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(draw(2 ** 33 + 1)).not.toEqual(draw(1));
  });

  test('below() covers its whole range about evenly', () => {
    const random = new SeededRandom(7);
    const counts = Array.from({ length: 10 }, () => 0);
    for (let draw = 0; draw < 10_000; draw++) counts[random.below(10)]! += 1;
    for (const count of counts) {
      expect(count).toBeGreaterThan(850);
      expect(count).toBeLessThan(1150);
    }
  });

  test('weighted() never picks a weight of zero and follows the others', () => {
    const random = new SeededRandom(3);
    const counts = { often: 0, rarely: 0, never: 0 };
    for (let draw = 0; draw < 4000; draw++) {
      counts[random.weighted({ often: 3, rarely: 1, never: 0 })]++;
    }
    expect(counts.never).toBe(0);
    expect(counts.often / counts.rarely).toBeGreaterThan(2.5);
    expect(counts.often / counts.rarely).toBeLessThan(3.5);
  });

  test('fork() gives an unrelated generator', () => {
    const random = new SeededRandom(5);
    const fork = random.fork();
    expect(fork.next32()).not.toBe(new SeededRandom(5).next32());
    expect(fork.next32()).not.toBe(random.next32());
  });
});
