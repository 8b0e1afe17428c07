import { describe, expect, test } from '@jest/globals';
import { backoffMs } from './backoff.ts';

const options = { firstMs: 100, longestMs: 5000, jitter: 0.2 };

describe('backoffMs()', () => {
  test('doubles from the first wait to the longest and stays there', () => {
    const middle = (): number => 0.5;
    const waits = [1, 2, 3, 4, 5, 6, 7, 8, 2000].map((count) => backoffMs(options, count, middle));
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  });

  test('spreads by the jitter to both sides', () => {
    expect(backoffMs(options, 1, () => 0)).toBeCloseTo(80);
    expect(backoffMs(options, 1, () => 1)).toBeCloseTo(120);
  });

  test('refuses to be asked before anything failed', () => {
    expect(() => backoffMs(options, 0)).toThrow('after 0 failures');
  });
});
