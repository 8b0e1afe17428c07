/** Node's own sockets: they serve where no ring does. */
import type { Socket } from 'node:net';

import { nbdLingerTimeoutMs } from '../../limits.ts';
import type { OutputBatch } from '../../nbd/output-batch.ts';
import { leaveSocket } from './socket-descriptor.ts';
import type { SocketOwner, StreamSocket } from './stream-socket.ts';

/** A socket of `node:net`. */
export class NetSocket implements StreamSocket {
  readonly #socket: Socket;
  #owner: SocketOwner | undefined;
  #isEnding = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true);
  }

  start(owner: SocketOwner): void {
    const socket = this.#socket;
    socket.on('data', (bytes: Buffer) => {
      if (!this.#isEnding) owner.receive(bytes);
    });
    socket.on('end', () => owner.inputEnded());
    socket.on('error', (error) => owner.failed(error));
    socket.on('close', () => owner.socketClosed());
    this.#owner = owner;
    socket.resume();
  }

  setReading(isReading: boolean): void {
    if (this.#isEnding) return;
    if (isReading) this.#socket.resume();
    else this.#socket.pause();
  }

  send(batch: OutputBatch): void {
    const { pieces, pieceCount } = batch;
    const socket = this.#socket;
    // Called in any case: with an error if the socket is destroyed.
    const sent = (): void => this.#owner!.sent();
    socket.cork();
    for (let index = 0; index < pieceCount; index++) {
      const { bytes, start, lengthBytes } = pieces[index]!;
      const isLast = index === pieceCount - 1;
      socket.write(bytes.subarray(start, start + lengthBytes), isLast ? sent : undefined);
    }
    socket.uncork();
  }

  afterTurn(task: () => void): void {
    setImmediate(task);
  }

  end(): void {
    this.#isEnding = true;
    this.#socket.end();
    this.#socket.resume();
    this.#socket.setTimeout(nbdLingerTimeoutMs, () => this.#socket.destroy());
  }

  detach(): { readonly fd: number; readonly unread: Buffer } | undefined {
    this.#isEnding = true;
    const left = leaveSocket(this.#socket);
    this.#socket.destroy();
    return left;
  }

  destroy(): void {
    this.#isEnding = true;
    this.#socket.destroy();
  }
}
