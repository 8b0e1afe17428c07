/**
 * What a session has to send and its owner has not taken yet: whole messages, and answers to requests that are
 * encoded only when they are taken, straight into the bytes that are sent.
 */
import type { OutputBatch } from './output-batch.ts';

/** An answer that can be encoded. */
export interface Reply {
  /** About as long as it is. */
  readonly replyBytes: number;
  /** Puts all of it into the batch; false, with nothing done, if there is no room. An empty batch has room. */
  tryEncode(batch: OutputBatch): boolean;
  /** It will not be sent. */
  drop(): void;
}

/** A queue of output. */
export class OutputQueue {
  #items: (Buffer | Reply)[] = [];
  #firstIndex = 0;
  /** Bytes of the first item, a message, that were taken. */
  #takenBytes = 0;
  #lengthBytes = 0;

  /** Bytes that wait. */
  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  get isEmpty(): boolean {
    return this.#firstIndex === this.#items.length;
  }

  push(item: Buffer | Reply): void {
    this.#items.push(item);
    this.#lengthBytes += lengthOf(item);
  }

  /** Moves as much into the batch as there is room for, in order. */
  moveTo(batch: OutputBatch): void {
    while (!this.isEmpty) {
      const item = this.#items[this.#firstIndex]!;
      const lengthBytes = lengthOf(item);
      const isWhole =
        item instanceof Uint8Array ? this.#moveMessage(item, batch) : item.tryEncode(batch);
      if (!isWhole) break;
      this.#firstIndex++;
      this.#lengthBytes -= lengthBytes;
    }
    if (this.isEmpty) {
      this.#items.length = 0;
      this.#firstIndex = 0;
    } else if (this.#firstIndex > this.#items.length / 2) {
      this.#items.splice(0, this.#firstIndex);
      this.#firstIndex = 0;
    }
  }

  /** Forgets everything. */
  clear(): void {
    const items = this.#items.slice(this.#firstIndex);
    this.#items = [];
    this.#firstIndex = 0;
    this.#takenBytes = 0;
    this.#lengthBytes = 0;
    for (const item of items) if (!(item instanceof Uint8Array)) item.drop();
  }

  /** A message may be longer than a batch: it then goes in parts. */
  #moveMessage(message: Buffer, batch: OutputBatch): boolean {
    const restBytes = message.length - this.#takenBytes;
    const length = Math.min(restBytes, batch.hasRoom(0, 1) ? batch.roomBytes : 0);
    if (length > 0) {
      const at = batch.reserve(length);
      message.copy(batch.bytes, at, this.#takenBytes, this.#takenBytes + length);
    }
    this.#takenBytes = length < restBytes ? this.#takenBytes + length : 0;
    return length === restBytes;
  }
}

function lengthOf(item: Buffer | Reply): number {
  return item instanceof Uint8Array ? item.length : item.replyBytes;
}
