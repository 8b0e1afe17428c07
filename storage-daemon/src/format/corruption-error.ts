/** What a codec found wrong with bytes from a disk. Stable: callers switch on it. */
export type CorruptionKind =
  | 'length'
  | 'magic'
  | 'checksum'
  | 'version'
  | 'features'
  | 'position'
  | 'reserved'
  | 'range'
  | 'unsupported';

/**
 * Bytes on a disk are not what the format says. A bad disk is expected, so this is never an assertion; it is never
 * taken for an empty page either.
 */
export class CorruptionError extends Error {
  override readonly name = 'CorruptionError';
  readonly kind: CorruptionKind;
  /** Offset in the page of the field that is wrong. */
  readonly offsetBytes: number;

  constructor(kind: CorruptionKind, message: string, offsetBytes: number) {
    super(message);
    this.kind = kind;
    this.offsetBytes = offsetBytes;
  }
}

/** Throws CorruptionError unless `condition` holds. */
export function checkFormat(
  condition: boolean,
  kind: CorruptionKind,
  describe: () => string,
  offsetBytes: number,
): asserts condition {
  if (!condition) throw new CorruptionError(kind, describe(), offsetBytes);
}
