/**
 * The root of a cell: everything of the cell below the journal hangs on it. Two generations, two copies each.
 *
 *   OFFSET SIZE FIELD
 *        0   24 page header (index: the copy number, which the checksum leaves out)
 *       24   16 poolUuid
 *       40    8 rootGeneration    grows with each root
 *       48    4 openGeneration    grows with each opening (J1)
 *       52    4 journalSlot       ring slot of the first block to replay
 *       56    8 journalSequence   its sequence number
 *       64    4 journalPrevCrc    checksum of the block before it (J4)
 *       68    4 nextFamilyId
 *       72    4 nextQueueItemId
 *       76   16 catalog           pointer, page count
 *       92   16 groupList         pointer, group count
 *      108   16 freeQueue         pointer, item count
 *      124    4 allocatedBlocks   set bits in the bitmaps of its groups
 *      128    4 metadataBlocks    of these, metadata
 *      132    4 reservedBlocks
 *      136    4 slackBlocks
 *      140 3952 reserved
 *     4092    4 crc32c            of the page with the copy number as zero
 */
import { assert } from '@varve/common/assert';

import { blockSizeBytes } from '../units.ts';
import {
  checkPageSize,
  checkReserved,
  readSafeInteger,
  viewOf,
  writeSafeInteger,
} from './byte-fields.ts';
import { crc32c } from './checksum.ts';
import { checkFormat } from './corruption-error.ts';
import { decodePointer, encodePointer, type MetadataPointer } from './metadata-pointer.ts';
import { PageType, checkPageHeader, encodePageHeader } from './page-header.ts';

/** Copies of each generation. */
export const rootCopies = 2;
const copyOffset = 12;
const endOffset = 140;
const crcOffset = blockSizeBytes - 4;

/** A pointer and how many things hang on it. */
export interface CountedPointer {
  readonly pointer: MetadataPointer;
  readonly count: number;
}

/** The journal block from which recovery replays. */
export interface JournalStart {
  readonly slot: number;
  readonly sequence: number;
  readonly prevCrc: number;
}

/** A cell's root. */
export interface CellRoot {
  readonly cell: number;
  readonly poolUuid: Uint8Array;
  readonly rootGeneration: number;
  readonly openGeneration: number;
  readonly journalStart: JournalStart;
  readonly nextFamilyId: number;
  readonly nextQueueItemId: number;
  readonly catalog: CountedPointer;
  readonly groupList: CountedPointer;
  readonly freeQueue: CountedPointer;
  readonly allocatedBlocks: number;
  readonly metadataBlocks: number;
  readonly reservedBlocks: number;
  readonly slackBlocks: number;
}

/** Writes one copy of a root. */
export function encodeCellRoot(root: CellRoot, copyNumber: number, target: Uint8Array): void {
  assert(target.length === blockSizeBytes, `${target.length} bytes are not a page`);
  assert(root.poolUuid.length === 16, 'a pool UUID has 16 bytes');
  assert(copyNumber < rootCopies, `copy ${copyNumber}`);
  target.fill(0);
  const position = { type: PageType.cellRoot, level: 0, cell: root.cell, family: 0, index: 0 };
  encodePageHeader(target, position, root.rootGeneration);
  const view = viewOf(target);
  target.set(root.poolUuid, 24);
  writeSafeInteger(view, 40, root.rootGeneration);
  view.setUint32(48, root.openGeneration, true);
  view.setUint32(52, root.journalStart.slot, true);
  writeSafeInteger(view, 56, root.journalStart.sequence);
  view.setUint32(64, root.journalStart.prevCrc, true);
  view.setUint32(68, root.nextFamilyId, true);
  view.setUint32(72, root.nextQueueItemId, true);
  for (const [index, { pointer, count }] of [
    root.catalog,
    root.groupList,
    root.freeQueue,
  ].entries()) {
    encodePointer(view, 76 + 16 * index, pointer);
    view.setUint32(88 + 16 * index, count, true);
  }
  view.setUint32(124, root.allocatedBlocks, true);
  view.setUint32(128, root.metadataBlocks, true);
  view.setUint32(132, root.reservedBlocks, true);
  view.setUint32(136, root.slackBlocks, true);
  view.setUint32(crcOffset, crc32c(target.subarray(0, crcOffset)), true);
  view.setUint32(copyOffset, copyNumber, true);
}

/**
 * Reads a copy of a root.
 *
 * @throws CorruptionError `length`, `checksum`, `magic`, `position`, `reserved` or `range`
 */
export function decodeCellRoot(
  page: Uint8Array,
  expected: { readonly cell: number; readonly poolUuid: Uint8Array; readonly copyNumber: number },
): CellRoot {
  checkPageSize(page);
  const copy = new Uint8Array(page);
  const view = viewOf(copy);
  const copyNumber = view.getUint32(copyOffset, true);
  view.setUint32(copyOffset, 0, true);
  const crc = view.getUint32(crcOffset, true);
  const isIntact = crc === crc32c(copy.subarray(0, crcOffset));
  checkFormat(isIntact, 'checksum', () => 'the checksum of a cell root is wrong', crcOffset);
  checkFormat(
    copyNumber === expected.copyNumber,
    'position',
    () => `found copy ${copyNumber} in place of ${expected.copyNumber}`,
    copyOffset,
  );
  const position = { type: PageType.cellRoot, level: 0, cell: expected.cell, family: 0, index: 0 };
  const generation = checkPageHeader(copy, position);
  checkFormat(
    copy.subarray(24, 40).every((byte, index) => byte === expected.poolUuid[index]),
    'position',
    () => 'the root is of another pool',
    24,
  );
  checkReserved(copy, endOffset, crcOffset);
  const counted = (offset: number): CountedPointer => ({
    pointer: decodePointer(view, offset),
    count: view.getUint32(offset + 12, true),
  });
  const rootGeneration = readSafeInteger(view, 40);
  checkFormat(generation === rootGeneration, 'range', () => 'two generations in one root', 16);
  return {
    cell: expected.cell,
    poolUuid: copy.slice(24, 40),
    rootGeneration,
    openGeneration: view.getUint32(48, true),
    journalStart: {
      slot: view.getUint32(52, true),
      sequence: readSafeInteger(view, 56),
      prevCrc: view.getUint32(64, true),
    },
    nextFamilyId: view.getUint32(68, true),
    nextQueueItemId: view.getUint32(72, true),
    catalog: counted(76),
    groupList: counted(92),
    freeQueue: counted(108),
    allocatedBlocks: view.getUint32(124, true),
    metadataBlocks: view.getUint32(128, true),
    reservedBlocks: view.getUint32(132, true),
    slackBlocks: view.getUint32(136, true),
  };
}
