/**
 * Received bytes that wait to be understood: one piece of memory that the socket fills at its end and the session
 * reads in place from its start. What is left over moves to the front before the next bytes come.
 */
import { assert } from '@varve/common/assert';

/** A linear buffer. */
export class InputBuffer {
  readonly bytes: Buffer;
  #start = 0;
  #end = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Bytes that wait. */
  get lengthBytes(): number {
    return this.#end - this.#start;
  }

  /** Where the next received bytes go. */
  get end(): number {
    return this.#end;
  }

  /** Bytes that fit behind those that wait. */
  get roomBytes(): number {
    return this.bytes.length - this.#end;
  }

  /** Moves what waits to the front. Nothing may be on its way into the buffer. */
  makeRoom(): void {
    if (this.#start === 0) return;
    if (this.#start < this.#end) this.bytes.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }

  /** Bytes were put at the end. */
  filled(lengthBytes: number): void {
    assert(lengthBytes <= this.roomBytes, `${lengthBytes} bytes do not fit`);
    this.#end += lengthBytes;
  }

  /** Takes the next bytes, which must be there, and tells where they lie until `makeRoom`. */
  take(lengthBytes: number): number {
    if (lengthBytes > this.lengthBytes) assert(false, `${lengthBytes} bytes have not arrived`);
    const at = this.#start;
    this.#start += lengthBytes;
    return at;
  }

  /** Moves up to `lengthMax` bytes into `target`; returns how many. */
  moveTo(target: Buffer, targetStart: number, lengthMax: number): number {
    const length = Math.min(lengthMax, this.lengthBytes);
    const at = this.take(length);
    this.bytes.copy(target, targetStart, at, at + length);
    return length;
  }

  /** Takes up to so many bytes and forgets them; returns how many. */
  skip(lengthMax: number): number {
    const length = Math.min(lengthMax, this.lengthBytes);
    this.#start += length;
    return length;
  }

  /** Forgets everything that is there. */
  clear(): void {
    this.#start = this.#end;
  }
}
