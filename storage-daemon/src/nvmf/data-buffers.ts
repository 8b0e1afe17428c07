/**
 * Buffers for data of writes, used again: most writes are of a few sizes, and memory of their own for each would keep
 * the garbage collector busier than the target.
 *
 * A buffer is lent from the arrival of a command until its completion; nobody may keep it longer.
 */
import { nvmeSpareBufferBytesMax, nvmeSpareBytesMax } from '../limits.ts';
import { blockSizeBytes } from '../units.ts';

/** The spare buffers of a target. */
export class DataBuffers {
  readonly #spare = new Map<number, Buffer[]>();
  #spareBytes = 0;

  /** A buffer of exactly that size, with any content. */
  take(lengthBytes: number): Buffer {
    const found = this.#spare.get(lengthBytes)?.pop();
    if (!found) return Buffer.allocUnsafeSlow(lengthBytes);
    this.#spareBytes -= lengthBytes;
    return found;
  }

  /** Takes a buffer back; few are worth keeping. */
  give(buffer: Buffer): void {
    const { length } = buffer;
    const isUsual = length % blockSizeBytes === 0 && length <= nvmeSpareBufferBytesMax;
    if (!isUsual || this.#spareBytes + length > nvmeSpareBytesMax) return;
    const spare = this.#spare.get(length);
    if (spare) spare.push(buffer);
    else this.#spare.set(length, [buffer]);
    this.#spareBytes += length;
  }
}
