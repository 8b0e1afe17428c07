/** The memory that NBD connections move bytes in: buffers of requests, shared by all, and a part of each one's own. */
import { nbdBufferClasses, nbdInputBytes, nbdOutputBatchBytes } from '../limits.ts';
import { IoBufferPool } from '../nbd/io-buffer.ts';

/** A connection's own part. */
export interface ConnectionMemory {
  readonly input: Buffer;
  readonly output: Buffer;
}

/** Where connections get their memory. */
export interface NbdMemory {
  readonly buffers: IoBufferPool;
  acquire(): ConnectionMemory;
  release(memory: ConnectionMemory): void;
}

/** Ordinary memory, for Node's sockets and files. */
export function createHeapMemory(): NbdMemory {
  return {
    buffers: new IoBufferPool(nbdBufferClasses, (sizeBytes) => Buffer.allocUnsafeSlow(sizeBytes)),
    acquire: () => ({
      input: Buffer.allocUnsafeSlow(nbdInputBytes),
      output: Buffer.allocUnsafeSlow(nbdOutputBatchBytes),
    }),
    release: () => undefined,
  };
}
