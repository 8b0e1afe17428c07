/**
 * Dead lists and the free queue, as they lie in streams.
 *
 * A sequence of dead blocks is cut into segments, in order: a page of 512 entries that is never written again, or
 * entries in the stream itself (the packed small lists). Concatenating two sequences concatenates their segments and
 * rewrites no page. The order of entries is the same however they are cut: FREED records count entries.
 *
 *   entry, 8 B:    pbn u32, birth 28 bits | (run length - 1) 4 bits; pbn 0 stands for a page never written
 *   segment:       count u32 (bit 31: page), then {pbn u32, crc u32} or count entries
 *   bucket:        birthLow u32, blockCount u32, segmentCount u32, segments
 *   directory:     bucketCount u32, buckets by rising birthLow; births of a bucket are above its birthLow
 *   queue item:    id u32, isMeta u32, done u32, blockCount u32, segmentCount u32, segments
 *   free queue:    itemCount u32, items by rising id
 */
import { assert } from '@varve/common/assert';

import { blockSizeBytes } from '../units.ts';
import { checkPageSize, checkReserved, viewOf } from './byte-fields.ts';
import { checkFormat } from './corruption-error.ts';

/** Entries of a page of dead blocks. */
export const deadPageEntries = blockSizeBytes / 8;
/** Largest birth: 28 bits. A family whose epochs reach it takes no more snapshots. */
export const birthMax = 2 ** 28 - 1;
const pageFlag = 0x80000000;

/** Dead blocks in parallel: pbn and birth. */
export interface DeadEntries {
  readonly pbns: readonly number[];
  readonly births: readonly number[];
}

/** A part of a sequence: a page on disk, or entries. */
export type DeadSegmentRecord =
  | { readonly kind: 'page'; readonly pbn: number; readonly crc: number; readonly count: number }
  | ({ readonly kind: 'entries' } & DeadEntries);

/** Dead blocks of one interval of births. */
export interface DeadBucketRecord {
  readonly birthLow: number;
  readonly blockCount: number;
  readonly segments: readonly DeadSegmentRecord[];
}

/** Blocks that nobody references and that background work still has to free. */
export interface FreeQueueItemRecord {
  readonly id: number;
  /** Map pages instead of data. */
  readonly isMeta: boolean;
  /** Entries freed so far. */
  readonly done: number;
  readonly blockCount: number;
  readonly segments: readonly DeadSegmentRecord[];
}

/** Writes a page of entries; unused ones at its end are zero. */
export function encodeDeadPage(entries: DeadEntries, target: Uint8Array): void {
  const { pbns, births } = entries;
  assert(target.length === blockSizeBytes, `${target.length} bytes are not a page`);
  assert(pbns.length <= deadPageEntries && births.length === pbns.length, 'a page of entries');
  target.fill(0);
  const view = viewOf(target);
  for (const [index, pbn] of pbns.entries()) putEntry(view, 8 * index, pbn, births[index]!);
}

function putEntry(view: DataView, offset: number, pbn: number, birth: number): void {
  assert(birth <= birthMax, `birth ${birth}`);
  view.setUint32(offset, pbn, true);
  view.setUint32(offset + 4, birth, true);
}

/**
 * Reads `count` entries of a page whose checksum was compared with its pointer.
 *
 * @throws CorruptionError `length`, `reserved`, `range` or `unsupported`
 */
export function decodeDeadPage(page: Uint8Array, count: number): DeadEntries {
  checkPageSize(page);
  checkFormat(count <= deadPageEntries, 'range', () => `${count} entries in a page`, 0);
  checkReserved(page, 8 * count, blockSizeBytes);
  return readEntries(viewOf(page), 0, count);
}

function readEntries(view: DataView, start: number, count: number): DeadEntries {
  const pbns: number[] = [];
  const births: number[] = [];
  for (let index = 0; index < count; index++) {
    const packed = view.getUint32(start + 8 * index + 4, true);
    checkFormat(packed >>> 28 === 0, 'unsupported', () => 'an entry is a run', start + 8 * index);
    pbns.push(view.getUint32(start + 8 * index, true));
    births.push(packed & birthMax);
  }
  return { pbns, births };
}

/** Bytes of a directory; none if no bucket has anything. */
export function encodeDeadDirectory(buckets: readonly DeadBucketRecord[]): Uint8Array {
  if (buckets.length === 0) return new Uint8Array(0);
  const writer = new WordWriter();
  writer.put(buckets.length);
  for (const bucket of buckets) {
    writer.put(bucket.birthLow, bucket.blockCount);
    putSegments(writer, bucket.segments);
  }
  return writer.bytes();
}

/**
 * Reads a directory.
 *
 * @throws CorruptionError `range` or `unsupported`
 */
export function decodeDeadDirectory(bytes: Uint8Array): DeadBucketRecord[] {
  if (bytes.length === 0) return [];
  const reader = new WordReader(bytes);
  const buckets: DeadBucketRecord[] = [];
  for (let left = reader.take(); left > 0; left--) {
    const birthLow = reader.take();
    const above = buckets.at(-1)?.birthLow ?? -1;
    reader.expect(birthLow > above, () => `bucket ${birthLow} follows bucket ${above}`);
    const blockCount = reader.take();
    buckets.push({ birthLow, blockCount, segments: takeSegments(reader) });
  }
  reader.expectEnd();
  return buckets;
}

/** Bytes of the free queue; none if it is empty. */
export function encodeFreeQueue(items: readonly FreeQueueItemRecord[]): Uint8Array {
  if (items.length === 0) return new Uint8Array(0);
  const writer = new WordWriter();
  writer.put(items.length);
  for (const item of items) {
    writer.put(item.id, item.isMeta ? 1 : 0, item.done, item.blockCount);
    putSegments(writer, item.segments);
  }
  return writer.bytes();
}

/**
 * Reads the free queue.
 *
 * @throws CorruptionError `range` or `unsupported`
 */
export function decodeFreeQueue(bytes: Uint8Array): FreeQueueItemRecord[] {
  if (bytes.length === 0) return [];
  const reader = new WordReader(bytes);
  const items: FreeQueueItemRecord[] = [];
  for (let left = reader.take(); left > 0; left--) {
    const id = reader.take();
    const above = items.at(-1)?.id ?? -1;
    reader.expect(id > above, () => `item ${id} follows item ${above}`);
    const metaWord = reader.take();
    reader.expect(metaWord <= 1, () => `item ${id} is of kind ${metaWord}`);
    const done = reader.take();
    const blockCount = reader.take();
    items.push({ id, isMeta: metaWord === 1, done, blockCount, segments: takeSegments(reader) });
  }
  reader.expectEnd();
  return items;
}

function putSegments(writer: WordWriter, segments: readonly DeadSegmentRecord[]): void {
  writer.put(segments.length);
  for (const segment of segments) {
    if (segment.kind === 'page') {
      const isPossible =
        segment.pbn !== 0 && segment.count >= 1 && segment.count <= deadPageEntries;
      assert(isPossible, `a page ${segment.pbn} of ${segment.count} entries`);
      writer.put((segment.count | pageFlag) >>> 0, segment.pbn, segment.crc);
      continue;
    }
    writer.put(segment.pbns.length);
    for (const [index, pbn] of segment.pbns.entries()) {
      assert(segment.births[index]! <= birthMax, `birth ${segment.births[index]!}`);
      writer.put(pbn, segment.births[index]!);
    }
  }
}

function takeSegments(reader: WordReader): DeadSegmentRecord[] {
  const segments: DeadSegmentRecord[] = [];
  for (let left = reader.take(); left > 0; left--) {
    const word = reader.take();
    const count = word & ~pageFlag;
    if ((word & pageFlag) !== 0) {
      const pbn = reader.take();
      const isPossible = pbn !== 0 && count >= 1 && count <= deadPageEntries;
      reader.expect(isPossible, () => `a page ${pbn} of ${count} entries`);
      segments.push({ kind: 'page', pbn, crc: reader.take(), count });
    } else {
      segments.push({ kind: 'entries', ...reader.takeEntries(count) });
    }
  }
  return segments;
}

class WordWriter {
  #words: number[] = [];

  put(...words: readonly number[]): void {
    this.#words.push(...words);
  }

  bytes(): Uint8Array {
    return new Uint8Array(Uint32Array.from(this.#words).buffer);
  }
}

class WordReader {
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#view = viewOf(bytes);
  }

  take(): number {
    this.#expectRoom(4);
    const word = this.#view.getUint32(this.#offset, true);
    this.#offset += 4;
    return word;
  }

  takeEntries(count: number): DeadEntries {
    this.#expectRoom(8 * count);
    const entries = readEntries(this.#view, this.#offset, count);
    this.#offset += 8 * count;
    return entries;
  }

  expectEnd(): void {
    const rest = this.#view.byteLength - this.#offset;
    checkFormat(rest === 0, 'range', () => `${rest} bytes too many`, this.#offset);
  }

  expect(condition: boolean, describe: () => string): void {
    checkFormat(condition, 'range', describe, this.#offset);
  }

  #expectRoom(bytes: number): void {
    this.expect(this.#offset + bytes <= this.#view.byteLength, () => 'a list ends too early');
  }
}
