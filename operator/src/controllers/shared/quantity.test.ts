import { describe, expect, test } from '@jest/globals';
import { formatQuantityBytes, parseQuantityBytes } from './quantity.ts';

describe('parseQuantityBytes()', () => {
  test.each([
    ['256Mi', 268435456],
    ['1Gi', 1073741824],
    ['1073741825', 1073741825],
    ['1G', 1e9],
    ['1e3', 1000],
    ['1E3', 1000],
    ['1E', 1e18 > Number.MAX_SAFE_INTEGER ? undefined : 1e18],
    ['1.5Gi', 1610612736],
    ['.5Ki', 512],
    ['5.', 5],
    ['0', 0],
    ['+7', 7],
    [1024, 1024],
    ['100m', 1],
    ['1001m', 2],
    ['1n', 1],
    ['0.1Ki', 103],
    ['8Pi', undefined],
    ['7Pi', 7 * 1024 ** 5],
    ['-1', undefined],
    ['1 Gi', undefined],
    ['1gi', undefined],
    ['1K', undefined],
    ['Gi', undefined],
    ['', undefined],
    ['1e', undefined],
    ['1e3Gi', undefined],
  ])('reads %p as %p bytes', (quantity, bytes) => {
    expect(parseQuantityBytes(quantity)).toBe(bytes);
  });
});

describe('formatQuantityBytes()', () => {
  test.each([
    [1073741824, '1Gi'],
    [1073741825, '1073741825'],
    [268435456, '256Mi'],
    [1536, '1536'],
    [1536 * 1024, '1536Ki'],
    [0, '0'],
    [1, '1'],
  ])('prints %p as %p', (bytes, quantity) => {
    expect(formatQuantityBytes(bytes)).toBe(quantity);
  });

  test('prints what parseQuantityBytes() reads back', () => {
    for (const bytes of [1, 1023, 1024, 4096 * 3, 2 ** 40 + 4096, Number.MAX_SAFE_INTEGER]) {
      expect(parseQuantityBytes(formatQuantityBytes(bytes))).toBe(bytes);
    }
  });
});
