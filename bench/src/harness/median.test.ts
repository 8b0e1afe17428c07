import { describe, expect, test } from '@jest/globals';

import { median, percentile } from './median.ts';

describe('median()', () => {
  test('is the middle figure in order of size, not of arrival', () => {
    expect(median([30, 1, 20])).toBe(20);
    expect(median([9, 10, 100, 2, 1])).toBe(9);
  });

  test('is the mean of the middle two when there is no middle one', () => {
    expect(median([4, 1, 2, 100])).toBe(3);
  });

  test('leaves its argument as it is', () => {
    const figures = [3, 1, 2];
    median(figures);
    expect(figures).toEqual([3, 1, 2]);
  });

  test('refuses to answer for no figures', () => {
    expect(() => median([])).toThrow('median of nothing');
  });
});

describe('percentile()', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);

  test.each([
    [0.5, 50],
    [0.99, 99],
    [0.999, 100],
    [1, 100],
  ])('of 1 to 100 at %p is %p', (share, expected) => {
    expect(percentile(hundred, share)).toBe(expected);
  });
});
