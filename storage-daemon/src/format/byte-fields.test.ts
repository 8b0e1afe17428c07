import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { ourBug, refusal } from '../testing/format/decoding.ts';
import { hexLines } from '../testing/format/golden-bytes.ts';
import {
  checkReserved,
  decodeText,
  encodeText,
  isZero,
  readSafeInteger,
  viewOf,
  writeSafeInteger,
} from './byte-fields.ts';

describe('64-bit counters', () => {
  test('stand in little-endian order', () => {
    const bytes = new Uint8Array(8);
    writeSafeInteger(viewOf(bytes), 0, 0x1234_5678_9abc);
    expect(hexLines(bytes)).toEqual(['0: bc 9a 78 56 34 12 00 00']);
  });

  test('come back as they were written, anywhere in a page', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(20), (value, offset) => {
        const bytes = new Uint8Array(40).subarray(3);
        writeSafeInteger(viewOf(bytes), offset, value);
        expect(readSafeInteger(viewOf(bytes), offset)).toBe(value);
      }),
    );
  });

  test('above 2^53 are refused, and never written', () => {
    const bytes = new Uint8Array(8).fill(0xff);
    expect(refusal(() => readSafeInteger(viewOf(bytes), 0))).toBe('range');
    expect(() => writeSafeInteger(viewOf(bytes), 0, 2 ** 53)).toThrow(ourBug);
    expect(() => writeSafeInteger(viewOf(bytes), 0, -1)).toThrow(ourBug);
  });
});

describe('reserved bytes', () => {
  test('count from start to before end', () => {
    const bytes = Uint8Array.from([1, 0, 0, 1]);
    expect(isZero(bytes, 1, 3)).toBe(true);
    expect(isZero(bytes, 0, 3)).toBe(false);
    expect(isZero(bytes, 1, 4)).toBe(false);
    expect(refusal(() => checkReserved(bytes, 1, 4))).toBe('reserved');
    expect(refusal(() => checkReserved(bytes, 1, 3))).toBe('accepted');
  });
});

describe('text', () => {
  test('comes back as it was written, a byte order mark included', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(decodeText(encodeText(text), 0)).toBe(text);
        expect(decodeText(encodeText(`\uFEFF${text}`), 0)).toBe(`\uFEFF${text}`);
      }),
    );
  });

  test('that is not UTF-8 is refused', () => {
    expect(refusal(() => decodeText(Uint8Array.from([0xc0, 0x80]), 0))).toBe('range');
  });
});
