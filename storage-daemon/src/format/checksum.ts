/**
 * crc32c (Castagnoli), the checksum of all metadata. A page's checksum stands in the pointer to it, so that rot, torn,
 * lost and misdirected writes are all found by reading; blocks that nothing points to (superblock, cell root, journal)
 * carry their own.
 */
import { crc32c as nativeCrc32c } from '@node-rs/crc32';
import { assert } from '@varve/common/assert';

/** The checksum of `bytes`, continued from `seed` (the checksum of what precedes, or of a context). */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return nativeCrc32c(bytes, seed);
}

/** The checksum of a page; the four bytes at `offsetBytes`, where the checksum itself stands, count as zeros. */
export function crc32cWithout(page: Uint8Array, offsetBytes: number, seed = 0): number {
  const before = crc32c(page.subarray(0, offsetBytes), seed);
  return crc32c(page.subarray(offsetBytes + 4), crc32c(fourZeros, before));
}

const fourZeros = new Uint8Array(4);

assert(
  new Uint8Array(new Uint32Array([1]).buffer)[0] === 1,
  'the format is little-endian, and so must the host be',
);
assert(
  crc32c(new TextEncoder().encode('123456789')) === 0xe3069283,
  'crc32c fails its check value',
);
