import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { u32 } from '../testing/format/arbitraries.ts';
import { ourBug, refusal, withBytes } from '../testing/format/decoding.ts';
import { goldenBytes, hexLines } from '../testing/format/golden-bytes.ts';
import { blockSizeBytes } from '../units.ts';
import {
  decodeStreamPage,
  encodeStreamPage,
  streamLevelOf,
  streamPageBytes,
  streamPageCounts,
  streamPagePointers,
} from './stream-page.ts';

const place = { cell: 1, family: 7, level: 0, index: 2 };
const golden = goldenBytes(
  blockSizeBytes,
  `
     0: 31 56                     magic
     2: 05                        type: stream
     3: 00                        level: bytes
     4: 01 00                     cell
     8: 07 00 00 00               family
    12: 02 00 00 00               index
    16: 09 00 00 00 00 00 00 00   generation
    24: 05 00 00 00               byte count
    32: "hello"                   payload
`,
);

function encoded(payload: Uint8Array, at = place): Uint8Array {
  const page = new Uint8Array(blockSizeBytes).fill(0xee);
  encodeStreamPage(payload, { ...at, generation: 9 }, page);
  return page;
}

describe('encodeStreamPage()', () => {
  test('writes the golden bytes, every byte of the page', () => {
    expect(hexLines(encoded(new TextEncoder().encode('hello')))).toEqual(hexLines(golden));
  });

  test('refuses no bytes and more than a page', () => {
    expect(() => encoded(new Uint8Array(0))).toThrow(ourBug);
    expect(() => encoded(new Uint8Array(streamPageBytes + 1))).toThrow(ourBug);
  });
});

describe('decodeStreamPage()', () => {
  test('reads the golden bytes', () => {
    expect(new TextDecoder().decode(decodeStreamPage(golden, place))).toBe('hello');
  });

  test('returns what was encoded', () => {
    const anyPlace = fc.record({ cell: fc.nat(63), family: u32, level: fc.nat(3), index: u32 });
    const anyPayload = fc.uint8Array({ minLength: 1, maxLength: streamPageBytes });
    fc.assert(
      fc.property(anyPlace, anyPayload, (at, payload) => {
        const page = encoded(payload, at);
        expect(streamLevelOf(page)).toBe(at.level);
        expect(Buffer.compare(decodeStreamPage(page, at), payload)).toBe(0);
      }),
    );
  });

  test.each([
    ['a page cut short', golden.subarray(0, 4095), 'length'],
    ['an empty page', new Uint8Array(blockSizeBytes), 'magic'],
    ['a page of a map', withBytes(golden, 2, [1]), 'position'],
    ['another level', withBytes(golden, 3, [1]), 'position'],
    ['another cell', withBytes(golden, 4, [0]), 'position'],
    ['another family', withBytes(golden, 8, [0]), 'position'],
    ['another index', withBytes(golden, 12, [1]), 'position'],
    ['no bytes', withBytes(golden, 24, [0]), 'range'],
    ['more bytes than fit', withBytes(golden, 24, [0xe1, 0x0f]), 'range'],
    ['reserved bytes', withBytes(golden, 31, [1]), 'reserved'],
    ['bytes behind the payload', withBytes(golden, 37, [1]), 'reserved'],
    ['the last byte of the page', withBytes(golden, 4095, [1]), 'reserved'],
  ])('refuses %s', (_, page, kind) => {
    expect(refusal(() => decodeStreamPage(page, place))).toBe(kind);
  });
});

describe('streamPageCounts()', () => {
  test.each<[string, number, number[]]>([
    ['nothing', 0, []],
    ['one byte', 1, [1]],
    ['a full page', streamPageBytes, [1]],
    ['a byte more', streamPageBytes + 1, [2, 1]],
    ['a full page of pointers', streamPageBytes * streamPagePointers, [338, 1]],
    ['a byte more than that', streamPageBytes * streamPagePointers + 1, [339, 2, 1]],
  ])('counts the pages of %s', (_, byteCount, counts) => {
    expect(streamPageCounts(byteCount)).toEqual(counts);
  });
});
