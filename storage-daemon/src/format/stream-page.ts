/**
 * Byte strings of any length as immutable pages: dead-list directories, the free queue, attributes. Up to 4,064 bytes
 * are one page; longer ones are pages of bytes below pages of pointers.
 *
 *   OFFSET SIZE FIELD
 *        0   24 page header   level 0 holds bytes, a higher one pointers (12 B) to the level below; index counts at its
 *                            level
 *       24    4 byteCount
 *       28    4 reserved
 *       32 4064 payload
 */
import { assert } from '@varve/common/assert';

import { blockSizeBytes } from '../units.ts';
import { checkPageSize, checkReserved, viewOf } from './byte-fields.ts';
import { checkFormat } from './corruption-error.ts';
import { metadataPointerBytes } from './metadata-pointer.ts';
import { PageType, checkPageHeader, encodePageHeader } from './page-header.ts';

const payloadOffset = 32;
/** Bytes in one page. */
export const streamPageBytes = blockSizeBytes - payloadOffset;
/** Pointers in one page. */
export const streamPagePointers = Math.floor(streamPageBytes / metadataPointerBytes);

/** Which stream a page belongs to. */
export interface StreamOwner {
  readonly cell: number;
  readonly family: number;
}

/** Where a page stands in its stream. */
export interface StreamPlace extends StreamOwner {
  readonly level: number;
  readonly index: number;
}

/** Pages that a stream of so many bytes takes, by level from 0 up; none for no bytes. */
export function streamPageCounts(byteCount: number): number[] {
  const counts: number[] = [];
  if (byteCount === 0) return counts;
  counts.push(Math.ceil(byteCount / streamPageBytes));
  while (counts.at(-1)! > 1) counts.push(Math.ceil(counts.at(-1)! / streamPagePointers));
  return counts;
}

/** Writes one page. */
export function encodeStreamPage(
  payload: Uint8Array,
  place: StreamPlace & { readonly generation: number },
  target: Uint8Array,
): void {
  assert(target.length === blockSizeBytes, `${target.length} bytes are not a page`);
  assert(payload.length >= 1 && payload.length <= streamPageBytes, `${payload.length} bytes`);
  target.fill(0);
  encodePageHeader(target, { type: PageType.stream, ...place }, place.generation);
  viewOf(target).setUint32(24, payload.length, true);
  target.set(payload, payloadOffset);
}

/** The level that a stream page says it has: the root's is known by reading only. */
export function streamLevelOf(page: Uint8Array): number {
  return page[3]!;
}

/**
 * Reads one page whose checksum was compared with its pointer.
 *
 * @throws CorruptionError `length`, `magic`, `position`, `reserved` or `range`
 */
export function decodeStreamPage(page: Uint8Array, expected: StreamPlace): Uint8Array {
  checkPageSize(page);
  const { level, cell, family, index } = expected;
  checkPageHeader(page, { type: PageType.stream, level, cell, family, index });
  checkReserved(page, 28, payloadOffset);
  const byteCount = viewOf(page).getUint32(24, true);
  const isInRange = byteCount >= 1 && byteCount <= streamPageBytes;
  checkFormat(isInRange, 'range', () => `a stream page of ${byteCount} bytes`, 24);
  checkReserved(page, payloadOffset + byteCount, blockSizeBytes);
  return page.slice(payloadOffset, payloadOffset + byteCount);
}
