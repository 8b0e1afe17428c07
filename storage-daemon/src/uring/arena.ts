/**
 * Page-aligned memory for I/O, outside of the JavaScript heap: the kernel reads and writes it while JavaScript runs.
 * It is mapped, populated and locked as a whole at start, so that no I/O ever waits for memory, and cut into pools of
 * equal slots.
 *
 * Who puts an address into an operation keeps the arena alive until the operation completes. The memory goes when
 * nothing refers to it any more, or by `unmap()`, for which its one owner must be sure that no view is left in use:
 * to touch one then would crash.
 */
import { assert } from '@varve/common/assert';

import { mapFlag } from './kernel-abi.ts';
import { RingRefusedError } from './ring-refused-error.ts';
import { errorName, lockMemory, mapMemory, unmapMemory, viewMemory } from './system-calls.ts';

/** What every slot is aligned to: enough for direct I/O on any device. */
export const arenaAlignmentBytes = 4096;

/** One mapping. */
export class Arena {
  /** Where it lies for the kernel. */
  readonly address: number;
  readonly sizeBytes: number;
  /** All of it, as bytes and as 32-bit words. */
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  /** Why it could not be locked into memory; undefined if it is. */
  readonly lockFailure: string | undefined;
  #usedBytes = 0;

  static readonly #unmap = new FinalizationRegistry<{ address: number; sizeBytes: number }>(
    ({ address, sizeBytes }) => unmapMemory(address, sizeBytes),
  );

  /** @throws RingRefusedError `out-of-memory` */
  constructor({ sizeBytes }: { readonly sizeBytes: number }) {
    assert(sizeBytes > 0, 'an arena has bytes');
    this.sizeBytes = alignUp(sizeBytes);
    const flags = mapFlag.private | mapFlag.anonymous | mapFlag.populate;
    const address = mapMemory(this.sizeBytes, { protection: mapFlag.readWrite, flags }, -1, 0);
    if (address < 0) {
      throw new RingRefusedError(
        'out-of-memory',
        `Map ${this.sizeBytes} bytes of memory for I/O: ${errorName(address)}`,
      );
    }
    this.address = address;
    const locked = lockMemory(address, this.sizeBytes);
    this.lockFailure = locked < 0 ? errorName(locked) : undefined;
    const buffer = viewMemory(address, this.sizeBytes);
    Arena.#unmap.register(buffer, { address, sizeBytes: this.sizeBytes }, this);
    this.bytes = Buffer.from(buffer);
    this.words = new Uint32Array(buffer);
  }

  /** The address of bytes that lie in this arena; undefined for any others. */
  addressOf(bytes: Uint8Array): number | undefined {
    return bytes.buffer === this.bytes.buffer ? this.address + bytes.byteOffset : undefined;
  }

  /** Gives the memory back now. May be called twice. */
  unmap(): void {
    if (Arena.#unmap.unregister(this)) unmapMemory(this.address, this.sizeBytes);
  }

  /** Cuts a pool out of what is left. */
  createPool({ slotBytes, slotCount }: SlotPoolOptions): SlotPool {
    assert(slotBytes % arenaAlignmentBytes === 0, `slots of ${slotBytes} bytes are not aligned`);
    const sizeBytes = slotBytes * slotCount;
    assert(this.#usedBytes + sizeBytes <= this.sizeBytes, `${sizeBytes} bytes are not left`);
    const offsetBytes = this.#usedBytes;
    this.#usedBytes += sizeBytes;
    return new SlotPool(this, offsetBytes, { slotBytes, slotCount });
  }
}

/** Size and number of the slots of a pool. */
export interface SlotPoolOptions {
  /** A multiple of the alignment. */
  readonly slotBytes: number;
  readonly slotCount: number;
}

/** Equal slots of an arena; the last one given back is the next one taken, while it is in the cache. */
export class SlotPool {
  readonly arena: Arena;
  readonly slotBytes: number;
  readonly slotCount: number;
  /** Each slot as bytes, made once. */
  readonly views: readonly Buffer[];
  readonly #offsetBytes: number;
  readonly #free: Int32Array;
  readonly #isFree: Uint8Array;
  #freeCount: number;

  constructor(arena: Arena, offsetBytes: number, { slotBytes, slotCount }: SlotPoolOptions) {
    this.arena = arena;
    this.slotBytes = slotBytes;
    this.slotCount = slotCount;
    this.#offsetBytes = offsetBytes;
    this.#free = Int32Array.from({ length: slotCount }, (_, index) => slotCount - 1 - index);
    this.#isFree = new Uint8Array(slotCount).fill(1);
    this.#freeCount = slotCount;
    this.views = Array.from({ length: slotCount }, (_, slot) => {
      const start = this.offsetOf(slot);
      return arena.bytes.subarray(start, start + slotBytes);
    });
  }

  /** Slots that nobody has. */
  get freeCount(): number {
    return this.#freeCount;
  }

  /** A slot, which is the caller's until `release`; -1 if none is free. */
  tryAcquire(): number {
    if (this.#freeCount === 0) return -1;
    const slot = this.#free[--this.#freeCount]!;
    this.#isFree[slot] = 0;
    return slot;
  }

  release(slot: number): void {
    assert(this.#isFree[slot] === 0, 'a slot is given back once');
    this.#isFree[slot] = 1;
    this.#free[this.#freeCount++] = slot;
  }

  /** Where a slot begins in the arena. */
  offsetOf(slot: number): number {
    return this.#offsetBytes + slot * this.slotBytes;
  }

  /** Where a slot lies for the kernel. */
  addressOf(slot: number): number {
    return this.arena.address + this.offsetOf(slot);
  }
}

/** The arenas of a reactor: tells whether bytes are the kernel's to read as they are. */
export class ArenaSet {
  readonly #arenas: Arena[] = [];

  add(arena: Arena): Arena {
    this.#arenas.push(arena);
    return arena;
  }

  /** The address of bytes that lie in one of the arenas; undefined for any others. */
  addressOf(bytes: Uint8Array): number | undefined {
    for (const arena of this.#arenas) {
      const address = arena.addressOf(bytes);
      if (address !== undefined) return address;
    }
    return undefined;
  }
}

function alignUp(sizeBytes: number): number {
  return Math.ceil(sizeBytes / arenaAlignmentBytes) * arenaAlignmentBytes;
}
