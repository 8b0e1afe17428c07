import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { birth, pbn, u32 } from '../testing/format/arbitraries.ts';
import { ourBug, refusal, withBytes } from '../testing/format/decoding.ts';
import { goldenBytes, hexLines } from '../testing/format/golden-bytes.ts';
import { blockSizeBytes, clusterSizeBlocks } from '../units.ts';
import {
  copyLeaf,
  countMapped,
  decodeMapExtension,
  decodeMapLeaf,
  emptyLeaf,
  emptySplitRecord,
  encodeMapExtension,
  encodeMapLeaf,
  extensionRecords,
  extensionsMax,
  inlineRecords,
  leafClustersMax,
  type MapLeaf,
  type SplitRecord,
} from './map-leaf.ts';
import { PageType, type PagePosition } from './page-header.ts';

const position: PagePosition = { type: PageType.mapLeaf, level: 0, cell: 1, family: 7, index: 3 };
const golden = goldenBytes(
  blockSizeBytes,
  `
     0: 31 56                     magic
     2: 02                        type: map leaf
     3: 00                        level
     4: 01 00                     cell
     8: 07 00 00 00               family
    12: 03 00 00 00               index
    16: 09 00 00 00 00 00 00 00   generation
    28: 44 00 00 00               pbn of extension 1
    60: 14 13 12 11               crc of extension 1
    92: 05 00 00 00               birth of extension 1
   120: 02 00                     split records in use
   136: 02 00 00 00 00 00 06 00   cluster 1: SPLIT, record 6
   144: 51 34 12 f0 01 80 00 00   cluster 2: NATURAL, blocks f0123450 to f012345f, of which 0 and 15 are valid
  2168: 02 00 00 00 00 00 28 00   cluster 255: SPLIT, record 40: the second of extension 1
  2184: 06 00 00 00               birth of cluster 2
  3968: 01 10 00 00               record 6: pbn of block 0
  4028: 0f 10 00 00               pbn of block 15
  4032: 05 00 00 00               birth of block 0
  4092: 06 00 00 00               birth of block 15
`,
);
const goldenExtension = goldenBytes(
  blockSizeBytes,
  `
   128: 02 20 00 00               record 1: pbn of block 0
   192: 07 00 00 00               birth of block 0
  4028: ff ff ff ff               record 31: pbn of block 15
  4092: ff ff ff 0f               birth of block 15
`,
);

function record(...blocks: readonly [block: number, pbn: number, birth: number][]): SplitRecord {
  const words = emptySplitRecord();
  for (const [block, pbnOf, birthOf] of blocks) {
    words[block] = pbnOf;
    words[clusterSizeBlocks + block] = birthOf;
  }
  return words;
}

function goldenLeaf(): MapLeaf {
  const leaf = emptyLeaf();
  leaf.extPbn[1] = 0x44;
  leaf.extCrc[1] = 0x11121314;
  leaf.extBirth[1] = 5;
  leaf.splitIndex[1] = 6;
  leaf.splitIndex[255] = 40;
  leaf.base[2] = 0xf012345;
  leaf.validMask[2] = 0x8001;
  leaf.birth[2] = 6;
  leaf.inline[6] = record([0, 0x1001, 5], [15, 0x100f, 6]);
  return leaf;
}

function encoded(leaf: MapLeaf): Uint8Array {
  const page = new Uint8Array(blockSizeBytes).fill(0xee);
  encodeMapLeaf(leaf, { position, generation: 9 }, page);
  return page;
}

function encodedExtension(records: readonly (SplitRecord | undefined)[]): Uint8Array {
  const page = new Uint8Array(blockSizeBytes).fill(0xee);
  encodeMapExtension(records, page);
  return page;
}

const anyRecord = fc
  .array(fc.option(fc.tuple(pbn, birth)), { minLength: 16, maxLength: 16 })
  .filter((blocks) => blocks.some((each) => each !== null))
  .map((blocks) =>
    record(
      ...blocks.flatMap((each, block) =>
        each ? [[block, ...each] as [number, number, number]] : [],
      ),
    ),
  );

/** A leaf with so many split clusters, records given out in a shuffled order, and natural ones among the others. */
const anyLeaf = fc
  .record({
    clusters: fc.uniqueArray(fc.nat(leafClustersMax - 1), { maxLength: leafClustersMax }),
    indexes: fc.shuffledSubarray(
      Array.from({ length: inlineRecords + extensionsMax * extensionRecords }, (_, index) => index),
    ),
    naturals: fc.array(
      fc.tuple(
        fc.nat(leafClustersMax - 1),
        fc.integer({ min: 1, max: 2 ** 28 - 1 }),
        fc.integer({ min: 1, max: 0xffff }),
        birth,
      ),
    ),
    inline: fc.array(anyRecord, { minLength: inlineRecords, maxLength: inlineRecords }),
    pages: fc.array(fc.tuple(pbn, u32, birth), {
      minLength: extensionsMax,
      maxLength: extensionsMax,
    }),
  })
  .map(({ clusters, naturals, indexes, inline, pages }) => {
    const leaf = emptyLeaf();
    for (const [order, cluster] of clusters.entries()) {
      const index = indexes[order];
      if (index === undefined) break;
      leaf.splitIndex[cluster] = index;
      if (index < inlineRecords) {
        leaf.inline[index] = inline[index]!;
        continue;
      }
      const page = Math.floor((index - inlineRecords) / extensionRecords);
      [leaf.extPbn[page], leaf.extCrc[page], leaf.extBirth[page]] = pages[page]!;
    }
    for (const [cluster, base, validMask, bornIn] of naturals) {
      if (leaf.splitIndex[cluster]! >= 0) continue;
      leaf.base[cluster] = base;
      leaf.validMask[cluster] = validMask;
      leaf.birth[cluster] = bornIn;
    }
    return leaf;
  });

describe('encodeMapLeaf()', () => {
  test('writes the golden bytes, every byte of the page', () => {
    expect(hexLines(encoded(goldenLeaf()))).toEqual(hexLines(golden));
  });

  test.each<[string, (leaf: MapLeaf) => void]>([
    ['a split entry without its record', (leaf) => (leaf.inline[6] = undefined)],
    ['an empty record', (leaf) => (leaf.inline[6] = emptySplitRecord())],
    ['a record that no entry uses', (leaf) => (leaf.inline[0] = record([0, 1, 1]))],
    ['a pbn without a birth', (leaf) => (leaf.inline[6] = record([0, 1, 0]))],
    ['a record in an extension that is absent', (leaf) => (leaf.splitIndex[9] = 7)],
    ['an extension that no entry uses', (leaf) => (leaf.extPbn[7] = 9)],
    ['a cluster that is mapped twice', (leaf) => (leaf.splitIndex[2] = 5)],
    ['a natural cluster without a valid block', (leaf) => (leaf.validMask[2] = 0)],
    ['a natural cluster without a birth', (leaf) => (leaf.birth[2] = 0)],
    ['valid blocks of no natural cluster', (leaf) => (leaf.validMask[9] = 1)],
    ['a birth of no natural cluster', (leaf) => (leaf.birth[9] = 1)],
  ])('refuses to write %s', (_, change) => {
    const leaf = goldenLeaf();
    change(leaf);
    expect(() => encoded(leaf)).toThrow(ourBug);
  });
});

describe('decodeMapLeaf()', () => {
  test('reads the golden bytes', () => {
    expect(decodeMapLeaf(golden, position)).toEqual(goldenLeaf());
  });

  test('copyLeaf() gives a copy that nothing is shared with', () => {
    const leaf = goldenLeaf();
    const copy = copyLeaf(leaf, emptyLeaf());
    expect(copy).toEqual(goldenLeaf());
    for (const words of [copy.extPbn, copy.extCrc, copy.extBirth, copy.base, copy.birth])
      words[1] = 77;
    copy.splitIndex[1] = 77;
    copy.validMask[2] = 77;
    copy.inline[6]![0] = 77;
    expect(leaf).toEqual(goldenLeaf());
  });

  test('returns what was encoded', () => {
    fc.assert(
      fc.property(anyLeaf, (leaf) => {
        expect(decodeMapLeaf(encoded(leaf), position)).toEqual(leaf);
      }),
    );
  });

  test.each([
    ['a page cut short', golden.subarray(0, 4095), 'length'],
    ['an empty page', new Uint8Array(blockSizeBytes), 'magic'],
    ['a table', withBytes(golden, 2, [1]), 'position'],
    ['a leaf of another place', withBytes(golden, 12, [4]), 'position'],
    ['a leaf of another family', withBytes(golden, 8, [8]), 'position'],
    ['reserved bytes', withBytes(golden, 122, [1]), 'reserved'],
    ['a wrong count of split entries', withBytes(golden, 120, [3]), 'range'],
    ['a record used twice', withBytes(golden, 152, [2, 0, 0, 0, 0, 0, 6, 0]), 'range'],
    ['a record beyond the last extension', withBytes(golden, 2174, [7, 1]), 'range'],
    ['a record in an absent extension', withBytes(golden, 2174, [7, 0]), 'range'],
    ['an extension without use', withBytes(golden, 24, [1]), 'range'],
    ['a checksum of no extension', withBytes(golden, 56, [1]), 'range'],
    ['a birth of no extension', withBytes(golden, 116, [1]), 'range'],
    ['a natural entry without a base', withBytes(golden, 144, [1, 0, 0, 0]), 'range'],
    ['a natural entry without a valid block', withBytes(golden, 148, [0, 0]), 'range'],
    ['a natural entry with a record', withBytes(golden, 150, [1]), 'range'],
    ['a natural entry without a birth', withBytes(golden, 2184, [0]), 'range'],
    ['a zero entry', withBytes(golden, 136, [3]), 'unsupported'],
    ['a split entry with a base', withBytes(golden, 137, [1]), 'unsupported'],
    ['a split entry with a mask', withBytes(golden, 140, [1]), 'range'],
    ['a hole with a base', withBytes(golden, 129, [1]), 'reserved'],
    ['a hole with a record', withBytes(golden, 134, [1]), 'reserved'],
    ['a birth of no natural entry', withBytes(golden, 2176, [1]), 'range'],
    ['an unused record', withBytes(golden, 3200, [1]), 'reserved'],
    [
      'an empty record',
      withBytes(withBytes(golden, 3968, Array(64).fill(0)), 4032, Array(64).fill(0)),
      'range',
    ],
    ['a birth without a pbn', withBytes(golden, 4036, [1]), 'range'],
    ['a pbn without a birth', withBytes(golden, 4032, [0]), 'range'],
  ])('refuses %s', (_, page, kind) => {
    expect(refusal(() => decodeMapLeaf(page, position))).toBe(kind);
  });
});

describe('map extensions', () => {
  const records = Array.from<unknown, SplitRecord | undefined>({ length: 32 }, () => undefined);
  records[1] = record([0, 0x2002, 7]);
  records[31] = record([15, 0xffffffff, 0x0fffffff]);

  test('encodeMapExtension() writes the golden bytes, every byte of the page', () => {
    expect(hexLines(encodedExtension(records))).toEqual(hexLines(goldenExtension));
  });

  test('decodeMapExtension() reads the golden bytes', () => {
    expect(decodeMapExtension(goldenExtension)).toEqual(records);
  });

  test('decodeMapExtension() returns what was encoded', () => {
    const anyRecords = fc.array(fc.option(anyRecord, { nil: undefined }), {
      minLength: 32,
      maxLength: 32,
    });
    fc.assert(
      fc.property(anyRecords, (list) => {
        expect(decodeMapExtension(encodedExtension(list))).toEqual(list);
      }),
    );
  });

  test.each([
    ['a page cut short', goldenExtension.subarray(0, 4095), 'length'],
    ['a birth without a pbn', withBytes(goldenExtension, 64, [1]), 'range'],
    ['a pbn without a birth', withBytes(goldenExtension, 192, [0]), 'range'],
  ])('decodeMapExtension() refuses %s', (_, page, kind) => {
    expect(refusal(() => decodeMapExtension(page))).toBe(kind);
  });

  test('encodeMapExtension() refuses an empty record and a wrong number of records', () => {
    expect(() => encodedExtension(records.with(0, emptySplitRecord()))).toThrow(ourBug);
    expect(() => encodedExtension(records.slice(1))).toThrow(ourBug);
  });
});

test('countMapped() counts pbns', () => {
  expect(countMapped(emptySplitRecord())).toBe(0);
  expect(countMapped(record([0, 1, 1], [15, 2, 1]))).toBe(2);
});
