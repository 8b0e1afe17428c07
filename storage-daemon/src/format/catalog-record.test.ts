import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import {
  birth,
  createdMs,
  pointer,
  textOfBytes,
  u32,
  uuid,
} from '../testing/format/arbitraries.ts';
import { ourBug, refusal, unnoticedFlips, withBytes } from '../testing/format/decoding.ts';
import { goldenBytes, hexLines } from '../testing/format/golden-bytes.ts';
import {
  type CatalogRecord,
  catalogRecordBytes,
  decodeCatalogRecord,
  encodeCatalogRecord,
} from './catalog-record.ts';
import { crc32c } from './checksum.ts';
import { nullPointer } from './metadata-pointer.ts';

const snapshot: CatalogRecord = {
  id: 17,
  kind: 'snapshot',
  isDeleted: true,
  isWalking: false,
  level: 2,
  family: 3,
  parent: 8,
  childCount: 2,
  epoch: 5,
  curEpoch: 0,
  sizeBlocks: 65_536,
  root: { pbn: 0x101, crc: 0x11121314, birth: 5 },
  deadData: { pbn: 0x202, crc: 0x21222324, birth: 0 },
  deadMeta: nullPointer,
  attributes: { pbn: 0x404, crc: 0x41424344, birth: 0 },
  referencedBlocks: 100,
  ownBlocks: 10,
  deadBlocks: 1,
  slackBlocks: 0,
  walkCursor: 0,
  walkBound: 0,
  createdMs: 1_700_000_000_000,
  uuid: new Uint8Array(16).fill(0xcd),
  name: 'nächtlich',
};

const golden = goldenBytes(
  catalogRecordBytes,
  `
     0: 11 00 00 00               id
     4: 02                        kind: snapshot
     5: 01                        flags: deleted
     6: 02                        level
     8: 03 00 00 00               family
    12: 09 00 00 00               parent: node 8
    16: 02 00 00 00               children
    20: 05 00 00 00               epoch
    24: 00 00 00 00               curEpoch: not a head
    28: 00 00 01 00               size
    32: 01 01 00 00 14 13 12 11 05 00 00 00   map: pbn, crc, birth
    44: 02 02 00 00 24 23 22 21 00 00 00 00   dead list of data
    56: 00 00 00 00 00 00 00 00 00 00 00 00   dead list of map pages: none
    68: 04 04 00 00 44 43 42 41 00 00 00 00   attributes
    80: 64 00 00 00               referenced
    84: 0a 00 00 00               own
    88: 01 00 00 00               dead
    92: 00 00 00 00               slack
    96: 00 00 00 00               walk cursor
   100: 00 00 00 00               walk bound
   104: 00 00 80 56 fe bc 78 42   created: 1.7e12 as f64
   112: cd cd cd cd cd cd cd cd cd cd cd cd cd cd cd cd   UUID
   128: 0a                        name length
   129: "nächtlich"               name
   252: 25 20 2a f3               crc32c
`,
);

function encoded(record: CatalogRecord): Uint8Array {
  const bytes = new Uint8Array(catalogRecordBytes).fill(0xee);
  encodeCatalogRecord(record, bytes);
  return bytes;
}

function resealed(
  ...changes: readonly [offsetBytes: number, bytes: readonly number[]][]
): Uint8Array {
  const bytes = new Uint8Array(golden);
  for (const [offset, values] of changes) bytes.set(values, offset);
  new DataView(bytes.buffer).setUint32(252, crc32c(bytes.subarray(0, 252)), true);
  return bytes;
}

const anyRecord: fc.Arbitrary<CatalogRecord> = fc
  .record({
    id: u32,
    kind: fc.constantFrom('volume' as const, 'snapshot' as const),
    isDeleted: fc.boolean(),
    isWalking: fc.boolean(),
    level: fc.nat(28),
    family: u32,
    parent: fc.option(fc.nat(2 ** 20), { nil: undefined }),
    childCount: u32,
    epoch: birth,
    sizeBlocks: u32,
    root: pointer,
    deadData: pointer,
    deadMeta: pointer,
    attributes: pointer,
    referencedBlocks: u32,
    ownBlocks: u32,
    deadBlocks: u32,
    slackBlocks: u32,
    walkCursor: u32,
    walkBound: u32,
    createdMs,
    uuid,
    name: textOfBytes(100),
  })
  .map(({ epoch, ...rest }) => ({
    ...rest,
    epoch: rest.kind === 'snapshot' ? epoch : 0,
    curEpoch: rest.kind === 'volume' ? epoch : 0,
    isDeleted: rest.isDeleted || rest.isWalking,
    parent: rest.isWalking ? undefined : rest.parent,
  }));

describe('encodeCatalogRecord()', () => {
  test('writes the golden bytes, every byte of the record', () => {
    expect(hexLines(encoded(snapshot))).toEqual(hexLines(golden));
  });

  test.each<[string, Partial<CatalogRecord>]>([
    ['a snapshot without epoch', { epoch: 0 }],
    ['a snapshot with a curEpoch', { curEpoch: 6 }],
    ['a head with an epoch', { kind: 'volume', curEpoch: 6 }],
    [
      'a walking node that is not deleted',
      { isWalking: true, isDeleted: false, parent: undefined },
    ],
    ['a walking node with a parent', { isWalking: true }],
    ['an epoch of 29 bits', { epoch: 2 ** 28 }],
    ['a name of 101 bytes', { name: 'ä'.repeat(50) + 'a' }],
    ['a UUID of 15 bytes', { uuid: new Uint8Array(15) }],
  ])('refuses to write %s', (_, change) => {
    expect(() => encoded({ ...snapshot, ...change })).toThrow(ourBug);
  });
});

describe('decodeCatalogRecord()', () => {
  test('reads the golden bytes', () => {
    expect(decodeCatalogRecord(golden)).toEqual(snapshot);
  });

  test('finds no record in zeros', () => {
    expect(decodeCatalogRecord(new Uint8Array(catalogRecordBytes))).toBeUndefined();
  });

  test('returns what was encoded', () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        expect(decodeCatalogRecord(encoded(record))).toEqual(record);
      }),
    );
  });

  test('notices every flipped bit', () => {
    expect(unnoticedFlips(golden, (bytes) => decodeCatalogRecord(bytes))).toEqual([]);
  });

  test.each([
    ['a record cut short', golden.subarray(0, 255), 'length'],
    ['a changed byte', withBytes(golden, 31, [1]), 'checksum'],
    ['kind 0', resealed([4, [0]]), 'range'],
    ['kind 3', resealed([4, [3]]), 'range'],
    ['an unknown flag', resealed([5, [4]]), 'reserved'],
    ['a map of height 29', resealed([6, [29]]), 'range'],
    ['reserved byte 7', resealed([7, [1]]), 'reserved'],
    ['a snapshot without epoch', resealed([20, [0]]), 'range'],
    ['a snapshot with a curEpoch', resealed([24, [1]]), 'range'],
    ['an epoch of 29 bits', resealed([23, [0x10]]), 'range'],
    ['a walking node with a parent', resealed([5, [3]]), 'range'],
    ['a walking node that is not deleted', resealed([5, [2]], [12, [0]]), 'range'],
    ['a null pointer with a checksum', resealed([60, [1]]), 'range'],
    ['a creation time that is no number', resealed([110, [0xf8, 0x7f]]), 'range'],
    ['a name of 101 bytes', resealed([128, [101]]), 'range'],
    ['a name that is not UTF-8', resealed([130, [0xff]]), 'range'],
    ['bytes behind the name', resealed([139, [1]]), 'reserved'],
    ['the last reserved byte', resealed([251, [1]]), 'reserved'],
  ])('refuses %s', (_, bytes, kind) => {
    expect(refusal(() => decodeCatalogRecord(bytes))).toBe(kind);
  });
});
