/** The stable kinds of failure that a caller of the store can meet; names follow the contract's table of problems. */
export type StoreErrorKind =
  | 'not-found'
  | 'already-exists'
  | 'failed-precondition'
  | 'aborted'
  | 'out-of-range'
  | 'insufficient-space'
  | 'unavailable'
  | 'data-loss';

/** An expected failure of the store. Callers switch on `kind`; `message` starts with the attempted action. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly kind: StoreErrorKind;

  constructor(kind: StoreErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}
