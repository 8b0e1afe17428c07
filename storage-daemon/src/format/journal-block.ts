/**
 * A block of a cell's journal: 252 slots of 16 bytes behind a header.
 *
 *   OFFSET SIZE FIELD
 *        0    4 magic           "VJB1"
 *        4    2 cell
 *        6    2 slotCount       slots in use
 *        8    8 sequence        counts blocks
 *       16    8 durableSequence highest acknowledged when it was built: a gap at or below it proves a loss
 *       24    4 prevCrc         checksum of the block before
 *       28    4 openGeneration
 *       32    8 rootGeneration  highest durable when it was built
 *       40    4 crc32c          of the page without this field, seeded with pool and cell (J4)
 *       44   20 reserved
 *       64 4032 slots
 *
 * Invariants: records do not cross blocks; the records of one block apply all or none (J12); unused slots are zero.
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
import { crc32c, crc32cWithout } from './checksum.ts';
import { checkFormat } from './corruption-error.ts';

const journalMagic = 0x31424a56;
const headerBytes = 64;
const crcOffset = 40;
/** Bytes of a slot. */
export const journalSlotBytes = 16;
/** Slots of a block. */
export const journalSlotsPerBlock = (blockSizeBytes - headerBytes) / journalSlotBytes;
assert(journalSlotsPerBlock === 252, 'a journal block has 252 slots');

/** The header of a journal block. */
export interface JournalHeader {
  readonly cell: number;
  readonly slotCount: number;
  readonly sequence: number;
  readonly durableSequence: number;
  readonly prevCrc: number;
  readonly openGeneration: number;
  readonly rootGeneration: number;
}

/** A decoded block. `slots` shares memory with the page. */
export interface JournalBlock extends JournalHeader {
  readonly crc: number;
  readonly slots: Uint8Array;
}

/** The seed that binds journal blocks to their pool and cell. */
export function journalSeed(poolUuid: Uint8Array, cell: number): number {
  return crc32c(new Uint8Array([cell & 0xff, cell >>> 8]), crc32c(poolUuid));
}

/** Writes the header into a page that holds its slots already, clears unused slots, and returns the checksum. */
export function sealJournalBlock(header: JournalHeader, page: Uint8Array, seed: number): number {
  assert(page.length === blockSizeBytes, `${page.length} bytes are not a page`);
  assert(header.slotCount <= journalSlotsPerBlock, `${header.slotCount} slots`);
  assert(header.durableSequence < header.sequence, 'a block is not durable before it is built');
  page.fill(0, 0, headerBytes);
  page.fill(0, headerBytes + header.slotCount * journalSlotBytes);
  const view = viewOf(page);
  view.setUint32(0, journalMagic, true);
  view.setUint16(4, header.cell, true);
  view.setUint16(6, header.slotCount, true);
  writeSafeInteger(view, 8, header.sequence);
  writeSafeInteger(view, 16, header.durableSequence);
  view.setUint32(24, header.prevCrc, true);
  view.setUint32(28, header.openGeneration, true);
  writeSafeInteger(view, 32, header.rootGeneration);
  const crc = crc32cWithout(page, crcOffset, seed);
  view.setUint32(crcOffset, crc, true);
  return crc;
}

/** Where slots begin in a page. */
export function journalSlots(page: Uint8Array): Uint8Array {
  return page.subarray(headerBytes);
}

/** True if the page may be a journal block, of whatever journal. */
export function hasJournalMagic(page: Uint8Array): boolean {
  return viewOf(page).getUint32(0, true) === journalMagic;
}

/**
 * Reads a journal block.
 *
 * @throws CorruptionError `length`, `magic`, `checksum`, `position`, `reserved` or `range`: to recovery all mean "not a
 * block of this journal"
 */
export function decodeJournalBlock(page: Uint8Array, cell: number, seed: number): JournalBlock {
  checkPageSize(page);
  const view = viewOf(page);
  checkFormat(hasJournalMagic(page), 'magic', () => 'no journal block', 0);
  const crc = view.getUint32(crcOffset, true);
  checkFormat(
    crc === crc32cWithout(page, crcOffset, seed),
    'checksum',
    () => 'the checksum of a journal block is wrong',
    crcOffset,
  );
  const foundCell = view.getUint16(4, true);
  checkFormat(foundCell === cell, 'position', () => `a journal block of cell ${foundCell}`, 4);
  checkReserved(page, crcOffset + 4, headerBytes);
  const slotCount = view.getUint16(6, true);
  checkFormat(slotCount <= journalSlotsPerBlock, 'range', () => `${slotCount} slots`, 6);
  checkReserved(page, headerBytes + slotCount * journalSlotBytes, blockSizeBytes);
  const sequence = readSafeInteger(view, 8);
  const durableSequence = readSafeInteger(view, 16);
  checkFormat(
    durableSequence < sequence,
    'range',
    () => `block ${sequence} was built when ${durableSequence} was durable`,
    16,
  );
  return {
    cell,
    slotCount,
    sequence,
    durableSequence,
    prevCrc: view.getUint32(24, true),
    openGeneration: view.getUint32(28, true),
    rootGeneration: readSafeInteger(view, 32),
    crc,
    slots: page.subarray(headerBytes, headerBytes + slotCount * journalSlotBytes),
  };
}
