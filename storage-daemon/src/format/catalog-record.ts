/**
 * One node (volume head or snapshot), 256 B, 16 to a catalog page. An absent node is all zeros.
 *
 *   OFFSET SIZE FIELD
 *        0    4 id
 *        4    1 kind          1 volume head, 2 snapshot
 *        5    1 flags         1 userDeleted, 2 walking
 *        6    1 level         height of the map above its leaves
 *        7    1 reserved
 *        8    4 family
 *       12    4 parent        node id + 1; 0 means none
 *       16    4 childCount
 *       20    4 epoch         of a snapshot: the curEpoch of its head at the cut
 *       24    4 curEpoch      of a head: the birth of what it writes now
 *       28    4 sizeBlocks
 *       32   12 root          of the map
 *       44   12 deadData      dead list of data blocks
 *       56   12 deadMeta      dead list of map pages
 *       68   12 attributes
 *       80    4 referenced    data blocks that it references
 *       84    4 own           of these, born after its parent's epoch
 *       88    4 deadBlocks    blocks in deadData
 *       92    4 slack
 *       96    4 walkCursor    of a walking node: first block that is not walked
 *      100    4 walkBound     what is born later is its alone
 *      104    8 createdMs     f64
 *      112   16 uuid
 *      128    1 nameLength
 *      129  100 name          UTF-8; empty for a snapshot that nobody named
 *      229   23 reserved
 *      252    4 crc32c        of the bytes before
 *
 * Invariants: a snapshot has an epoch and no curEpoch, a head the reverse; a walking node is userDeleted and has no
 * parent.
 */
import { assert } from '@varve/common/assert';

import { blockSizeBytes } from '../units.ts';
import { checkReserved, decodeText, encodeText, isZero, viewOf } from './byte-fields.ts';
import { crc32c } from './checksum.ts';
import { checkFormat } from './corruption-error.ts';
import { birthMax } from './dead-list.ts';
import { decodePointer, encodePointer, type MetadataPointer } from './metadata-pointer.ts';

/** Bytes of a record. */
export const catalogRecordBytes = 256;
/** Records in a catalog page. */
export const catalogRecordsPerPage = blockSizeBytes / catalogRecordBytes;
/** Longest name, in bytes. */
export const nameBytesMax = 100;
const crcOffset = 252;
const flagDeleted = 1;
const flagWalking = 2;
/** Greatest height of a map: leaves of one cluster below tables of two pointers reach 2^32 blocks at 28. */
const mapLevelMax = 28;

/** A node as the disk has it. */
export interface CatalogRecord {
  readonly id: number;
  readonly kind: 'volume' | 'snapshot';
  readonly isDeleted: boolean;
  readonly isWalking: boolean;
  readonly level: number;
  readonly family: number;
  /** Node id of the parent; undefined for a root. */
  readonly parent: number | undefined;
  readonly childCount: number;
  readonly epoch: number;
  readonly curEpoch: number;
  readonly sizeBlocks: number;
  readonly root: MetadataPointer;
  readonly deadData: MetadataPointer;
  readonly deadMeta: MetadataPointer;
  readonly attributes: MetadataPointer;
  readonly referencedBlocks: number;
  readonly ownBlocks: number;
  readonly deadBlocks: number;
  readonly slackBlocks: number;
  readonly walkCursor: number;
  readonly walkBound: number;
  readonly createdMs: number;
  readonly uuid: Uint8Array;
  readonly name: string;
}

/** What no node can be; undefined if the record is possible. */
function findContradiction(record: CatalogRecord): string | undefined {
  const { kind, isWalking, epoch, curEpoch } = record;
  if (!isWalking && (kind === 'snapshot') !== epoch > 0) return `a ${kind} with epoch ${epoch}`;
  if (!isWalking && (kind === 'volume') !== curEpoch > 0) {
    return `a ${kind} with curEpoch ${curEpoch}`;
  }
  if (isWalking && !record.isDeleted) return 'it walks and is not deleted';
  if (isWalking && record.parent !== undefined) return 'it walks and has a parent';
  if (epoch > birthMax || curEpoch > birthMax) return `epoch ${Math.max(epoch, curEpoch)}`;
  if (record.level > mapLevelMax) return `a map of height ${record.level}`;
  if (!Number.isFinite(record.createdMs)) return `creation time ${record.createdMs}`;
  return undefined;
}

/** Writes a record. */
export function encodeCatalogRecord(record: CatalogRecord, target: Uint8Array): void {
  const contradiction = findContradiction(record);
  assert(contradiction === undefined, `node ${record.id}: ${contradiction}`);
  assert(record.uuid.length === 16, `${record.uuid.length} bytes are not a UUID`);
  assert(target.length === catalogRecordBytes, `${target.length} bytes are not a record`);
  target.fill(0);
  const view = viewOf(target);
  view.setUint32(0, record.id, true);
  view.setUint8(4, record.kind === 'volume' ? 1 : 2);
  view.setUint8(5, (record.isDeleted ? flagDeleted : 0) | (record.isWalking ? flagWalking : 0));
  view.setUint8(6, record.level);
  const numbers = [
    record.family,
    record.parent === undefined ? 0 : record.parent + 1,
    record.childCount,
    record.epoch,
    record.curEpoch,
    record.sizeBlocks,
  ];
  for (const [index, value] of numbers.entries()) view.setUint32(8 + 4 * index, value, true);
  encodePointer(view, 32, record.root);
  encodePointer(view, 44, record.deadData);
  encodePointer(view, 56, record.deadMeta);
  encodePointer(view, 68, record.attributes);
  const counters = [
    record.referencedBlocks,
    record.ownBlocks,
    record.deadBlocks,
    record.slackBlocks,
    record.walkCursor,
    record.walkBound,
  ];
  for (const [index, value] of counters.entries()) view.setUint32(80 + 4 * index, value, true);
  view.setFloat64(104, record.createdMs, true);
  target.set(record.uuid, 112);
  const name = encodeText(record.name);
  assert(name.length <= nameBytesMax, `a name of ${name.length} bytes`);
  view.setUint8(128, name.length);
  target.set(name, 129);
  view.setUint32(crcOffset, crc32c(target.subarray(0, crcOffset)), true);
}

/**
 * Reads a record; undefined if there is none.
 *
 * @throws CorruptionError `length`, `checksum`, `range` or `reserved`
 */
export function decodeCatalogRecord(bytes: Uint8Array): CatalogRecord | undefined {
  const isWhole = bytes.length === catalogRecordBytes;
  checkFormat(isWhole, 'length', () => `${bytes.length} bytes are not a record`, 0);
  if (isZero(bytes, 0, catalogRecordBytes)) return undefined;
  const view = viewOf(bytes);
  const crc = view.getUint32(crcOffset, true);
  checkFormat(
    crc === crc32c(bytes.subarray(0, crcOffset)),
    'checksum',
    () => 'the checksum of a catalog record is wrong',
    crcOffset,
  );
  const kind = view.getUint8(4);
  checkFormat(kind === 1 || kind === 2, 'range', () => `node kind ${kind} is unknown`, 4);
  const nameLength = view.getUint8(128);
  checkFormat(nameLength <= nameBytesMax, 'range', () => `name length ${nameLength}`, 128);
  checkReserved(bytes, 7, 8);
  checkReserved(bytes, 129 + nameLength, crcOffset);
  const flags = view.getUint8(5);
  const hasKnownFlags = (flags & ~(flagDeleted | flagWalking)) === 0;
  checkFormat(hasKnownFlags, 'reserved', () => `flags 0x${flags.toString(16)}`, 5);
  const parent = view.getUint32(12, true);
  const record: CatalogRecord = {
    id: view.getUint32(0, true),
    kind: kind === 1 ? 'volume' : 'snapshot',
    isDeleted: (flags & flagDeleted) !== 0,
    isWalking: (flags & flagWalking) !== 0,
    level: view.getUint8(6),
    family: view.getUint32(8, true),
    parent: parent === 0 ? undefined : parent - 1,
    childCount: view.getUint32(16, true),
    epoch: view.getUint32(20, true),
    curEpoch: view.getUint32(24, true),
    sizeBlocks: view.getUint32(28, true),
    root: decodePointer(view, 32),
    deadData: decodePointer(view, 44),
    deadMeta: decodePointer(view, 56),
    attributes: decodePointer(view, 68),
    referencedBlocks: view.getUint32(80, true),
    ownBlocks: view.getUint32(84, true),
    deadBlocks: view.getUint32(88, true),
    slackBlocks: view.getUint32(92, true),
    walkCursor: view.getUint32(96, true),
    walkBound: view.getUint32(100, true),
    createdMs: view.getFloat64(104, true),
    uuid: bytes.slice(112, 128),
    name: decodeText(bytes.subarray(129, 129 + nameLength), 129),
  };
  const contradiction = findContradiction(record);
  checkFormat(contradiction === undefined, 'range', () => `node ${record.id}: ${contradiction}`, 0);
  return record;
}
