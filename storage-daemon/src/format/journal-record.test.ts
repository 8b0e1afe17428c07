import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { birth, createdMs, pbn, textOfBytes, u32, uuid } from '../testing/format/arbitraries.ts';
import { ourBug, refusal, withBytes } from '../testing/format/decoding.ts';
import { goldenBytes, hexLines } from '../testing/format/golden-bytes.ts';
import {
  attributesBytesMax,
  clearBlocksMax,
  decodeJournalRecords,
  encodeJournalRecord,
  type JournalRecord,
  recordSlotsMax,
  setBlocksMax,
  setClustersMax,
} from './journal-record.ts';

const payload = {
  uuid: new Uint8Array(16).fill(0xcd),
  createdMs: 1_700_000_000_000,
  sizeBlocks: 0x10000,
  name: 'v1',
  attributes: '{"a":1}',
};
const emptyPayload = `
    16: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00   UUID: none
    32: 00 00 00 00 00 00 00 00   created: unused
    40: 00 00 00 00               size: unused`;
const payloadHead = `
    16: cd cd cd cd cd cd cd cd cd cd cd cd cd cd cd cd   UUID
    32: 00 00 80 56 fe bc 78 42   created: 1.7e12 as f64
    40: 00 00 01 00               size`;
const payloadTail = `
    48: 02                        name length
    49: "v1"                      name
    51: 07 00                     attributes length
    53: "{"a":1}"                 attributes`.replace('"{"a":1}"', '7b 22 61 22 3a 31 7d');

const cases: readonly [string, JournalRecord, Uint8Array][] = [
  [
    'SET',
    { op: 'set', node: 1, lbn: 2, pbn: 3, count: 256 },
    goldenBytes(16, '0: 01 ff 00 00 01 00 00 00 02 00 00 00 03 00 00 00'),
  ],
  [
    'CLEAR',
    { op: 'clear', node: 1, lbn: 2, count: 4096 },
    goldenBytes(16, '0: 02 00 00 10 01 00 00 00 02 00 00 00 00 00 00 00'),
  ],
  [
    'WALK',
    { op: 'walk', node: 1, cursor: 2 },
    goldenBytes(16, '0: 03 00 00 00 01 00 00 00 02 00 00 00 00 00 00 00'),
  ],
  [
    'FREED',
    { op: 'freed', item: 1, done: 2 },
    goldenBytes(16, '0: 04 00 00 00 00 00 00 00 01 00 00 00 02 00 00 00'),
  ],
  [
    'GROUP_GET',
    { op: 'groupGet', group: 1 },
    goldenBytes(16, '0: 05 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00'),
  ],
  [
    'GROUP_PUT',
    { op: 'groupPut', group: 1 },
    goldenBytes(16, '0: 0d 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00'),
  ],
  [
    'DELETE',
    { op: 'delete', node: 1 },
    goldenBytes(16, '0: 06 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00'),
  ],
  [
    'CREATE',
    { op: 'create', node: 1, curEpoch: 2, family: 3, payload },
    goldenBytes(
      64,
      `0: 07 00 2c 00 01 00 00 00 00 00 00 00 02 00 00 00${payloadHead}\n44: 03 00 00 00  family${payloadTail}`,
    ),
  ],
  [
    'SNAPSHOT',
    { op: 'snapshot', source: 1, node: 4, curEpoch: 2, payload },
    goldenBytes(
      64,
      `0: 08 00 2c 00 01 00 00 00 04 00 00 00 02 00 00 00${payloadHead}${payloadTail}`,
    ),
  ],
  [
    'CLONE',
    { op: 'clone', source: 1, node: 4, curEpoch: 2, payload },
    goldenBytes(
      64,
      `0: 09 00 2c 00 01 00 00 00 04 00 00 00 02 00 00 00${payloadHead}${payloadTail}`,
    ),
  ],
  [
    'REVERT',
    { op: 'revert', source: 1, node: 4, curEpoch: 2, snapshot: 5, attributes: '{}' },
    goldenBytes(
      64,
      `0: 0a 00 25 00 01 00 00 00 04 00 00 00 02 00 00 00${emptyPayload}\n44: 05 00 00 00  snapshot\n48: 00 02 00 7b 7d  no name, attributes`,
    ),
  ],
  [
    'RESIZE',
    { op: 'resize', node: 1, sizeBlocks: 2 },
    goldenBytes(16, '0: 0b 00 00 00 01 00 00 00 02 00 00 00 00 00 00 00'),
  ],
  [
    'ATTRIBUTES',
    { op: 'attributes', node: 1, attributes: '{}' },
    goldenBytes(
      64,
      `0: 0c 00 25 00 01 00 00 00 00 00 00 00 00 00 00 00${emptyPayload}\n48: 00 02 00 7b 7d  no name, attributes`,
    ),
  ],
  [
    'SET_CLUSTERS',
    { op: 'setClusters', node: 1, cluster: 2, base: 3, count: 256 },
    goldenBytes(16, '0: 0e 00 00 01 01 00 00 00 02 00 00 00 03 00 00 00'),
  ],
  [
    'SET_PART',
    { op: 'setPart', node: 1, cluster: 2, base: 0xfffffff, mask: 0x8001 },
    goldenBytes(16, '0: 0f 00 01 80 01 00 00 00 02 00 00 00 ff ff ff 0f'),
  ],
  [
    'VALID',
    { op: 'valid', node: 1, cluster: 2, base: 3, mask: 0xffff },
    goldenBytes(16, '0: 10 00 ff ff 01 00 00 00 02 00 00 00 03 00 00 00'),
  ],
  [
    'HEAL',
    { op: 'heal', node: 1, cluster: 2, base: 3 },
    goldenBytes(16, '0: 11 00 00 00 01 00 00 00 02 00 00 00 03 00 00 00'),
  ],
  [
    'SPLIT',
    { op: 'split', node: 1, cluster: 2 },
    goldenBytes(16, '0: 12 00 00 00 01 00 00 00 02 00 00 00 00 00 00 00'),
  ],
];
const create = cases.find(([name]) => name === 'CREATE')![2];

const attributes = textOfBytes(300);
const anyPayload = fc.record({
  uuid,
  createdMs,
  sizeBlocks: u32,
  name: textOfBytes(100),
  attributes,
});
const base = fc.integer({ min: 1, max: 2 ** 28 - 1 });
const anyRecord: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.record({
    op: fc.constant('set' as const),
    node: u32,
    lbn: u32,
    pbn,
    count: fc.integer({ min: 1, max: setBlocksMax }),
  }),
  fc.record({
    op: fc.constant('clear' as const),
    node: u32,
    lbn: u32,
    count: fc.integer({ min: 1, max: clearBlocksMax }),
  }),
  fc.record({
    op: fc.constant('setClusters' as const),
    node: u32,
    cluster: u32,
    base,
    count: fc.integer({ min: 1, max: setClustersMax }),
  }),
  fc.record({
    op: fc.constantFrom('setPart' as const, 'valid' as const),
    node: u32,
    cluster: u32,
    base,
    mask: fc.integer({ min: 1, max: 0xffff }),
  }),
  fc.record({ op: fc.constant('heal' as const), node: u32, cluster: u32, base }),
  fc.record({ op: fc.constant('split' as const), node: u32, cluster: u32 }),
  fc.record({ op: fc.constant('walk' as const), node: u32, cursor: u32 }),
  fc.record({ op: fc.constant('freed' as const), item: u32, done: u32 }),
  fc.record({ op: fc.constant('groupGet' as const), group: u32 }),
  fc.record({ op: fc.constant('groupPut' as const), group: u32 }),
  fc.record({ op: fc.constant('delete' as const), node: u32 }),
  fc.record({
    op: fc.constant('create' as const),
    node: u32,
    curEpoch: birth,
    family: u32,
    payload: anyPayload,
  }),
  fc.record({
    op: fc.constantFrom('snapshot' as const, 'clone' as const),
    source: u32,
    node: u32,
    curEpoch: birth,
    payload: anyPayload,
  }),
  fc.record({
    op: fc.constant('revert' as const),
    source: u32,
    node: u32,
    curEpoch: birth,
    snapshot: u32,
    attributes,
  }),
  fc.record({ op: fc.constant('resize' as const), node: u32, sizeBlocks: u32 }),
  fc.record({ op: fc.constant('attributes' as const), node: u32, attributes }),
);

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

describe('encodeJournalRecord()', () => {
  test.each(cases)('writes the golden bytes of %s', (_, record, golden) => {
    expect(hexLines(encodeJournalRecord(record))).toEqual(hexLines(golden));
    expect(encodeJournalRecord(record)).toHaveLength(golden.length);
  });

  test('lets the largest record take no more than its bound', () => {
    const largest = {
      ...payload,
      name: 'n'.repeat(100),
      attributes: 'a'.repeat(attributesBytesMax),
    };
    const bytes = encodeJournalRecord({
      op: 'clone',
      source: 1,
      node: 2,
      curEpoch: 3,
      payload: largest,
    });
    expect(bytes.length / 16).toBeLessThanOrEqual(recordSlotsMax);
    expect(decodeJournalRecords(bytes)).toMatchObject([{ payload: largest }]);
  });

  test.each<[string, JournalRecord]>([
    ['a SET of no blocks', { op: 'set', node: 1, lbn: 2, pbn: 3, count: 0 }],
    ['a SET of 257 blocks', { op: 'set', node: 1, lbn: 2, pbn: 3, count: 257 }],
    ['a CLEAR of no blocks', { op: 'clear', node: 1, lbn: 2, count: 0 }],
    ['a CLEAR of 4,097 blocks', { op: 'clear', node: 1, lbn: 2, count: 4097 }],
    ['attributes of 3,073 bytes', { op: 'attributes', node: 1, attributes: 'a'.repeat(3073) }],
    [
      'a name of 101 bytes',
      {
        op: 'create',
        node: 1,
        curEpoch: 1,
        family: 1,
        payload: { ...payload, name: 'n'.repeat(101) },
      },
    ],
  ])('refuses to write %s', (_, record) => {
    expect(() => encodeJournalRecord(record)).toThrow(ourBug);
  });
});

describe('decodeJournalRecords()', () => {
  test.each(cases)('reads the golden bytes of %s', (_, record, golden) => {
    expect(decodeJournalRecords(golden)).toEqual([record]);
  });

  test('returns all records of a block in order, without the padding between them', () => {
    fc.assert(
      fc.property(fc.array(fc.option(anyRecord), { maxLength: 6 }), (records) => {
        const parts = records.map((record) =>
          record ? encodeJournalRecord(record) : new Uint8Array(16),
        );
        expect(decodeJournalRecords(joined(parts))).toEqual(
          records.filter((record) => record !== null),
        );
      }),
    );
  });

  const single = (golden: number[]) =>
    Uint8Array.from({ length: 16 }, (_, index) => golden[index] ?? 0);
  test.each([
    ['an unknown record', single([200]), 'range'],
    ['an unknown record with a payload', withBytes(create, 0, [200]), 'unsupported'],
    ['NOP with a field', single([0, 0, 0, 0, 1]), 'reserved'],
    ['SET with flags', single([1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), 'reserved'],
    ['SET to no block', single([1, 0, 0, 0, 0, 0, 0, 0, 1]), 'range'],
    ['CLEAR of no blocks', single([2, 0, 0, 0]), 'range'],
    ['CLEAR of 4,097 blocks', single([2, 0, 1, 16]), 'range'],
    ['CLEAR with a pbn', single([2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), 'reserved'],
    ['WALK with a pbn', single([3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), 'reserved'],
    ['FREED with a node', single([4, 0, 0, 0, 1]), 'reserved'],
    ['GROUP_GET with an lbn', single([5, 0, 0, 0, 0, 0, 0, 0, 1]), 'reserved'],
    ['GROUP_PUT with an lbn', single([13, 0, 0, 0, 0, 0, 0, 0, 1]), 'reserved'],
    ['DELETE with an argument', single([6, 1]), 'reserved'],
    ['RESIZE with flags', single([11, 0, 1]), 'reserved'],
    ['CREATE with an argument', withBytes(create, 1, [1]), 'reserved'],
    ['a payload that leaves the block', create.subarray(0, 48), 'range'],
    ['a payload shorter than its fixed fields', withBytes(create, 2, [34]), 'range'],
    ['a payload longer than its text', withBytes(create, 2, [45]), 'range'],
    ['a payload shorter than its text', withBytes(create, 2, [43]), 'reserved'],
    ['a name of 101 bytes', withBytes(create, 48, [101]), 'range'],
    ['a name longer than the payload', withBytes(create, 48, [10]), 'range'],
    ['attributes longer than the payload', withBytes(create, 51, [8]), 'range'],
    ['a name that is not UTF-8', withBytes(create, 49, [0xc0]), 'range'],
    ['attributes that are not UTF-8', withBytes(create, 53, [0xff]), 'range'],
    ['bytes behind the payload', withBytes(create, 63, [1]), 'reserved'],
  ])('refuses %s', (_, slots, kind) => {
    expect(refusal(() => decodeJournalRecords(slots))).toBe(kind);
  });

  test('refuses a record that begins after a whole one', () => {
    const slots = joined([create, single([99])]);
    expect(refusal(() => decodeJournalRecords(slots))).toBe('range');
  });
});
