import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { birth, pbn, u32 } from '../testing/format/arbitraries.ts';
import { ourBug, refusal, withBytes } from '../testing/format/decoding.ts';
import { goldenBytes, hexLines } from '../testing/format/golden-bytes.ts';
import { blockSizeBytes } from '../units.ts';
import {
  type DeadBucketRecord,
  deadPageEntries,
  type DeadSegmentRecord,
  decodeDeadDirectory,
  decodeDeadPage,
  decodeFreeQueue,
  encodeDeadDirectory,
  encodeDeadPage,
  encodeFreeQueue,
  type FreeQueueItemRecord,
} from './dead-list.ts';

const goldenPage = goldenBytes(
  blockSizeBytes,
  `
     0: 01 01 00 00               pbn
     4: 05 00 00 00               birth, run of 1
     8: ff ff ff ff               pbn
    12: ff ff ff 0f               the largest birth
`,
);
const pageEntries = { pbns: [0x101, 0xffffffff], births: [5, 0x0fffffff] };

const buckets: readonly DeadBucketRecord[] = [
  { birthLow: 0, blockCount: 1, segments: [{ kind: 'entries', pbns: [0x101], births: [2] }] },
  {
    birthLow: 3,
    blockCount: 513,
    segments: [
      { kind: 'page', pbn: 0x202, crc: 0x21222324, count: 512 },
      { kind: 'entries', pbns: [0x303], births: [4] },
    ],
  },
];
const goldenDirectory = goldenBytes(
  64,
  `
     0: 02 00 00 00               buckets
     4: 00 00 00 00               births above
     8: 01 00 00 00               blocks
    12: 01 00 00 00               segments
    16: 01 00 00 00               one entry
    20: 01 01 00 00 02 00 00 00   pbn, birth
    28: 03 00 00 00               births above
    32: 01 02 00 00               blocks
    36: 02 00 00 00               segments
    40: 00 02 00 80               a page of 512 entries
    44: 02 02 00 00 24 23 22 21   pbn, crc
    52: 01 00 00 00               one entry
    56: 03 03 00 00 04 00 00 00   pbn, birth
`,
);

const items: readonly FreeQueueItemRecord[] = [
  {
    id: 7,
    isMeta: false,
    done: 1,
    blockCount: 2,
    segments: [{ kind: 'entries', pbns: [1, 2], births: [3, 4] }],
  },
  {
    id: 9,
    isMeta: true,
    done: 0,
    blockCount: 5,
    segments: [{ kind: 'page', pbn: 6, crc: 7, count: 5 }],
  },
];
const goldenQueue = goldenBytes(
  76,
  `
     0: 02 00 00 00               items
     4: 07 00 00 00               id
     8: 00 00 00 00               data
    12: 01 00 00 00               done
    16: 02 00 00 00               blocks
    20: 01 00 00 00               segments
    24: 02 00 00 00               two entries
    28: 01 00 00 00 03 00 00 00   pbn, birth
    36: 02 00 00 00 04 00 00 00   pbn, birth
    44: 09 00 00 00               id
    48: 01 00 00 00               map pages
    52: 00 00 00 00               done
    56: 05 00 00 00               blocks
    60: 01 00 00 00               segments
    64: 05 00 00 80               a page of 5 entries
    68: 06 00 00 00 07 00 00 00   pbn, crc
`,
);

const anyEntries = fc.array(fc.tuple(u32, birth), { maxLength: 20 }).map((entries) => ({
  kind: 'entries' as const,
  pbns: entries.map(([value]) => value),
  births: entries.map(([, value]) => value),
}));
const anySegment: fc.Arbitrary<DeadSegmentRecord> = fc.oneof(
  anyEntries,
  fc.record({
    kind: fc.constant('page' as const),
    pbn,
    crc: u32,
    count: fc.integer({ min: 1, max: deadPageEntries }),
  }),
);
const anySegments = fc.array(anySegment, { maxLength: 5 });
const rising = fc.uniqueArray(u32, { maxLength: 8 }).map((list) => list.sort((a, b) => a - b));
const anyBuckets = fc
  .tuple(rising, fc.array(fc.tuple(u32, anySegments), { minLength: 8, maxLength: 8 }))
  .map(([lows, rest]): DeadBucketRecord[] =>
    lows.map((birthLow, index) => ({
      birthLow,
      blockCount: rest[index]![0],
      segments: rest[index]![1],
    })),
  );
const anyItems = fc
  .tuple(
    rising,
    fc.array(fc.tuple(fc.boolean(), u32, u32, anySegments), { minLength: 8, maxLength: 8 }),
  )
  .map(([ids, rest]): FreeQueueItemRecord[] =>
    ids.map((id, index) => {
      const [isMeta, done, blockCount, segments] = rest[index]!;
      return { id, isMeta, done, blockCount, segments };
    }),
  );

describe('pages of dead blocks', () => {
  const page = new Uint8Array(blockSizeBytes).fill(0xee);

  test('encodeDeadPage() writes the golden bytes, every byte of the page', () => {
    encodeDeadPage(pageEntries, page);
    expect(hexLines(page)).toEqual(hexLines(goldenPage));
  });

  test('decodeDeadPage() returns what was encoded', () => {
    expect(decodeDeadPage(goldenPage, 2)).toEqual(pageEntries);
    fc.assert(
      fc.property(fc.array(fc.tuple(u32, birth), { maxLength: deadPageEntries }), (list) => {
        const entries = {
          pbns: list.map(([value]) => value),
          births: list.map(([, value]) => value),
        };
        encodeDeadPage(entries, page);
        expect(decodeDeadPage(page, list.length)).toEqual(entries);
      }),
    );
  });

  test('encodeDeadPage() refuses a birth of 29 bits and more entries than a page has', () => {
    expect(() => encodeDeadPage({ pbns: [1], births: [2 ** 28] }, page)).toThrow(ourBug);
    const many = Array.from({ length: 513 }, () => 1);
    expect(() => encodeDeadPage({ pbns: many, births: many }, page)).toThrow(ourBug);
  });

  test.each([
    ['a page cut short', goldenPage.subarray(0, 4095), 2, 'length'],
    ['an entry behind the last', goldenPage, 1, 'reserved'],
    ['the last byte behind the last', withBytes(goldenPage, 4095, [1]), 2, 'reserved'],
    ['a run of two', withBytes(goldenPage, 7, [0x10]), 2, 'unsupported'],
    ['more entries than a page has', goldenPage, 513, 'range'],
  ])('decodeDeadPage() refuses %s', (_, bytes, count, kind) => {
    expect(refusal(() => decodeDeadPage(bytes, count))).toBe(kind);
  });
});

describe('directories of dead lists', () => {
  test('encodeDeadDirectory() writes the golden bytes', () => {
    expect(hexLines(encodeDeadDirectory(buckets))).toEqual(hexLines(goldenDirectory));
    expect(encodeDeadDirectory([])).toHaveLength(0);
  });

  test('decodeDeadDirectory() returns what was encoded', () => {
    expect(decodeDeadDirectory(goldenDirectory)).toEqual(buckets);
    fc.assert(
      fc.property(anyBuckets, (list) => {
        expect(decodeDeadDirectory(encodeDeadDirectory(list))).toEqual(list);
      }),
    );
  });

  test('decodeDeadDirectory() refuses every shorter and every longer text', () => {
    for (let length = 1; length < goldenDirectory.length; length++) {
      expect(refusal(() => decodeDeadDirectory(goldenDirectory.subarray(0, length)))).toBe('range');
    }
    expect(refusal(() => decodeDeadDirectory(new Uint8Array(65).fill(0)))).toBe('range');
  });

  test.each([
    ['buckets that do not rise', withBytes(goldenDirectory, 28, [0]), 'range'],
    ['more buckets than there are', withBytes(goldenDirectory, 0, [3]), 'range'],
    ['2^32 - 1 buckets', withBytes(goldenDirectory, 0, [255, 255, 255, 255]), 'range'],
    ['2^31 - 1 entries', withBytes(goldenDirectory, 16, [255, 255, 255, 127]), 'range'],
    ['a page of no entries', withBytes(goldenDirectory, 40, [0, 0]), 'range'],
    ['a page of 513 entries', withBytes(goldenDirectory, 40, [1, 2]), 'range'],
    ['a page at the null block', withBytes(goldenDirectory, 44, [0, 0]), 'range'],
    ['a run of two', withBytes(goldenDirectory, 27, [0x10]), 'unsupported'],
  ])('decodeDeadDirectory() refuses %s', (_, bytes, kind) => {
    expect(refusal(() => decodeDeadDirectory(bytes))).toBe(kind);
  });

  test('encodeDeadDirectory() refuses impossible segments', () => {
    const withSegment = (segment: DeadSegmentRecord) => () =>
      encodeDeadDirectory([{ birthLow: 0, blockCount: 1, segments: [segment] }]);
    expect(withSegment({ kind: 'entries', pbns: [1], births: [2 ** 28] })).toThrow(ourBug);
    expect(withSegment({ kind: 'page', pbn: 0, crc: 1, count: 1 })).toThrow(ourBug);
    expect(withSegment({ kind: 'page', pbn: 1, crc: 1, count: 513 })).toThrow(ourBug);
  });
});

describe('the free queue', () => {
  test('encodeFreeQueue() writes the golden bytes', () => {
    expect(hexLines(encodeFreeQueue(items))).toEqual(hexLines(goldenQueue));
    expect(encodeFreeQueue([])).toHaveLength(0);
  });

  test('decodeFreeQueue() returns what was encoded', () => {
    expect(decodeFreeQueue(goldenQueue)).toEqual(items);
    fc.assert(
      fc.property(anyItems, (list) => {
        expect(decodeFreeQueue(encodeFreeQueue(list))).toEqual(list);
      }),
    );
  });

  test.each([
    ['ids that do not rise', withBytes(goldenQueue, 44, [7]), 'range'],
    ['an unknown kind of item', withBytes(goldenQueue, 48, [2]), 'range'],
    ['an item too many', withBytes(goldenQueue, 0, [3]), 'range'],
    ['an item too few', withBytes(goldenQueue, 0, [1]), 'range'],
  ])('decodeFreeQueue() refuses %s', (_, bytes, kind) => {
    expect(refusal(() => decodeFreeQueue(bytes))).toBe(kind);
  });
});
