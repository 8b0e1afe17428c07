/** An expression that cannot be parsed, uses what is not supported, or fails while it is evaluated. */
export class CelError extends Error {
  override readonly name = 'CelError';
  readonly kind: 'syntax' | 'unsupported' | 'evaluation';

  constructor(kind: 'syntax' | 'unsupported' | 'evaluation', message: string) {
    super(message);
    this.kind = kind;
  }
}
