/**
 * Buffers that requests read into and write from, used again and again: nothing is allocated for a request of a
 * usual size. Where their memory lies is the owner's choice; one that the kernel reads and writes itself saves a
 * copy. A pool that is empty falls back to memory of the moment, so nobody ever waits for a buffer: what is under
 * way is bounded by the sessions.
 */
import { assert } from '@varve/common/assert';

/** A buffer of a pool. */
export class IoBuffer {
  readonly bytes: Buffer;
  /** Where it waits for its next use; undefined: it is not used again. */
  readonly home: IoBuffer[] | undefined;
  isTaken = true;
  #view: Buffer;

  constructor(bytes: Buffer, home: IoBuffer[] | undefined) {
    this.bytes = bytes;
    this.home = home;
    this.#view = bytes;
  }

  /** Its first bytes, as an object that is made anew only when the length changes. */
  view(lengthBytes: number): Buffer {
    if (this.#view.length !== lengthBytes) this.#view = this.bytes.subarray(0, lengthBytes);
    return this.#view;
  }
}

/** Buffers of one size. */
export interface IoBufferClass {
  readonly sizeBytes: number;
  /** So many are kept. */
  readonly countMax: number;
}

interface FreeBuffers extends IoBufferClass {
  readonly free: IoBuffer[];
  madeCount: number;
}

/** Pools of several sizes. */
export class IoBufferPool {
  readonly #classes: readonly FreeBuffers[];
  readonly #allocate: (sizeBytes: number) => Buffer;

  /** `classes` from small to large; `allocate` makes the memory of one buffer. */
  constructor(classes: readonly IoBufferClass[], allocate: (sizeBytes: number) => Buffer) {
    this.#classes = classes.map((each) => ({ ...each, free: [], madeCount: 0 }));
    this.#allocate = allocate;
  }

  /** A buffer of at least this size, which is the caller's until `release`. */
  acquire(lengthBytes: number): IoBuffer {
    for (const each of this.#classes) {
      if (lengthBytes > each.sizeBytes) continue;
      const found = each.free.pop();
      if (found) {
        found.isTaken = true;
        return found;
      }
      if (each.madeCount < each.countMax) {
        each.madeCount++;
        return new IoBuffer(this.#allocate(each.sizeBytes), each.free);
      }
    }
    return new IoBuffer(Buffer.allocUnsafeSlow(lengthBytes), undefined);
  }

  release(buffer: IoBuffer): void {
    assert(buffer.isTaken, 'a buffer was released twice');
    buffer.isTaken = false;
    buffer.home?.push(buffer);
  }
}
