/**
 * Received bytes that wait to be understood: chunks in order, taken from the front in pieces of any size.
 * Nothing is copied unless a piece spans chunks.
 */
import { assert } from '@varve/common/assert';

/** A queue of bytes. */
export class InputQueue {
  #chunks: Buffer[] = [];
  /**
   * Chunks before this one were taken; they are dropped in bulk, so that many small chunks cost no more
   * than one.
   */
  #firstIndex = 0;
  /** Bytes of the first chunk that were taken. */
  #takenBytes = 0;
  #lengthBytes = 0;

  /** Bytes that wait. */
  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  /** Appends a chunk, which belongs to the queue from now on. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
    this.#lengthBytes += chunk.length;
  }

  /** The next bytes as one piece; undefined until that many have arrived. */
  tryTake(lengthBytes: number): Buffer | undefined {
    if (this.#lengthBytes < lengthBytes) return undefined;
    const first = this.#chunks[this.#firstIndex];
    if (first && first.length - this.#takenBytes >= lengthBytes) {
      const piece = first.subarray(this.#takenBytes, this.#takenBytes + lengthBytes);
      this.#drop(lengthBytes);
      return piece;
    }
    const piece = Buffer.allocUnsafe(lengthBytes);
    const moved = this.moveTo(piece);
    assert(moved === lengthBytes, 'the queue counts its bytes wrongly');
    return piece;
  }

  /** Fills `target` from the front as far as there are bytes; returns how many. */
  moveTo(target: Uint8Array): number {
    let moved = 0;
    while (moved < target.length && this.#lengthBytes > 0) {
      const first = this.#chunks[this.#firstIndex]!;
      const count = Math.min(target.length - moved, first.length - this.#takenBytes);
      target.set(first.subarray(this.#takenBytes, this.#takenBytes + count), moved);
      moved += count;
      this.#drop(count);
    }
    return moved;
  }

  /** Takes up to so many bytes and forgets them; returns how many. */
  skip(lengthBytes: number): number {
    let skipped = 0;
    while (skipped < lengthBytes && this.#lengthBytes > 0) {
      const first = this.#chunks[this.#firstIndex]!;
      const count = Math.min(lengthBytes - skipped, first.length - this.#takenBytes);
      skipped += count;
      this.#drop(count);
    }
    return skipped;
  }

  /** Forgets everything. */
  clear(): void {
    this.#chunks = [];
    this.#firstIndex = 0;
    this.#takenBytes = 0;
    this.#lengthBytes = 0;
  }

  #drop(lengthBytes: number): void {
    this.#takenBytes += lengthBytes;
    this.#lengthBytes -= lengthBytes;
    if (this.#takenBytes < this.#chunks[this.#firstIndex]!.length) return;
    this.#takenBytes = 0;
    this.#firstIndex++;
    if (this.#firstIndex >= this.#chunks.length / 2) {
      this.#chunks = this.#chunks.slice(this.#firstIndex);
      this.#firstIndex = 0;
    }
  }
}
