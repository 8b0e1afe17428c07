/**
 * What the protocol core asks of an open export. Requests complete through a callback, exactly once and
 * never before the call returns; buffers belong to the callee until then.
 */

/** Why a request failed; `message` is for people. */
export interface NbdFailure {
  readonly kind: 'out-of-range' | 'read-only' | 'closed' | 'no-space' | 'io';
  readonly message: string;
}

/** Called exactly once per request; null means that all of it was done. */
export type NbdCompletion = (failure: NbdFailure | null) => void;

/** A run of bytes with one state; a hole reads as zeros. */
export interface NbdExtent {
  readonly lengthBytes: number;
  readonly state: 'data' | 'hole';
}

/** An open export. */
export interface NbdVolume {
  read(offsetBytes: number, target: Uint8Array, done: NbdCompletion): void;
  write(offsetBytes: number, source: Uint8Array, fua: boolean, done: NbdCompletion): void;
  writeZeroes(
    offsetBytes: number,
    lengthBytes: number,
    options: { readonly fua: boolean; readonly keepAllocated: boolean },
    done: NbdCompletion,
  ): void;
  discard(offsetBytes: number, lengthBytes: number, fua: boolean, done: NbdCompletion): void;
  flush(done: NbdCompletion): void;
  /** The extents of the range from its start, at most `extentsMax`; rejects with a NbdFailure. */
  allocation(
    offsetBytes: number,
    lengthBytes: number,
    extentsMax: number,
  ): Promise<readonly NbdExtent[]>;
}
