/**
 * Operations on a socket. The type chooses who gets the completion, so that one connection can tell its receives
 * from its sends. Addresses lie in an arena; the bytes there belong to the kernel until completion.
 */
import { acceptFlag, messageFlag, opcode, socketFlag } from './kernel-abi.ts';
import type { OperationType, Ring } from './ring.ts';

/** An open socket; the descriptor stays its owner's. */
export class RingSocket {
  readonly fd: number;
  readonly #ring: Ring;

  constructor(ring: Ring, fd: number) {
    this.fd = fd;
    this.#ring = ring;
  }

  /**
   * Accepts connections until it fails or is canceled: one completion for each, with its descriptor, and
   * `completionFlag.more` on all but the last. Then it must be started again.
   */
  acceptAll(type: OperationType, slot: number): void {
    const ring = this.#ring;
    const entry = ring.prepare(opcode.accept, this.fd, type, slot);
    ring.setOperationFlags(entry, socketFlag.closeOnExec);
    ring.setIoPriority(entry, acceptFlag.multishot);
  }

  /** Receives what there is, at least one byte; 0 at the end of the stream. */
  receive(type: OperationType, slot: number, address: number, lengthBytes: number): void {
    const ring = this.#ring;
    const entry = ring.prepare(opcode.receive, this.fd, type, slot);
    ring.setBuffer(entry, address, lengthBytes);
  }

  /** Receives all of `lengthBytes`, unless the stream ends before: the rest of a large payload. */
  receiveAll(type: OperationType, slot: number, address: number, lengthBytes: number): void {
    const ring = this.#ring;
    const entry = ring.prepare(opcode.receive, this.fd, type, slot);
    ring.setBuffer(entry, address, lengthBytes);
    ring.setOperationFlags(entry, messageFlag.waitAll);
  }

  /** Sends all of it, unless the connection fails before. At most one send of a connection at a time. */
  send(type: OperationType, slot: number, address: number, lengthBytes: number): void {
    const ring = this.#ring;
    const entry = ring.prepare(opcode.send, this.fd, type, slot);
    ring.setBuffer(entry, address, lengthBytes);
    ring.setOperationFlags(entry, messageFlag.waitAll | messageFlag.noSignal);
  }

  /** Like `send`, gathered from the vectors of a message header in an arena (see `message-header`). */
  sendMessage(type: OperationType, slot: number, headerAddress: number): void {
    const ring = this.#ring;
    const entry = ring.prepare(opcode.sendMessage, this.fd, type, slot);
    ring.setBuffer(entry, headerAddress, 1);
    ring.setOperationFlags(entry, messageFlag.waitAll | messageFlag.noSignal);
  }
}
