/**
 * Allocation groups of a cell: one 16 B entry each, 256 to a page without header below two levels of table pages, and a
 * bitmap page per group (bit set: allocated; no header), written to its two slots in turns.
 *
 *   OFFSET SIZE FIELD of an entry
 *        0    4 group
 *        4    2 freeBlocks  clear bits of the bitmap
 *        6    2 reserved
 *        8    4 bitmapCrc   crc32c of the bitmap page
 *       12    4 slotGeneration  its parity says which slot holds the bitmap
 */
import { assert } from '@varve/common/assert';

import { blockSizeBytes } from '../units.ts';
import { checkPageSize, checkReserved, viewOf } from './byte-fields.ts';
import { checkFormat } from './corruption-error.ts';
import { groupBlocksMax } from './pool-layout.ts';

/** Bytes of an entry. */
const groupEntryBytes = 16;
/** Entries of a page. */
export const groupEntriesPerPage = blockSizeBytes / groupEntryBytes;

/** An allocation group of a cell. */
export interface GroupEntry {
  readonly group: number;
  readonly freeBlocks: number;
  readonly bitmapCrc: number;
  readonly slotGeneration: number;
}

/** Writes a page of entries. */
export function encodeGroupListPage(entries: readonly GroupEntry[], target: Uint8Array): void {
  assert(target.length === blockSizeBytes, `${target.length} bytes are not a page`);
  assert(entries.length <= groupEntriesPerPage, `${entries.length} entries in a page`);
  target.fill(0);
  const view = viewOf(target);
  for (const [index, entry] of entries.entries()) {
    const offset = index * groupEntryBytes;
    view.setUint32(offset, entry.group, true);
    view.setUint16(offset + 4, entry.freeBlocks, true);
    view.setUint32(offset + 8, entry.bitmapCrc, true);
    view.setUint32(offset + 12, entry.slotGeneration, true);
  }
}

/**
 * Reads the first `count` entries of a page whose checksum was compared with its pointer.
 *
 * @throws CorruptionError `length`, `reserved` or `range`
 */
export function decodeGroupListPage(page: Uint8Array, count: number): GroupEntry[] {
  checkPageSize(page);
  const view = viewOf(page);
  checkFormat(count <= groupEntriesPerPage, 'range', () => `${count} entries in a page`, 0);
  checkReserved(page, count * groupEntryBytes, blockSizeBytes);
  return Array.from({ length: count }, (_, index) => {
    const offset = index * groupEntryBytes;
    checkReserved(page, offset + 6, offset + 8);
    const freeBlocks = view.getUint16(offset + 4, true);
    const isInRange = freeBlocks <= groupBlocksMax;
    checkFormat(isInRange, 'range', () => `${freeBlocks} free blocks in a group`, offset + 4);
    return {
      group: view.getUint32(offset, true),
      freeBlocks,
      bitmapCrc: view.getUint32(offset + 8, true),
      slotGeneration: view.getUint32(offset + 12, true),
    };
  });
}
