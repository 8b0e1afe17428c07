/**
 * Where a metadata page lies and what must be found there:
 *
 *   OFFSET SIZE FIELD
 *        0    4 pbn    physical block number; 0 means that there is no page
 *        4    4 crc    crc32c of the whole page
 *        8    4 birth  epoch in which this node's line last changed the page
 */
import { assert } from '@varve/common/assert';

import { checkFormat } from './corruption-error.ts';

/** Bytes of a pointer. */
export const metadataPointerBytes = 12;

/** A pointer to a page of metadata. */
export interface MetadataPointer {
  readonly pbn: number;
  readonly crc: number;
  readonly birth: number;
}

/** Points to nothing. */
export const nullPointer: MetadataPointer = { pbn: 0, crc: 0, birth: 0 };

/** Writes a pointer. */
export function encodePointer(view: DataView, offsetBytes: number, pointer: MetadataPointer): void {
  assert(pointer.pbn !== 0 || pointer.crc === 0, 'a null pointer has no checksum');
  view.setUint32(offsetBytes, pointer.pbn, true);
  view.setUint32(offsetBytes + 4, pointer.crc, true);
  view.setUint32(offsetBytes + 8, pointer.birth, true);
}

/**
 * Reads a pointer.
 *
 * @throws CorruptionError `range` for a checksum of no page
 */
export function decodePointer(view: DataView, offsetBytes: number): MetadataPointer {
  const pbn = view.getUint32(offsetBytes, true);
  const crc = view.getUint32(offsetBytes + 4, true);
  const isPossible = pbn !== 0 || crc === 0;
  checkFormat(isPossible, 'range', () => 'a null pointer has a checksum', offsetBytes);
  return { pbn, crc, birth: view.getUint32(offsetBytes + 8, true) };
}
