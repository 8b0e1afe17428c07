/** Random values of the fields that many structures share, for round trips. */
import * as fc from 'fast-check';

import { birthMax } from '../../format/dead-list.ts';
import { nullPointer } from '../../format/metadata-pointer.ts';

/** An unsigned 32-bit number. */
export const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
/** A 64-bit counter. */
export const counter = fc.maxSafeNat();
/** A birth or epoch that is not zero. */
export const birth = fc.integer({ min: 1, max: birthMax });
/** A block number that is not null. */
export const pbn = fc.integer({ min: 1, max: 2 ** 32 - 1 });
/** A pointer, null or not. */
export const pointer = fc.oneof(fc.constant(nullPointer), fc.record({ pbn, crc: u32, birth: u32 }));
/** 16 bytes. */
export const uuid = fc.uint8Array({ minLength: 16, maxLength: 16 });
/** A creation time. */
export const createdMs = fc.integer({ min: 0, max: 2 ** 48 });
/** Text of at most so many bytes in UTF-8. */
export function textOfBytes(bytesMax: number): fc.Arbitrary<string> {
  return fc
    .string({ unit: 'grapheme', maxLength: bytesMax })
    .filter((text) => Buffer.byteLength(text) <= bytesMax);
}
