/** UUIDs: 16 bytes in the store, RFC 9562 text everywhere else. */
import { assert } from '@varve/common/assert';

/** The text of 16 bytes. */
export function formatUuid(bytes: Uint8Array): string {
  assert(bytes.length === 16, `a uuid has 16 bytes, not ${bytes.length}`);
  return Buffer.from(bytes.buffer, bytes.byteOffset, 16)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The 16 bytes of a text that was checked before. */
export function parseUuid(text: string): Uint8Array {
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex');
  assert(bytes.length === 16, `${JSON.stringify(text)} is no uuid`);
  return new Uint8Array(bytes);
}
