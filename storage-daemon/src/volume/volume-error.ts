import type { StoreErrorKind } from '../store/store-error.ts';

/**
 * The stable kinds of failure of volume I/O. `closed` means that the volume was closed, deleted or
 * reverted, or that the daemon stops; `io` covers everything that no other kind names: a bad device, a
 * failed checksum, a pool that takes no changes.
 */
export type VolumeErrorKind = 'out-of-range' | 'read-only' | 'closed' | 'no-space' | 'io';

/** An expected failure of volume I/O. Callers switch on `kind`; `message` starts with the attempted action. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError';
  readonly kind: VolumeErrorKind;

  constructor(kind: VolumeErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }

  /** What a client of the volume must know of a failure of the store. */
  static fromStore(cause: { kind: StoreErrorKind; message: string }): VolumeError {
    const kind = cause.kind === 'insufficient-space' ? 'no-space' : 'io';
    return new VolumeError(kind, cause.message, { cause });
  }
}
