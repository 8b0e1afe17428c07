/**
 * Memory of NBD connections that the kernel reads and writes itself: one arena with the buffers of requests, whose
 * bytes go between device and socket uncopied, and arenas with the parts of connections, made as they come.
 */
import {
  nbdBufferClasses,
  nbdInputBytes,
  nbdOutputBatchBytes,
  nbdRingConnections,
} from '../limits.ts';
import { IoBufferPool } from '../nbd/io-buffer.ts';
import { outputPiecesMax } from '../nbd/output-batch.ts';
import { Arena, arenaAlignmentBytes } from '../uring/arena.ts';
import type { IoRing } from '../uring/io-ring.ts';
import { MessageHeader, messageHeaderBytes } from '../uring/message-header.ts';
import { addressOfBytes } from '../uring/system-calls.ts';
import type { ConnectionMemory, NbdMemory } from './nbd-memory.ts';
import type { RingSocketMemory } from './sockets/ring-sockets.ts';

/** A connection's part. */
export interface RingConnectionMemory extends ConnectionMemory, RingSocketMemory {}

const headerBytes =
  Math.ceil(messageHeaderBytes(outputPiecesMax) / arenaAlignmentBytes) * arenaAlignmentBytes;
const connectionBytes = nbdInputBytes + nbdOutputBatchBytes + headerBytes;

/** The memory of one reactor's NBD connections. */
export class RingMemory implements NbdMemory {
  readonly buffers: IoBufferPool;
  readonly #ioArena: Arena;
  #ioUsedBytes = 0;
  /** By what was given out, which knows no more than its owner needs. */
  readonly #free: RingConnectionMemory[] = [];

  /** @throws RingRefusedError if the memory cannot be had. */
  constructor({ arenas }: IoRing) {
    const sizeBytes = nbdBufferClasses.reduce(
      (sum, each) => sum + each.sizeBytes * each.countMax,
      0,
    );
    this.#ioArena = arenas.add(new Arena({ sizeBytes }));
    this.buffers = new IoBufferPool(nbdBufferClasses, (size) => this.#allocate(size));
    this.#addConnections();
  }

  acquire(): RingConnectionMemory {
    if (this.#free.length === 0) this.#addConnections();
    return this.#free.pop()!;
  }

  release(memory: ConnectionMemory): void {
    this.#free.push(memory as RingConnectionMemory);
  }

  #allocate(sizeBytes: number): Buffer {
    const start = this.#ioUsedBytes;
    this.#ioUsedBytes += sizeBytes;
    return this.#ioArena.bytes.subarray(start, start + sizeBytes);
  }

  #addConnections(): void {
    const arena = new Arena({ sizeBytes: nbdRingConnections * connectionBytes });
    const addressOf = (bytes: Uint8Array): number =>
      // Long requests have memory of the moment, which does not move.
      arena.addressOf(bytes) ?? this.#ioArena.addressOf(bytes) ?? addressOfBytes(bytes);
    for (let index = 0; index < nbdRingConnections; index++) {
      const start = index * connectionBytes;
      const outputStart = start + nbdInputBytes;
      const headerStart = outputStart + nbdOutputBatchBytes;
      this.#free.push({
        input: arena.bytes.subarray(start, outputStart),
        output: arena.bytes.subarray(outputStart, headerStart),
        header: new MessageHeader(arena, headerStart, outputPiecesMax),
        addressOf,
      });
    }
  }
}
