/** Why this process gets no io_uring, or not the memory for it. `message` says what an administrator can change. */
export class RingRefusedError extends Error {
  override readonly name = 'RingRefusedError';
  readonly kind: 'not-permitted' | 'unsupported' | 'out-of-memory';

  constructor(kind: RingRefusedError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}
