import { beforeEach, describe, expect, test } from '@jest/globals';

import { viewOf } from '../../format/byte-fields.ts';
import { crc32c } from '../../format/checksum.ts';
import { encodePointer, type MetadataPointer, nullPointer } from '../../format/metadata-pointer.ts';
import {
  encodeStreamPage,
  streamPageBytes,
  streamPageCounts,
  streamPagePointers,
} from '../../format/stream-page.ts';
import { refusal } from '../../testing/format/decoding.ts';
import { buildImage } from '../../testing/image/image-builder.ts';
import { MemoryDevice } from '../../testing/image/memory-device.ts';
import { samplePool } from '../../testing/image/sample-pool.ts';
import type { SimImage } from '../../testing/sim-image.ts';
import { Findings } from '../findings.ts';
import type { PoolReader } from './pool-reader.ts';
import { openPoolReader } from './read-superblocks.ts';
import { readStream } from './read-stream.ts';

const owner = { cell: 0, family: 1 };
const groupStartBlock = 1280;

let image: SimImage;
let reader: PoolReader;
let nextPbn: number;

beforeEach(async () => {
  ({ image } = buildImage([samplePool()]));
  reader = (await openPoolReader([new MemoryDevice('disk', image)], new Findings()))!;
  nextPbn = 300;
});

function put(payload: Uint8Array, level: number, index: number): MetadataPointer {
  const page = new Uint8Array(4096);
  encodeStreamPage(payload, { ...owner, level, index, generation: 1 }, page);
  const pbn = nextPbn++;
  image.writeDurable(groupStartBlock + pbn, page);
  return { pbn, crc: crc32c(page), birth: 0 };
}

function pointerBytes(pointers: readonly MetadataPointer[]): Uint8Array {
  const bytes = new Uint8Array(12 * pointers.length);
  for (const [index, pointer] of pointers.entries())
    encodePointer(viewOf(bytes), 12 * index, pointer);
  return bytes;
}

/** Writes a stream, level by level. */
function putStream(bytes: Uint8Array): MetadataPointer {
  let rest = bytes;
  let partBytes = streamPageBytes;
  for (let level = 0; ; level++) {
    const pointers: MetadataPointer[] = [];
    for (let start = 0; start < rest.length; start += partBytes) {
      pointers.push(put(rest.subarray(start, start + partBytes), level, pointers.length));
    }
    if (pointers.length === 1) return pointers[0]!;
    rest = pointerBytes(pointers);
    partBytes = 12 * streamPagePointers;
  }
}

async function refusalOf(pointer: MetadataPointer): Promise<string> {
  const outcome = await readStream(reader, pointer, owner).then(
    () => () => {},
    (error: unknown) => () => {
      throw error;
    },
  );
  return refusal(outcome);
}

describe('readStream()', () => {
  test.each([
    ['one byte', 1],
    ['a full page', streamPageBytes],
    ['a byte more', streamPageBytes + 1],
    ['a full page of pointers', streamPageBytes * streamPagePointers],
    ['a byte more than that', streamPageBytes * streamPagePointers + 1],
  ])('returns %s and names all its pages', async (_, length) => {
    const bytes = Uint8Array.from({ length }, (_value, index) => index % 251);
    const stream = await readStream(reader, putStream(bytes), owner);
    expect(Buffer.compare(stream.bytes, bytes)).toBe(0);
    const pageCount = streamPageCounts(length).reduce((sum, count) => sum + count, 0);
    expect(new Set(stream.pbns).size).toBe(pageCount);
  });

  test('returns nothing for a null pointer', async () => {
    expect(await readStream(reader, nullPointer, owner)).toEqual({
      bytes: new Uint8Array(0),
      pbns: [],
    });
  });

  test('refuses what is no stream', async () => {
    const full = new Uint8Array(streamPageBytes);
    const first = put(full, 0, 0);
    const second = put(full.subarray(1), 0, 1);
    const cases: [string, MetadataPointer, string][] = [
      ['another checksum', { ...first, crc: 1 }, 'checksum'],
      ['a block outside of the pool', { ...first, pbn: 768 }, 'range'],
      ['a birth', { ...first, birth: 1 }, 'range'],
      ['a page out of order', put(pointerBytes([second, first]), 1, 0), 'position'],
      [
        'a page that is not full',
        put(pointerBytes([put(full.subarray(1), 0, 0), put(full, 0, 1)]), 1, 0),
        'range',
      ],
      ['a null pointer inside', put(new Uint8Array(12), 1, 0), 'range'],
      ['half a pointer', put(new Uint8Array(18).fill(1), 1, 0), 'range'],
      ['five levels', put(pointerBytes([first]), 5, 0), 'range'],
    ];
    for (const [name, pointer, kind] of cases) {
      expect([name, await refusalOf(pointer)]).toEqual([name, kind]);
    }
  });
});
