/** What tests of all codecs ask: what does this decoder say of bytes that are not right? */
import type { CorruptionKind } from '../../format/corruption-error.ts';

/**
 * How a decoder refused, or that it did not. Anything but a CorruptionError is thrown on: a decoder never fails
 * otherwise.
 */
export function refusal(decode: () => unknown): CorruptionKind | 'accepted' {
  try {
    decode();
  } catch (error) {
    if ((error as Error).name !== 'CorruptionError') throw error;
    return (error as { kind: CorruptionKind }).kind;
  }
  return 'accepted';
}

/** Offsets of the bits whose flip a decoder does not refuse. */
export function unnoticedFlips(
  page: Uint8Array,
  decode: (page: Uint8Array) => unknown,
): { readonly byte: number; readonly bit: number }[] {
  const unnoticed: { byte: number; bit: number }[] = [];
  const copy = new Uint8Array(page);
  for (let byte = 0; byte < page.length; byte++) {
    for (let bit = 0; bit < 8; bit++) {
      copy[byte] = page[byte]! ^ (1 << bit);
      if (refusal(() => decode(copy)) === 'accepted') unnoticed.push({ byte, bit });
    }
    copy[byte] = page[byte]!;
  }
  return unnoticed;
}

/** The page with other bytes at an offset. */
export function withBytes(
  page: Uint8Array,
  offsetBytes: number,
  bytes: readonly number[],
): Uint8Array {
  const copy = new Uint8Array(page);
  copy.set(bytes, offsetBytes);
  return copy;
}

/** What an encoder throws when it is asked for the impossible; for `expect(...).toThrow(ourBug)`. */
export const ourBug = {
  asymmetricMatch: (error: unknown) => (error as Error).name === 'InvariantError',
};
