import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { counter, u32, uuid } from '../testing/format/arbitraries.ts';
import { ourBug, refusal, unnoticedFlips, withBytes } from '../testing/format/decoding.ts';
import { goldenBytes, hexLines } from '../testing/format/golden-bytes.ts';
import { blockSizeBytes } from '../units.ts';
import { crc32cWithout } from './checksum.ts';
import {
  decodeJournalBlock,
  journalSeed,
  journalSlotBytes,
  journalSlots,
  journalSlotsPerBlock,
  type JournalHeader,
  sealJournalBlock,
} from './journal-block.ts';

const poolUuid = new Uint8Array(16).fill(0xaa);
const seed = journalSeed(poolUuid, 0x105);
const header: JournalHeader = {
  cell: 0x105,
  slotCount: 2,
  sequence: 2 ** 32 + 5,
  durableSequence: 2 ** 32 + 3,
  prevCrc: 0x01020304,
  openGeneration: 9,
  rootGeneration: 7,
};

const golden = goldenBytes(
  blockSizeBytes,
  `
     0: 56 4a 42 31               magic
     4: 05 01                     cell
     6: 02 00                     slots in use
     8: 05 00 00 00 01 00 00 00   sequence
    16: 03 00 00 00 01 00 00 00   durable sequence
    24: 04 03 02 01               checksum of the block before
    28: 09 00 00 00               open generation
    32: 07 00 00 00 00 00 00 00   root generation
    40: 67 60 47 77               crc32c without this field, seeded
    64: 06 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00   slot 0: DELETE of node 1
    80: 06 00 00 00 02 00 00 00 00 00 00 00 00 00 00 00   slot 1: DELETE of node 2
`,
);

function sealed(value: JournalHeader, slots: Uint8Array, withSeed = seed): Uint8Array {
  const page = new Uint8Array(blockSizeBytes).fill(0xee);
  journalSlots(page).set(slots);
  sealJournalBlock(value, page, withSeed);
  return page;
}

function resealed(offsetBytes: number, bytes: readonly number[]): Uint8Array {
  const page = withBytes(golden, offsetBytes, bytes);
  new DataView(page.buffer).setUint32(40, crc32cWithout(page, 40, seed), true);
  return page;
}

function decode(page: Uint8Array) {
  return decodeJournalBlock(page, 0x105, seed);
}

describe('sealJournalBlock()', () => {
  test('writes the golden bytes, and clears what the page held behind the slots', () => {
    expect(hexLines(sealed(header, golden.subarray(64, 96)))).toEqual(hexLines(golden));
  });

  test('returns the checksum that the next block names', () => {
    const page = new Uint8Array(golden);
    expect(sealJournalBlock(header, page, seed)).toBe(decode(page).crc);
  });

  test('refuses more slots than a block has, and a block that is durable already', () => {
    const page = new Uint8Array(blockSizeBytes);
    expect(() => sealJournalBlock({ ...header, slotCount: 253 }, page, seed)).toThrow(ourBug);
    const durable = { ...header, durableSequence: header.sequence };
    expect(() => sealJournalBlock(durable, page, seed)).toThrow(ourBug);
  });
});

describe('decodeJournalBlock()', () => {
  test('reads the golden bytes', () => {
    const { slots, crc, ...rest } = decode(golden);
    expect(rest).toEqual(header);
    expect(crc).toBe(new DataView(golden.buffer).getUint32(40, true));
    expect(slots).toEqual(golden.subarray(64, 96));
  });

  test('returns what was sealed', () => {
    const anyHeader = fc.record({
      cell: fc.nat(0xffff),
      sequence: counter.filter((value) => value > 0),
      prevCrc: u32,
      openGeneration: u32,
      rootGeneration: counter,
    });
    const anySlots = fc
      .uint8Array({ maxLength: journalSlotsPerBlock * journalSlotBytes })
      .map((bytes) => bytes.subarray(0, bytes.length - (bytes.length % journalSlotBytes)));
    fc.assert(
      fc.property(anyHeader, anySlots, fc.nat(), uuid, (partial, slots, durable, pool) => {
        const { cell, sequence } = partial;
        const durableSequence = durable % sequence;
        const value = { ...partial, durableSequence, slotCount: slots.length / journalSlotBytes };
        const ownSeed = journalSeed(pool, cell);
        const found = decodeJournalBlock(sealed(value, slots, ownSeed), cell, ownSeed);
        expect(found).toMatchObject(value);
        expect(Buffer.compare(found.slots, slots)).toBe(0);
      }),
    );
  });

  test('notices every flipped bit', () => {
    expect(unnoticedFlips(golden, decode)).toEqual([]);
  });

  test.each([
    ['a page cut short', golden.subarray(0, 4095), 'length'],
    ['an empty page', new Uint8Array(blockSizeBytes), 'magic'],
    ['another magic', resealed(3, [0x32]), 'magic'],
    ['a changed byte', withBytes(golden, 65, [1]), 'checksum'],
    [
      'a block of another pool',
      sealed(header, golden.subarray(64, 96), journalSeed(new Uint8Array(16), 0x105)),
      'checksum',
    ],
    [
      'a block of another cell',
      sealed({ ...header, cell: 4 }, golden.subarray(64, 96), journalSeed(poolUuid, 4)),
      'checksum',
    ],
    ['a block that names another cell', resealed(4, [6]), 'position'],
    ['253 slots', resealed(6, [253]), 'range'],
    ['bytes behind the slots', resealed(96, [1]), 'reserved'],
    ['the last byte behind the slots', resealed(4095, [1]), 'reserved'],
    ['reserved bytes of the header', resealed(63, [1]), 'reserved'],
    ['a block that was durable when it was built', resealed(16, [5]), 'range'],
    ['a sequence above 2^53', resealed(15, [1]), 'range'],
    ['a root generation above 2^53', resealed(39, [1]), 'range'],
  ])('refuses %s', (_, page, kind) => {
    expect(refusal(() => decode(page))).toBe(kind);
  });
});

describe('journalSeed()', () => {
  test('differs between cells and between pools', () => {
    const seeds = [0, 1, 256].map((cell) => journalSeed(poolUuid, cell));
    seeds.push(journalSeed(new Uint8Array(16), 0));
    expect(new Set(seeds).size).toBe(4);
  });
});
