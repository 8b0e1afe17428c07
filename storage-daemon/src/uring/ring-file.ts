/**
 * Operations on a file or block device. Each answers in a completion of the given type what its system call would
 * have: a read or write may do less than was asked.
 */
import { fsyncFlag, opcode, readWriteFlag } from './kernel-abi.ts';
import type { OperationType, Ring } from './ring.ts';

/** An open file whose operations are all of one type; the descriptor stays its owner's. */
export class RingFile {
  readonly fd: number;
  readonly #ring: Ring;
  readonly #type: OperationType;

  constructor(ring: Ring, fd: number, type: OperationType) {
    this.fd = fd;
    this.#ring = ring;
    this.#type = type;
  }

  read(slot: number, offsetBytes: number, address: number, lengthBytes: number): void {
    const ring = this.#ring;
    const entry = ring.prepare(opcode.read, this.fd, this.#type, slot);
    ring.setBuffer(entry, address, lengthBytes);
    ring.setOffset(entry, offsetBytes);
  }

  write(slot: number, offsetBytes: number, address: number, lengthBytes: number): void {
    const ring = this.#ring;
    const entry = ring.prepare(opcode.write, this.fd, this.#type, slot);
    ring.setBuffer(entry, address, lengthBytes);
    ring.setOffset(entry, offsetBytes);
  }

  /** A write that is durable at completion (RWF_DSYNC): FUA where the device has it, a flush behind it elsewhere. */
  writeDurably(slot: number, offsetBytes: number, address: number, lengthBytes: number): void {
    const ring = this.#ring;
    const entry = ring.prepare(opcode.write, this.fd, this.#type, slot);
    ring.setBuffer(entry, address, lengthBytes);
    ring.setOffset(entry, offsetBytes);
    ring.setOperationFlags(entry, readWriteFlag.dataSync);
  }

  /** fdatasync: makes durable what was completed before. */
  syncData(slot: number): void {
    const ring = this.#ring;
    const entry = ring.prepare(opcode.fsync, this.fd, this.#type, slot);
    ring.setOperationFlags(entry, fsyncFlag.dataOnly);
  }
}
