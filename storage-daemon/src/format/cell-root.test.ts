import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { counter, pointer, u32, uuid } from '../testing/format/arbitraries.ts';
import { ourBug, refusal, unnoticedFlips, withBytes } from '../testing/format/decoding.ts';
import { goldenBytes, hexLines } from '../testing/format/golden-bytes.ts';
import { blockSizeBytes } from '../units.ts';
import { type CellRoot, decodeCellRoot, encodeCellRoot } from './cell-root.ts';
import { crc32c } from './checksum.ts';

const root: CellRoot = {
  cell: 5,
  poolUuid: new Uint8Array(16).fill(0xaa),
  rootGeneration: 2 ** 40 + 7,
  openGeneration: 9,
  journalStart: { slot: 11, sequence: 2 ** 33, prevCrc: 0xdeadbeef },
  nextFamilyId: 3,
  nextQueueItemId: 4,
  catalog: { pointer: { pbn: 0x0102, crc: 0x11121314, birth: 0 }, count: 1 },
  groupList: { pointer: { pbn: 0x0202, crc: 0x21222324, birth: 0 }, count: 2 },
  freeQueue: { pointer: { pbn: 0, crc: 0, birth: 0 }, count: 0 },
  allocatedBlocks: 1000,
  metadataBlocks: 100,
  reservedBlocks: 64,
  slackBlocks: 0,
};

const golden = goldenBytes(
  blockSizeBytes,
  `
     0: 31 56                     magic
     2: 06                        type: cell root
     3: 00                        level
     4: 05 00                     cell
     8: 00 00 00 00               family: the cell itself
    12: 01 00 00 00               index: the copy number
    16: 07 00 00 00 00 01 00 00   generation
    24: aa aa aa aa aa aa aa aa aa aa aa aa aa aa aa aa   pool UUID
    40: 07 00 00 00 00 01 00 00   root generation
    48: 09 00 00 00               open generation
    52: 0b 00 00 00               journal slot
    56: 00 00 00 00 02 00 00 00   journal sequence
    64: ef be ad de               checksum of the block before
    68: 03 00 00 00               next family
    72: 04 00 00 00               next queue item
    76: 02 01 00 00 14 13 12 11 00 00 00 00 01 00 00 00   catalog: pbn, crc, birth, pages
    92: 02 02 00 00 24 23 22 21 00 00 00 00 02 00 00 00   group list: pbn, crc, birth, groups
   108: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00   free queue: none
   124: e8 03 00 00               allocated
   128: 64 00 00 00               metadata
   132: 40 00 00 00               reserved
   136: 00 00 00 00               slack
  4092: 1a 2e 2d 43               crc32c with copy number 0
`,
);
const expected = { cell: 5, poolUuid: root.poolUuid, copyNumber: 1 };

function encoded(value: CellRoot, copyNumber: number): Uint8Array {
  const page = new Uint8Array(blockSizeBytes).fill(0xee);
  encodeCellRoot(value, copyNumber, page);
  return page;
}

function resealed(offsetBytes: number, bytes: readonly number[]): Uint8Array {
  const page = withBytes(golden, offsetBytes, bytes);
  page[12] = 0;
  new DataView(page.buffer).setUint32(4092, crc32c(page.subarray(0, 4092)), true);
  page[12] = golden[12]!;
  return page;
}

const counted = fc.record({ pointer, count: u32 });
const anyRoot: fc.Arbitrary<CellRoot> = fc.record({
  cell: fc.nat(63),
  poolUuid: uuid,
  rootGeneration: counter,
  openGeneration: u32,
  journalStart: fc.record({ slot: u32, sequence: counter, prevCrc: u32 }),
  nextFamilyId: u32,
  nextQueueItemId: u32,
  catalog: counted,
  groupList: counted,
  freeQueue: counted,
  allocatedBlocks: u32,
  metadataBlocks: u32,
  reservedBlocks: u32,
  slackBlocks: u32,
});

describe('encodeCellRoot()', () => {
  test('writes the golden bytes, every byte of the page', () => {
    expect(hexLines(encoded(root, 1))).toEqual(hexLines(golden));
  });

  test('gives both copies the same checksum', () => {
    expect(encoded(root, 0).subarray(13)).toEqual(encoded(root, 1).subarray(13));
  });

  test('refuses a third copy and a UUID of 15 bytes', () => {
    expect(() => encoded(root, 2)).toThrow(ourBug);
    expect(() => encoded({ ...root, poolUuid: new Uint8Array(15) }, 0)).toThrow(ourBug);
  });
});

describe('decodeCellRoot()', () => {
  test('reads the golden bytes', () => {
    expect(decodeCellRoot(golden, expected)).toEqual(root);
  });

  test('returns what was encoded', () => {
    fc.assert(
      fc.property(anyRoot, fc.nat(1), (value, copyNumber) => {
        const place = { cell: value.cell, poolUuid: value.poolUuid, copyNumber };
        expect(decodeCellRoot(encoded(value, copyNumber), place)).toEqual(value);
      }),
    );
  });

  test('notices every flipped bit', () => {
    expect(unnoticedFlips(golden, (page) => decodeCellRoot(page, expected))).toEqual([]);
  });

  test.each([
    ['a page cut short', golden.subarray(0, 4095), 'length'],
    ['an empty page', new Uint8Array(blockSizeBytes), 'checksum'],
    ['a changed byte', withBytes(golden, 130, [1]), 'checksum'],
    ['the other copy', encoded(root, 0), 'position'],
    ['another magic', resealed(0, [0x32]), 'magic'],
    ['another type of page', resealed(2, [5]), 'position'],
    ['another level', resealed(3, [1]), 'position'],
    ['another cell', resealed(4, [6]), 'position'],
    ['a family', resealed(8, [1]), 'position'],
    ['reserved bytes of the header', resealed(7, [1]), 'reserved'],
    ['another pool', resealed(39, [0xab]), 'position'],
    ['two generations', resealed(40, [8]), 'range'],
    ['a generation above 2^53', resealed(23, [1]), 'range'],
    ['a sequence above 2^53', resealed(63, [1]), 'range'],
    ['a null pointer with a checksum', resealed(112, [1]), 'range'],
    ['the first reserved byte', resealed(140, [1]), 'reserved'],
    ['the last reserved byte', resealed(4091, [1]), 'reserved'],
  ])('refuses %s', (_, page, kind) => {
    expect(refusal(() => decodeCellRoot(page, expected))).toBe(kind);
  });
});
