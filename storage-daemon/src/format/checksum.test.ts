import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { crc32c, crc32cWithout } from './checksum.ts';

/** RFC 3720 appendix B.4, bit by bit. */
function slowCrc32c(bytes: Uint8Array): number {
  let state = 0xffffffff;
  for (const byte of bytes) {
    state ^= byte;
    for (let bit = 0; bit < 8; bit++) state = (state >>> 1) ^ ((state & 1) === 1 ? 0x82f63b78 : 0);
  }
  return (state ^ 0xffffffff) >>> 0;
}

describe('crc32c()', () => {
  test.each([
    ['32 bytes of zeros', new Uint8Array(32), 0x8a9136aa],
    ['32 bytes of ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ['32 rising bytes', Uint8Array.from({ length: 32 }, (_, index) => index), 0x46dd794e],
    ['32 falling bytes', Uint8Array.from({ length: 32 }, (_, index) => 31 - index), 0x113fdb5c],
  ])('gives what RFC 3720 says for %s', (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });

  test('agrees with the definition, in one piece or continued', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (bytes, cut) => {
        const at = bytes.length === 0 ? 0 : cut % bytes.length;
        expect(crc32c(bytes)).toBe(slowCrc32c(bytes));
        expect(crc32c(bytes.subarray(at), crc32c(bytes.subarray(0, at)))).toBe(slowCrc32c(bytes));
      }),
    );
  });
});

describe('crc32cWithout()', () => {
  test('does not depend on the four bytes that it leaves out, and on all others', () => {
    const page = Uint8Array.from({ length: 64 }, (_, index) => index);
    const crc = crc32cWithout(page, 40, 7);
    for (let index = 0; index < 64; index++) {
      const changed = page.with(index, 99) as Uint8Array;
      const isLeftOut = index >= 40 && index < 44;
      expect(crc32cWithout(changed, 40, 7) === crc).toBe(isLeftOut);
    }
    expect(crc32cWithout(page, 40, 8)).not.toBe(crc);
  });
});
