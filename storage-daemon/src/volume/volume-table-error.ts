/**
 * Why a node cannot be opened or taken. `reserved`: a control operation has it; `in-use`: it has users;
 * `stopping`: nothing can be opened any more; `elsewhere`: another thread has it, which this one knows of.
 */
export type VolumeTableErrorKind = 'not-found' | 'reserved' | 'in-use' | 'stopping' | 'elsewhere';

/** An expected refusal of the table of open volumes. */
export class VolumeTableError extends Error {
  override readonly name = 'VolumeTableError';
  readonly kind: VolumeTableErrorKind;

  constructor(kind: VolumeTableErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}
