/** CRC-32C of PDUs (TCP Transport, section 3.3.1.1): reflected polynomial 0x82F63B78, complemented, little-endian. */
import { crc32c as nativeCrc32c } from '@node-rs/crc32';

/** The digest of bytes that follow those of `previous`, if there are any. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  return nativeCrc32c(bytes, previous);
}
