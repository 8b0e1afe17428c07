/** Bytes of a stream, taken from the front in pieces of known length. */
export class ByteQueue {
  #parts: Buffer[] = [];
  #lengthBytes = 0;

  push(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#lengthBytes += bytes.length;
  }

  /** The next bytes, which stay; undefined if there are not enough yet. */
  peek(lengthBytes: number): Buffer | undefined {
    if (this.#lengthBytes < lengthBytes) return undefined;
    return this.#gather(lengthBytes).subarray(0, lengthBytes);
  }

  /** The next bytes, which are gone; undefined if there are not enough yet. */
  tryTake(lengthBytes: number): Buffer | undefined {
    if (this.#lengthBytes < lengthBytes) return undefined;
    const first = this.#gather(lengthBytes);
    this.#parts[0] = first.subarray(lengthBytes);
    this.#lengthBytes -= lengthBytes;
    return first.subarray(0, lengthBytes);
  }

  /** Makes the first part long enough. */
  #gather(lengthBytes: number): Buffer {
    const first = this.#parts[0] ?? Buffer.alloc(0);
    if (first.length >= lengthBytes) return first;
    const joined = Buffer.concat(this.#parts);
    this.#parts = [joined];
    return joined;
  }
}
