import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { u32 } from '../testing/format/arbitraries.ts';
import { ourBug, refusal, withBytes } from '../testing/format/decoding.ts';
import { goldenBytes, hexLines } from '../testing/format/golden-bytes.ts';
import { blockSizeBytes } from '../units.ts';
import {
  decodeGroupListPage,
  encodeGroupListPage,
  groupEntriesPerPage,
  type GroupEntry,
} from './group-list.ts';

const entries: readonly GroupEntry[] = [
  { group: 3, freeBlocks: 32_766, bitmapCrc: 0x11121314, slotGeneration: 1 },
  { group: 0x20000, freeBlocks: 0, bitmapCrc: 0x21222324, slotGeneration: 8 },
];
const golden = goldenBytes(
  blockSizeBytes,
  `
     0: 03 00 00 00               group
     4: fe 7f                     free blocks
     8: 14 13 12 11               crc of its bitmap
    12: 01 00 00 00               slot generation
    16: 00 00 02 00               group
    20: 00 00                     free blocks
    24: 24 23 22 21               crc of its bitmap
    28: 08 00 00 00               slot generation
`,
);

function encoded(list: readonly GroupEntry[]): Uint8Array {
  const page = new Uint8Array(blockSizeBytes).fill(0xee);
  encodeGroupListPage(list, page);
  return page;
}

describe('encodeGroupListPage()', () => {
  test('writes the golden bytes, every byte of the page', () => {
    expect(hexLines(encoded(entries))).toEqual(hexLines(golden));
  });

  test('refuses more entries than a page has', () => {
    expect(() => encoded(Array.from({ length: 257 }, () => entries[0]!))).toThrow(ourBug);
  });
});

describe('decodeGroupListPage()', () => {
  test('reads the golden bytes', () => {
    expect(decodeGroupListPage(golden, 2)).toEqual(entries);
  });

  test('returns what was encoded', () => {
    const anyEntry = fc.record({
      group: u32,
      freeBlocks: fc.nat(32_768),
      bitmapCrc: u32,
      slotGeneration: u32,
    });
    fc.assert(
      fc.property(fc.array(anyEntry, { maxLength: groupEntriesPerPage }), (list) => {
        expect(decodeGroupListPage(encoded(list), list.length)).toEqual(list);
      }),
    );
  });

  test.each([
    ['a page cut short', golden.subarray(0, 4095), 2, 'length'],
    ['an entry behind the last', golden, 1, 'reserved'],
    ['reserved bytes of an entry', withBytes(golden, 23, [1]), 2, 'reserved'],
    ['more free blocks than a group has', withBytes(golden, 20, [1, 0x80]), 2, 'range'],
    ['more entries than a page has', golden, 257, 'range'],
    ['the last byte', withBytes(golden, 4095, [1]), 2, 'reserved'],
  ])('refuses %s', (_, page, count, kind) => {
    expect(refusal(() => decodeGroupListPage(page, count))).toBe(kind);
  });
});
