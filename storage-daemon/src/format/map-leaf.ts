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
 * that holds no record is absent; a NATURAL entry has a base, a birth and at least one valid block. Types in use: HOLE,
 * NATURAL and SPLIT.
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
/** Words of a split record. */
export const splitRecordWords = splitRecordBytes / 4;
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

/** The mask of a natural cluster whose blocks all hold data. */
export const wholeMask = 2 ** clusterSizeBlocks - 1;

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
  /** Per cluster its split index, -1 if it is not split. */
  readonly splitIndex: Int16Array;
  /** Per cluster its physical cluster (pbn / 16), 0 if it is not natural. */
  readonly base: Uint32Array;
  /** Per natural cluster the blocks that hold data, lowest bit first; the others are slack. */
  readonly validMask: Uint16Array;
  /** Per natural cluster the birth of its blocks. */
  readonly birth: Uint32Array;
  readonly inline: (SplitRecord | undefined)[];
}

/** Bytes of the arrays of a leaf, split records aside. */
export const leafBytes = 12 * leafClustersMax + 12 * extensionsMax;

/** A leaf that maps nothing, with its arrays in `leafBytes` zeros of a buffer. */
export function leafOver(buffer: ArrayBuffer, start: number): MapLeaf {
  const extStart = start + 12 * leafClustersMax;
  return {
    extPbn: new Uint32Array(buffer, extStart, extensionsMax),
    extCrc: new Uint32Array(buffer, extStart + 4 * extensionsMax, extensionsMax),
    extBirth: new Uint32Array(buffer, extStart + 8 * extensionsMax, extensionsMax),
    base: new Uint32Array(buffer, start, leafClustersMax),
    birth: new Uint32Array(buffer, start + 4 * leafClustersMax, leafClustersMax),
    validMask: new Uint16Array(buffer, start + 8 * leafClustersMax, leafClustersMax),
    splitIndex: new Int16Array(buffer, start + 10 * leafClustersMax, leafClustersMax).fill(-1),
    inline: Array.from({ length: inlineRecords }, () => undefined),
  };
}

/** A leaf that maps nothing. */
export function emptyLeaf(): MapLeaf {
  return leafOver(new ArrayBuffer(leafBytes), 0);
}

/** Makes a leaf map nothing. */
export function clearLeaf(leaf: MapLeaf): void {
  for (const part of [leaf.extPbn, leaf.extCrc, leaf.extBirth]) part.fill(0);
  for (const part of [leaf.base, leaf.birth, leaf.validMask]) part.fill(0);
  leaf.splitIndex.fill(-1);
  leaf.inline.fill(undefined);
}

/** Copies all of a leaf into one that maps nothing. */
export function copyLeaf(leaf: MapLeaf, copy: MapLeaf): MapLeaf {
  copy.extPbn.set(leaf.extPbn);
  copy.extCrc.set(leaf.extCrc);
  copy.extBirth.set(leaf.extBirth);
  copy.splitIndex.set(leaf.splitIndex);
  copy.base.set(leaf.base);
  copy.validMask.set(leaf.validMask);
  copy.birth.set(leaf.birth);
  for (const [index, record] of leaf.inline.entries()) copy.inline[index] = record?.slice();
  return copy;
}

/** True if no cluster is mapped. */
export function mapsNothing(leaf: MapLeaf): boolean {
  return leaf.splitIndex.every((index) => index < 0) && leaf.base.every((base) => base === 0);
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
    const entry = entryOffset / 4 + 2 * cluster;
    if (index >= 0) {
      splitCount++;
      words[entry] = EntryType.split;
      words[entry + 1] = index << 16;
    } else if (leaf.base[cluster] !== 0) {
      words[entry] = (leaf.base[cluster]! << 4) | EntryType.natural;
      words[entry + 1] = leaf.validMask[cluster]!;
    }
  }
  words.set(leaf.birth, birthOffset / 4);
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
  for (let cluster = 0; cluster < leafClustersMax; cluster++) {
    const isNatural = leaf.base[cluster] !== 0;
    if (isNatural && leaf.splitIndex[cluster]! >= 0) return `cluster ${cluster} is mapped twice`;
    if (isNatural !== (leaf.validMask[cluster] !== 0)) {
      return `cluster ${cluster} has ${isNatural ? 'no valid block' : 'valid blocks and no base'}`;
    }
    if (isNatural !== (leaf.birth[cluster] !== 0)) {
      return `cluster ${cluster} has ${isNatural ? 'no birth' : 'a birth and no base'}`;
    }
  }
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
 * Reads a leaf whose checksum was compared with its pointer, into one that maps nothing.
 *
 * @throws CorruptionError of any kind; `unsupported` for an entry that this version does not read
 */
export function decodeMapLeaf(
  page: Uint8Array,
  expected: PagePosition,
  leaf: MapLeaf = emptyLeaf(),
): MapLeaf {
  checkPageSize(page);
  checkPageHeader(page, expected);
  checkReserved(page, splitCountOffset + 2, entryOffset);
  const words = new Uint32Array(new Uint8Array(page).buffer);
  leaf.extPbn.set(words.subarray(extPbnOffset / 4, extCrcOffset / 4));
  leaf.extCrc.set(words.subarray(extCrcOffset / 4, extBirthOffset / 4));
  leaf.extBirth.set(words.subarray(extBirthOffset / 4, splitCountOffset / 4));
  const used = new Set<number>();
  for (let cluster = 0; cluster < leafClustersMax; cluster++) {
    const index = decodeEntry(words, cluster, leaf);
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
  leaf.birth.set(words.subarray(birthOffset / 4, inlineOffset / 4));
  for (let index = 0; index < inlineRecords; index++) {
    const start = inlineOffset + index * splitRecordBytes;
    if (!used.has(index)) checkReserved(page, start, start + splitRecordBytes);
  }
  const contradiction = findContradiction(leaf, used);
  checkFormat(contradiction === undefined, 'range', () => `a leaf: ${contradiction}`, extPbnOffset);
  return leaf;
}

/** Takes over a natural entry; else returns the split index, -1 for a hole. */
function decodeEntry(words: Uint32Array, cluster: number, leaf: MapLeaf): number {
  const offset = entryOffset + 8 * cluster;
  const low = words[offset / 4]!;
  const high = words[offset / 4 + 1]!;
  const type = low & 15;
  if (type === EntryType.hole) {
    checkFormat(low === 0 && high === 0, 'reserved', () => `hole ${cluster} is not zero`, offset);
    return -1;
  }
  if (type === EntryType.natural) {
    const isNatural = low >>> 4 !== 0 && high >>> 16 === 0;
    checkFormat(
      isNatural,
      'range',
      () => `natural cluster ${cluster} has no base, or a split index`,
      offset,
    );
    leaf.base[cluster] = low >>> 4;
    leaf.validMask[cluster] = high;
    return -1;
  }
  checkFormat(
    type === EntryType.split && low === EntryType.split,
    'unsupported',
    () =>
      `the entry of cluster ${cluster} is ${low.toString(16)}: this version reads holes, natural and split entries`,
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

/** Blocks that a mask names. */
export function countBits(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
}
