/**
 * Expected bytes of a structure, written as a table with a comment per field:
 *
 *      0: 31 56        magic
 *      2: 06           type: cell root
 *     49: "pool"       name
 *
 * The number is the field's offset; text in quotes stands for its bytes. What no line names is zero.
 */
import { assert } from '@varve/common/assert';

const linePattern = /^(\d+):\s+(?:((?:[0-9a-f]{2} )*[0-9a-f]{2})|"([^"]*)")(?:\s{2,}\S.*)?$/;

/** The bytes that the table describes. */
export function goldenBytes(sizeBytes: number, table: string): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  let end = 0;
  for (const line of table.split('\n').map((text) => text.trim())) {
    if (line === '') continue;
    const [, offsetText, hex, text] = linePattern.exec(line) ?? [];
    assert(offsetText !== undefined, `golden bytes: "${line}" is not "offset: bytes  comment"`);
    const offset = Number(offsetText);
    assert(offset >= end, `golden bytes: offset ${offset} is before the end of the field above`);
    const field =
      hex === undefined ? Buffer.from(text ?? '') : Buffer.from(hex.replaceAll(' ', ''), 'hex');
    end = offset + field.length;
    assert(end <= sizeBytes, `golden bytes: the field at ${offset} ends after ${sizeBytes}`);
    bytes.set(field, offset);
  }
  return bytes;
}

/** The bytes as such a table without comments, 16 to a line: what tests compare and print. */
export function hexLines(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  for (let offset = 0; offset < bytes.length; offset += 16) {
    const part = bytes.subarray(offset, offset + 16);
    if (part.every((byte) => byte === 0)) continue;
    lines.push(
      `${offset}: ${[...part].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')}`,
    );
  }
  return lines;
}
