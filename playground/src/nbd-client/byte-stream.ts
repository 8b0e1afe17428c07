/** Reads a socket in pieces of known lengths, which is how NBD's messages come. */
import type { Socket } from 'node:net';

/** The bytes of a socket, in order. */
export class ByteStream {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** The next bytes. Rejects if the connection ends before they are there. */
  async take(lengthBytes: number): Promise<Buffer> {
    const parts = [this.#rest];
    let available = this.#rest.length;
    while (available < lengthBytes) {
      const { done, value } = await this.#chunks.next();
      if (done === true) throw new Error('the NBD server has closed the connection');
      parts.push(value);
      available += value.length;
    }
    const bytes = parts.length === 1 ? this.#rest : Buffer.concat(parts);
    this.#rest = bytes.subarray(lengthBytes);
    return bytes.subarray(0, lengthBytes);
  }
}
