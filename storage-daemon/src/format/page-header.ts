/**
 * The first 24 bytes of metadata pages that have room for them, so that a valid page at the wrong place is found. Pages
 * that are full to the last byte (extension, catalog, bitmap, dead entries) have none: the parent's crc binds them.
 *
 *   OFFSET SIZE FIELD
 *        0    2 magic       0x5631
 *        2    1 type        PageType
 *        3    1 level       height above the leaves
 *        4    2 cell
 *        6    2 reserved
 *        8    4 family      0 for pages of the cell itself
 *       12    4 index       position at its level
 *       16    8 generation  of the root that first pointed to it
 */
import { assert } from '@varve/common/assert';

import { checkReserved, readSafeInteger, viewOf, writeSafeInteger } from './byte-fields.ts';
import { checkFormat } from './corruption-error.ts';

/** Bytes of the header. */
export const pageHeaderBytes = 24;
/** First word of a page with a header. */
export const pageMagic = 0x5631;

/** What a page with a header is. */
export const PageType = {
  mapTable: 1,
  mapLeaf: 2,
  catalogTable: 3,
  groupListTable: 4,
  stream: 5,
  cellRoot: 6,
} as const;
/** One of PageType. */
export type PageType = (typeof PageType)[keyof typeof PageType];

/** Where a page belongs. */
export interface PagePosition {
  readonly type: PageType;
  readonly level: number;
  readonly cell: number;
  readonly family: number;
  readonly index: number;
}

/** Writes the header. */
export function encodePageHeader(
  page: Uint8Array,
  position: PagePosition,
  generation: number,
): void {
  assert(position.level >= 0 && position.level <= 255, `level ${position.level}`);
  assert(position.cell >= 0 && position.cell <= 0xffff, `cell ${position.cell}`);
  const view = viewOf(page);
  view.setUint16(0, pageMagic, true);
  view.setUint8(2, position.type);
  view.setUint8(3, position.level);
  view.setUint16(4, position.cell, true);
  view.setUint16(6, 0, true);
  view.setUint32(8, position.family, true);
  view.setUint32(12, position.index, true);
  writeSafeInteger(view, 16, generation);
}

/**
 * Checks that a page is the one that is expected here, and returns the generation in which it was written.
 *
 * @throws CorruptionError `magic` or `position`
 */
export function checkPageHeader(page: Uint8Array, expected: PagePosition): number {
  const view = viewOf(page);
  checkFormat(view.getUint16(0, true) === pageMagic, 'magic', () => 'not a metadata page', 0);
  const found: PagePosition = {
    type: view.getUint8(2) as PageType,
    level: view.getUint8(3),
    cell: view.getUint16(4, true),
    family: view.getUint32(8, true),
    index: view.getUint32(12, true),
  };
  const isExpected =
    found.type === expected.type &&
    found.level === expected.level &&
    found.cell === expected.cell &&
    found.family === expected.family &&
    found.index === expected.index;
  checkFormat(
    isExpected,
    'position',
    () => `found page ${JSON.stringify(found)} in place of ${JSON.stringify(expected)}`,
    2,
  );
  checkReserved(page, 6, 8);
  return readSafeInteger(view, 16);
}
