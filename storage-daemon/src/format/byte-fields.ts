/**
 * Little-endian fields of a page. Numbers of 64 bits are safe integers, asserted on the way in and checked on the way
 * out.
 */
import { assert } from '@varve/common/assert';

import { blockSizeBytes } from '../units.ts';
import { checkFormat, CorruptionError } from './corruption-error.ts';

/** Checks that there is a whole page to read. */
export function checkPageSize(page: Uint8Array): void {
  const isWhole = page.length === blockSizeBytes;
  checkFormat(isWhole, 'length', () => `${page.length} bytes are not a page`, 0);
}

/** A view of all bytes of a page or record. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Reads a 64-bit counter. */
export function readSafeInteger(view: DataView, offsetBytes: number): number {
  const value = view.getUint32(offsetBytes, true) + view.getUint32(offsetBytes + 4, true) * 2 ** 32;
  checkFormat(
    Number.isSafeInteger(value),
    'range',
    () => `the counter at ${offsetBytes} is above 2^53`,
    offsetBytes,
  );
  return value;
}

/** Writes a 64-bit counter. */
export function writeSafeInteger(view: DataView, offsetBytes: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, `${value} is no counter`);
  view.setUint32(offsetBytes, value % 2 ** 32, true);
  view.setUint32(offsetBytes + 4, Math.floor(value / 2 ** 32), true);
}

/** True if all bytes of [start, end) are zero. */
export function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let index = start; index < end; index++) if (bytes[index] !== 0) return false;
  return true;
}

/** Checks that reserved bytes are zero: what a newer version put there must not be lost unseen. */
export function checkReserved(bytes: Uint8Array, start: number, end: number): void {
  checkFormat(
    isZero(bytes, start, end),
    'reserved',
    () => `reserved bytes ${start}..${end - 1} are not zero`,
    start,
  );
}

/** The text that stands at `offsetBytes` of a page or record. Anything but UTF-8 is refused, not replaced. */
export function decodeText(bytes: Uint8Array, offsetBytes = 0): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new CorruptionError('range', `the text at ${offsetBytes} is not UTF-8`, offsetBytes);
  }
}

/** UTF-8 bytes of a text. */
export function encodeText(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
