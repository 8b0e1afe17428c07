/**
 * A leaf of a volume's map: up to 256 clusters of 16 blocks.
 *
 *   OFFSET  SIZE FIELD
 *        0    24 page header
 *       24    32 extPbn    u32[8]   pages with further split records
 *       56    32 extCrc    u32[8]
 *       88    32 extBirth  u32[8]
 *      120     2 nSplit    split records in use
 *      122     6 reserved
 *      128  2048 entry     2 x u32 [256]: base pbn >> 4 (28 b) | type (4 b), then valid mask | split index (16 b each)
 *     2176  1024 birth     u32[256]   of NATURAL entries
 *     3200   896 7 inline split records
 *
 * Split record, 128 B: pbn u32[16], birth u32[16]; an unmapped block is zero in both.
 * An extension page holds 32 split records and has no header. Split index 0-6 is inline, 7 + 32 p + r is record r of
 * page p.
 *
 * Invariants: split indexes are unique; nSplit counts the SPLIT entries; no split record is empty; an extension page
 * that holds no record is absent. Types in use: HOLE and SPLIT. NATURAL is laid out and not written yet.
 */
import { assert } from '@varve/common/assert';

import { blockSizeBytes, clusterSizeBlocks } from '../units.ts';
import { checkPageSize, checkReserved, isZero, viewOf } from './byte-fields.ts';
import { checkFormat } from './corruption-error.ts';
import { checkPageHeader, encodePageHeader, type PagePosition } from './page-header.ts';

/** Most clusters of a leaf. */
export const leafClustersMax = 256;
/** Split records inside a leaf. */
export const inlineRecords = 7;
/** Split records in an extension page. */
export const extensionRecords = 32;
/** Most extension pages of a leaf. */
export const extensionsMax = 8;
const splitRecordBytes = 128;
const splitRecordWords = splitRecordBytes / 4;
const extPbnOffset = 24;
const extCrcOffset = extPbnOffset + 4 * extensionsMax;
const extBirthOffset = extCrcOffset + 4 * extensionsMax;
const splitCountOffset = extBirthOffset + 4 * extensionsMax;
const entryOffset = 128;
const birthOffset = entryOffset + 8 * leafClustersMax;
const inlineOffset = birthOffset + 4 * leafClustersMax;
assert(inlineOffset + inlineRecords * splitRecordBytes === blockSizeBytes, 'a leaf fills its page');
assert(extensionRecords * splitRecordBytes === blockSizeBytes, 'an extension fills its page');
assert(
  inlineRecords + extensionsMax * extensionRecords >= leafClustersMax,
  'every cluster of a leaf can be split',
);

/** Types of map entries. */
export const EntryType = { hole: 0, natural: 1, split: 2, zero: 3 } as const;

/** 16 pbns, then 16 births; zero pairs are unmapped. */
export type SplitRecord = Uint32Array;

/** An empty split record. */
export function emptySplitRecord(): SplitRecord {
  return new Uint32Array(splitRecordWords);
}

/** A decoded leaf. */
export interface MapLeaf {
  readonly extPbn: Uint32Array;
  readonly extCrc: Uint32Array;
  readonly extBirth: Uint32Array;
  /** Per cluster its split index, -1 for a hole. */
  readonly splitIndex: Int16Array;
  readonly inline: (SplitRecord | undefined)[];
}

/** A leaf that maps nothing. */
export function emptyLeaf(): MapLeaf {
  return {
    extPbn: new Uint32Array(extensionsMax),
    extCrc: new Uint32Array(extensionsMax),
    extBirth: new Uint32Array(extensionsMax),
    splitIndex: new Int16Array(leafClustersMax).fill(-1),
    inline: Array.from({ length: inlineRecords }, () => undefined),
  };
}

/** Writes a leaf. */
export function encodeMapLeaf(
  leaf: MapLeaf,
  place: { readonly position: PagePosition; readonly generation: number },
  target: Uint8Array,
): void {
  assert(target.length === blockSizeBytes, `${target.length} bytes are not a page`);
  target.fill(0);
  encodePageHeader(target, place.position, place.generation);
  const words = new Uint32Array(target.buffer, target.byteOffset, blockSizeBytes / 4);
  words.set(leaf.extPbn, extPbnOffset / 4);
  words.set(leaf.extCrc, extCrcOffset / 4);
  words.set(leaf.extBirth, extBirthOffset / 4);
  let splitCount = 0;
  for (let cluster = 0; cluster < leafClustersMax; cluster++) {
    const index = leaf.splitIndex[cluster]!;
    if (index < 0) continue;
    splitCount++;
    words[entryOffset / 4 + 2 * cluster] = EntryType.split;
    words[entryOffset / 4 + 2 * cluster + 1] = index << 16;
  }
  viewOf(target).setUint16(splitCountOffset, splitCount, true);
  for (const [index, record] of leaf.inline.entries()) {
    if (record) words.set(record, inlineOffset / 4 + index * splitRecordWords);
  }
  const used = leaf.splitIndex.filter((index) => index >= 0);
  const contradiction = findContradiction(leaf, new Set(used));
  assert(contradiction === undefined, `leaf ${place.position.index}: ${contradiction}`);
}

/** What no leaf can be; undefined if it is possible. */
function findContradiction(leaf: MapLeaf, used: ReadonlySet<number>): string | undefined {
  const pagesInUse = new Set<number>();
  for (const index of used) {
    if (index >= inlineRecords) {
      pagesInUse.add(Math.floor((index - inlineRecords) / extensionRecords));
    }
  }
  for (let page = 0; page < extensionsMax; page++) {
    const isThere = leaf.extPbn[page] !== 0;
    if (isThere !== pagesInUse.has(page)) {
      return `extension ${page} is ${isThere ? 'there without use' : 'used and absent'}`;
    }
    if (!isThere && (leaf.extCrc[page] !== 0 || leaf.extBirth[page] !== 0)) {
      return `extension ${page} has a checksum or birth, but no page`;
    }
  }
  for (let index = 0; index < inlineRecords; index++) {
    const record = leaf.inline[index];
    if ((record !== undefined) !== used.has(index)) return `record ${index} is used and absent`;
    const flaw = record && findFlaw(record);
    if (flaw !== undefined) return `record ${index} ${flaw}`;
  }
  return undefined;
}

/** What no split record can be. */
function findFlaw(record: SplitRecord): string | undefined {
  if (countMapped(record) === 0) return 'is empty';
  for (let block = 0; block < clusterSizeBlocks; block++) {
    const isMapped = record[block] !== 0;
    if (isMapped !== (record[clusterSizeBlocks + block] !== 0)) {
      return `has a block ${block} with a pbn or a birth alone`;
    }
  }
  return undefined;
}

/**
 * Reads a leaf whose checksum was compared with its pointer.
 *
 * @throws CorruptionError of any kind; `unsupported` for an entry that this version does not read
 */
export function decodeMapLeaf(page: Uint8Array, expected: PagePosition): MapLeaf {
  checkPageSize(page);
  checkPageHeader(page, expected);
  checkReserved(page, splitCountOffset + 2, entryOffset);
  const words = new Uint32Array(new Uint8Array(page).buffer);
  const leaf = emptyLeaf();
  leaf.extPbn.set(words.subarray(extPbnOffset / 4, extCrcOffset / 4));
  leaf.extCrc.set(words.subarray(extCrcOffset / 4, extBirthOffset / 4));
  leaf.extBirth.set(words.subarray(extBirthOffset / 4, splitCountOffset / 4));
  const used = new Set<number>();
  for (let cluster = 0; cluster < leafClustersMax; cluster++) {
    const index = decodeEntry(words, cluster);
    if (index < 0) continue;
    const isUnique = !used.has(index);
    checkFormat(
      isUnique,
      'range',
      () => `split index ${index} is used twice`,
      entryOffset + 8 * cluster,
    );
    used.add(index);
    leaf.splitIndex[cluster] = index;
    if (index >= inlineRecords) continue;
    const start = inlineOffset / 4 + index * splitRecordWords;
    leaf.inline[index] = words.slice(start, start + splitRecordWords);
  }
  const splitCount = viewOf(page).getUint16(splitCountOffset, true);
  checkFormat(
    splitCount === used.size,
    'range',
    () => `a leaf counts ${splitCount} split entries and has ${used.size}`,
    splitCountOffset,
  );
  checkReserved(page, birthOffset, inlineOffset);
  for (let index = 0; index < inlineRecords; index++) {
    const start = inlineOffset + index * splitRecordBytes;
    if (!used.has(index)) checkReserved(page, start, start + splitRecordBytes);
  }
  const contradiction = findContradiction(leaf, used);
  checkFormat(contradiction === undefined, 'range', () => `a leaf: ${contradiction}`, extPbnOffset);
  return leaf;
}

function decodeEntry(words: Uint32Array, cluster: number): number {
  const offset = entryOffset + 8 * cluster;
  const low = words[offset / 4]!;
  const high = words[offset / 4 + 1]!;
  const type = low & 15;
  if (type === EntryType.hole) {
    checkFormat(low === 0 && high === 0, 'reserved', () => `hole ${cluster} is not zero`, offset);
    return -1;
  }
  checkFormat(
    type === EntryType.split && low === EntryType.split,
    'unsupported',
    () =>
      `the entry of cluster ${cluster} is ${low.toString(16)}: this version reads holes and split entries`,
    offset,
  );
  const index = high >>> 16;
  checkFormat(
    index < inlineRecords + extensionsMax * extensionRecords && (high & 0xffff) === 0,
    'range',
    () => `the split index of cluster ${cluster} is ${index}`,
    offset + 4,
  );
  return index;
}

/** Writes an extension page. */
export function encodeMapExtension(
  records: readonly (SplitRecord | undefined)[],
  target: Uint8Array,
): void {
  assert(target.length === blockSizeBytes, `${target.length} bytes are not a page`);
  assert(records.length === extensionRecords, `${records.length} records are not an extension`);
  target.fill(0);
  const words = new Uint32Array(target.buffer, target.byteOffset, blockSizeBytes / 4);
  for (const [index, record] of records.entries()) {
    if (!record) continue;
    const flaw = findFlaw(record);
    assert(flaw === undefined, `record ${index} of an extension ${flaw}`);
    words.set(record, index * splitRecordWords);
  }
}

/**
 * Reads an extension page whose checksum was compared with its pointer. An empty record is undefined.
 *
 * @throws CorruptionError `length` or `range`
 */
export function decodeMapExtension(page: Uint8Array): (SplitRecord | undefined)[] {
  checkPageSize(page);
  const words = new Uint32Array(new Uint8Array(page).buffer);
  return Array.from({ length: extensionRecords }, (_, index) => {
    const start = index * splitRecordBytes;
    if (isZero(page, start, start + splitRecordBytes)) return undefined;
    const record = words.slice(index * splitRecordWords, (index + 1) * splitRecordWords);
    const flaw = findFlaw(record);
    checkFormat(flaw === undefined, 'range', () => `record ${index} ${flaw}`, start);
    return record;
  });
}

/** Blocks that a split record maps. */
export function countMapped(record: SplitRecord): number {
  let count = 0;
  for (let block = 0; block < clusterSizeBlocks; block++) if (record[block] !== 0) count++;
  return count;
}
