/**
 * Message headers in an arena, for `RingSocket.sendMessage`: a header, and behind it the list of vectors that it
 * gathers from. Both must stay as they are until the send completes.
 */
import type { Arena } from './arena.ts';
import { messageHeaderWord, messageHeaderWords, vectorWords } from './kernel-abi.ts';

/** Bytes that a header with its vectors takes. */
export function messageHeaderBytes(vectorsMax: number): number {
  return (messageHeaderWords + vectorsMax * vectorWords) * 4;
}

/** A place in an arena for one header and up to `vectorsMax` vectors. */
export class MessageHeader {
  /** For `RingSocket.sendMessage`. */
  readonly address: number;
  readonly vectorsMax: number;
  readonly #words: Uint32Array;
  readonly #headerWord: number;
  readonly #vectorsWord: number;
  #vectorCount = 0;
  #lengthBytes = 0;

  constructor(arena: Arena, offsetBytes: number, vectorsMax: number) {
    this.address = arena.address + offsetBytes;
    this.vectorsMax = vectorsMax;
    this.#words = arena.words;
    this.#headerWord = offsetBytes / 4;
    this.#vectorsWord = this.#headerWord + messageHeaderWords;
    this.#words.fill(0, this.#headerWord, this.#vectorsWord);
    const vectorsAddress = this.address + messageHeaderWords * 4;
    this.#words[this.#headerWord + messageHeaderWord.vectors] = vectorsAddress;
    this.#words[this.#headerWord + messageHeaderWord.vectors + 1] = vectorsAddress / 2 ** 32;
  }

  /** Vectors added since the last `clear`. */
  get vectorCount(): number {
    return this.#vectorCount;
  }

  /** Bytes of all vectors. */
  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  clear(): void {
    this.#vectorCount = 0;
    this.#lengthBytes = 0;
    this.#words[this.#headerWord + messageHeaderWord.vectorCount] = 0;
  }

  /** Adds bytes at the end; false if there is no vector left. */
  add(address: number, lengthBytes: number): boolean {
    if (this.#vectorCount === this.vectorsMax) return false;
    const words = this.#words;
    const at = this.#vectorsWord + this.#vectorCount * vectorWords;
    words[at] = address;
    words[at + 1] = address / 2 ** 32;
    words[at + 2] = lengthBytes;
    words[at + 3] = 0;
    this.#vectorCount++;
    this.#lengthBytes += lengthBytes;
    words[this.#headerWord + messageHeaderWord.vectorCount] = this.#vectorCount;
    return true;
  }
}
