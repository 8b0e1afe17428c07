/**
 * Bytes that leave in one system call: replies copied one behind the other, and between them large data that is
 * sent from where it lies. It belongs to the socket from `send` until everything was sent.
 */
import { assert } from '@varve/common/assert';

import { nbdOutputBytesMax } from '../limits.ts';
import type { IoBuffer, IoBufferPool } from './io-buffer.ts';

/** A run of bytes in memory. */
export interface OutputPiece {
  bytes: Buffer;
  start: number;
  lengthBytes: number;
}

/** Runs of one batch: what one system call takes without being split by the kernel, and then some. */
export const outputPiecesMax = 128;

const nothing = Buffer.alloc(0);

/** Output of one connection. */
export class OutputBatch {
  /** Copied replies. */
  readonly bytes: Buffer;
  /** What is sent, in order; the first `pieceCount` count. */
  readonly pieces: readonly OutputPiece[];
  readonly #held: IoBuffer[] = [];
  #pieceCount = 0;
  #usedBytes = 0;
  #lengthBytes = 0;
  #endsInCopies = false;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.pieces = Array.from({ length: outputPiecesMax }, () => ({
      bytes: nothing,
      start: 0,
      lengthBytes: 0,
    }));
  }

  get pieceCount(): number {
    return this.#pieceCount;
  }

  /** Of all pieces. */
  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  /** What can still be copied. */
  get roomBytes(): number {
    return this.bytes.length - this.#usedBytes;
  }

  /** Whether so many bytes can be copied and so many pieces be added; long data in place ends a batch early. */
  hasRoom(copiedBytes: number, pieceCount: number): boolean {
    return (
      copiedBytes <= this.roomBytes &&
      this.#pieceCount + pieceCount <= outputPiecesMax &&
      this.#lengthBytes < nbdOutputBytesMax
    );
  }

  /** Adds bytes that the caller writes now, to `bytes` from the answered place on. There must be room. */
  reserve(lengthBytes: number): number {
    if (lengthBytes > this.roomBytes) assert(false, `no room for ${lengthBytes} bytes of output`);
    const start = this.#usedBytes;
    if (this.#endsInCopies) this.pieces[this.#pieceCount - 1]!.lengthBytes += lengthBytes;
    else this.#addPiece(this.bytes, start, lengthBytes);
    this.#endsInCopies = true;
    this.#usedBytes += lengthBytes;
    this.#lengthBytes += lengthBytes;
    return start;
  }

  /** Adds bytes of a buffer that `hold` has put in the batch's care. */
  addInPlace(buffer: IoBuffer, start: number, lengthBytes: number): void {
    this.#addPiece(buffer.bytes, start, lengthBytes);
    this.#endsInCopies = false;
    this.#lengthBytes += lengthBytes;
  }

  /** The buffer is given back to its pool when everything was sent. */
  hold(buffer: IoBuffer): void {
    this.#held.push(buffer);
  }

  /** Everything was sent, or never will be. */
  clear(buffers: IoBufferPool): void {
    for (const buffer of this.#held) buffers.release(buffer);
    this.#held.length = 0;
    this.#pieceCount = 0;
    this.#usedBytes = 0;
    this.#lengthBytes = 0;
    this.#endsInCopies = false;
  }

  #addPiece(bytes: Buffer, start: number, lengthBytes: number): void {
    assert(this.#pieceCount < outputPiecesMax, 'no room for a piece of output');
    const piece = this.pieces[this.#pieceCount++]!;
    piece.bytes = bytes;
    piece.start = start;
    piece.lengthBytes = lengthBytes;
  }
}
