/**
 * A connected socket as connections see it, whatever moves its bytes: Node's own sockets (`net-socket`), or a ring
 * of the reactor. One batch is sent at a time; output that does not fit waits with its owner.
 */
import type { OutputBatch } from '../../nbd/output-batch.ts';
import type { ReceiveSpace } from '../../nbd/session.ts';

/** What a socket tells its owner. Nothing is called before `start`, and nothing after `socketClosed` but `sent`. */
export interface SocketOwner {
  /** Bytes that the socket has in a buffer of its own; the buffer is the owner's from now on. */
  receive(bytes: Buffer): void;
  /** Where to put bytes without a copy; `received` always follows. */
  receiveSpace(): ReceiveSpace;
  /** So many bytes, perhaps none, are in the space. */
  received(lengthBytes: number): void;
  /** The client sends nothing more. */
  inputEnded(): void;
  /** The batch is the owner's again: all of it was sent, or none of it matters any more. */
  sent(): void;
  /** Something failed; `socketClosed` follows. */
  failed(error: NodeJS.ErrnoException): void;
  socketClosed(): void;
}

/** A connected socket. */
export interface StreamSocket {
  /** Begins to read and to call. */
  start(owner: SocketOwner): void;
  setReading(isReading: boolean): void;
  /** Sends a batch, which is the socket's until `sent`. Not before the last one was sent. */
  send(batch: OutputBatch): void;
  /** Runs a task once this turn's completions are all known, so that their replies leave together. */
  afterTurn(task: () => void): void;
  /**
   * Tells the client that nothing more comes, drops what it still sends so that its last replies are not reset, and
   * closes when it closes, or after a while.
   */
  end(): void;
  /**
   * Closes it here and leaves the connection as it is, for another thread: answers a descriptor that is the caller's,
   * and what has arrived that the owner was not given. Not while a batch is sent. Undefined if it is gone meanwhile.
   */
  detach(): { readonly fd: number; readonly unread: Buffer } | undefined;
  /** Closes at once; `socketClosed` comes later. May be called twice. */
  destroy(): void;
}
