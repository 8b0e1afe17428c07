/**
 * A page of pointers: nodes of a volume's map above its leaves, and the indexes of catalog and group list.
 *
 *   OFFSET  SIZE FIELD
 *        0    24 page header
 *       24   104 reserved
 *      128  1024 pbn    u32[256]
 *     1152  1024 crc    u32[256]
 *     2176  1024 birth  u32[256]
 *     3200   896 reserved
 *
 * Invariants: an absent child is zero in all three; births are at most the page's own.
 */
import { assert } from '@varve/common/assert';

import { blockSizeBytes } from '../units.ts';
import { checkPageSize, checkReserved } from './byte-fields.ts';
import { checkFormat } from './corruption-error.ts';
import {
  checkPageHeader,
  encodePageHeader,
  pageHeaderBytes,
  type PagePosition,
} from './page-header.ts';

/** Most pointers of a table page. */
export const tableFanOutMax = 256;
const pbnOffset = 128;
const crcOffset = pbnOffset + 4 * tableFanOutMax;
const birthOffset = crcOffset + 4 * tableFanOutMax;
const endOffset = birthOffset + 4 * tableFanOutMax;
assert(endOffset <= blockSizeBytes, 'a table page fits its block');

/** Pointers as parallel arrays. */
export interface TablePointers {
  readonly pbn: Uint32Array;
  readonly crc: Uint32Array;
  readonly birth: Uint32Array;
}

/** No pointers. */
export function emptyTable(): TablePointers {
  return {
    pbn: new Uint32Array(tableFanOutMax),
    crc: new Uint32Array(tableFanOutMax),
    birth: new Uint32Array(tableFanOutMax),
  };
}

/** Writes a table page. */
export function encodeTablePage(
  pointers: TablePointers,
  place: { readonly position: PagePosition; readonly generation: number },
  target: Uint8Array,
): void {
  assert(target.length === blockSizeBytes, `${target.length} bytes are not a page`);
  target.fill(0);
  encodePageHeader(target, place.position, place.generation);
  const words = new Uint32Array(target.buffer, target.byteOffset, blockSizeBytes / 4);
  words.set(pointers.pbn, pbnOffset / 4);
  words.set(pointers.crc, crcOffset / 4);
  words.set(pointers.birth, birthOffset / 4);
}

/**
 * Reads a table page whose checksum was compared with its pointer.
 *
 * @throws CorruptionError `length`, `magic`, `position`, `reserved` or `range`
 */
export function decodeTablePage(page: Uint8Array, expected: PagePosition): TablePointers {
  checkPageSize(page);
  checkPageHeader(page, expected);
  checkReserved(page, pageHeaderBytes, pbnOffset);
  checkReserved(page, endOffset, blockSizeBytes);
  const words = new Uint32Array(new Uint8Array(page).buffer);
  const pointers = {
    pbn: words.slice(pbnOffset / 4, crcOffset / 4),
    crc: words.slice(crcOffset / 4, birthOffset / 4),
    birth: words.slice(birthOffset / 4, endOffset / 4),
  };
  for (let index = 0; index < tableFanOutMax; index++) {
    const isAbsent = pointers.pbn[index] === 0;
    checkFormat(
      !isAbsent || (pointers.crc[index] === 0 && pointers.birth[index] === 0),
      'range',
      () => `pointer ${index} has a checksum or birth, but no page`,
      crcOffset + 4 * index,
    );
  }
  return pointers;
}
