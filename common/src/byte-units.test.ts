import { describe, expect, test } from '@jest/globals';
import { formatBytes } from './byte-units.ts';

describe('formatBytes()', () => {
  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [256 * 1024 ** 2, '256 MiB'],
    [1.5 * 1024 ** 3, '1.5 GiB'],
    [68_123_455_488, '63.4 GiB'],
    [999.9 * 1024 ** 3, '999 GiB'],
    [7.98 * 1024 ** 3, '7.9 GiB'],
    [16 * 1024 ** 4, '16 TiB'],
  ])('%d bytes are %s', (sizeBytes, text) => {
    expect(formatBytes(sizeBytes)).toBe(text);
  });
});
