/**
 * One NBD client: its socket, its protocol machine, its hold on a volume. Ends when the socket is closed,
 * the last request is answered and the volume is given back.
 *
 * Replies of one turn of the event loop leave together, in one system call. What the client does not take
 * fills the socket's buffer, then the session is told, which then starts no further request and stops
 * reading.
 */
import type { Socket } from 'node:net';

import {
  nbdHandshakeTimeoutMs,
  nbdLingerTimeoutMs,
  nbdOutputBytesMax,
  nbdOutputStallTimeoutMs,
} from '../limits.ts';
import { type NbdActions, NbdSession } from '../nbd/session.ts';
import type { VolumeTable, VolumeUser } from '../volume/volume-table.ts';
import type { ReactorNotices } from './channel.ts';
import { NodeExports } from './node-exports.ts';

/** What a connection needs. */
export interface NbdConnectionDependencies {
  readonly socket: Socket;
  readonly volumes: VolumeTable;
  readonly log: ReactorNotices['log'];
}

/** A client's connection. */
export class NbdConnection implements VolumeUser, NbdActions {
  /** Resolves when nothing is left of it. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #log: ReactorNotices['log'];
  readonly #exports: NodeExports;
  readonly #session: NbdSession;
  readonly #handshakeTimer: NodeJS.Timeout;
  #stallTimer: NodeJS.Timeout | undefined;
  #output: Buffer[] = [];
  #outputBytes = 0;
  #isDisconnecting = false;
  #resolveEnded!: () => void;

  constructor({ socket, volumes, log }: NbdConnectionDependencies) {
    this.#socket = socket;
    this.#log = log;
    this.#exports = new NodeExports(this, volumes);
    this.#session = new NbdSession({
      exports: this.#exports,
      openedVolume: () => this.#exports.opened,
      actions: this,
    });
    this.#handshakeTimer = setTimeout(() => this.#checkHandshake(), nbdHandshakeTimeoutMs);
    const ended = new Promise<void>((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.closed = this.#waitForEnd(ended);
    this.#listen();
    this.#session.start();
  }

  /** The volume is taken away. */
  evicted(): void {
    this.shutDown();
  }

  /** Answers what is under way, then ends. */
  shutDown(): void {
    this.#session.shutDown();
  }

  /** Ends without sending what is unsent. */
  destroy(): void {
    this.#socket.destroy();
  }

  send(bytes: Buffer): void {
    if (this.#output.length === 0) setImmediate(() => this.#flushOutput());
    this.#output.push(bytes);
    this.#outputBytes += bytes.length;
    if (this.#outputBytes >= nbdOutputBytesMax) this.#flushOutput();
  }

  setReading(isReading: boolean): void {
    if (this.#isDisconnecting) return;
    if (isReading) this.#socket.resume();
    else this.#socket.pause();
  }

  disconnect(violation: string | undefined): void {
    this.#isDisconnecting = true;
    if (violation !== undefined) {
      this.#log('warn', 'NBD client broke the protocol, disconnecting', { violation });
      this.#socket.destroy();
      return;
    }
    this.#flushOutput();
    this.#socket.end();
    // What still comes is dropped, so that the client's own close is seen and its last replies are not reset.
    this.#socket.resume();
    this.#socket.setTimeout(nbdLingerTimeoutMs, () => this.#socket.destroy());
  }

  ended(): void {
    this.#resolveEnded();
  }

  async #waitForEnd(ended: Promise<void>): Promise<void> {
    const socketClosed = new Promise<void>((resolve) => {
      this.#socket.once('close', () => resolve());
    });
    await ended;
    await this.#exports.close();
    await socketClosed;
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on('data', (bytes: Buffer) => {
      if (!this.#isDisconnecting) this.#session.receive(bytes);
    });
    socket.on('end', () => this.#session.inputEnded());
    socket.on('drain', () => this.#setOutputBlocked(false));
    socket.on('error', (error) => this.#logFailure(error));
    socket.on('close', () => {
      this.#isDisconnecting = true;
      this.#output = [];
      clearTimeout(this.#handshakeTimer);
      clearTimeout(this.#stallTimer);
      this.#session.connectionLost();
    });
  }

  /** `close` follows, whatever it was. Clients often leave without a word: that is no failure. */
  #logFailure(error: NodeJS.ErrnoException): void {
    if (error.code === 'EPIPE' || error.code === 'ECONNRESET') return;
    this.#log('warn', 'NBD connection failed', { error: error.message });
  }

  #flushOutput(): void {
    const output = this.#output;
    if (output.length === 0 || this.#socket.destroyed) return;
    this.#output = [];
    this.#outputBytes = 0;
    this.#socket.cork();
    let hasRoom = true;
    for (const bytes of output) hasRoom = this.#socket.write(bytes);
    this.#socket.uncork();
    if (!hasRoom && this.#socket.writableNeedDrain) this.#setOutputBlocked(true);
  }

  #setOutputBlocked(isBlocked: boolean): void {
    clearTimeout(this.#stallTimer);
    if (isBlocked) {
      this.#stallTimer = setTimeout(() => this.#dropStalled(), nbdOutputStallTimeoutMs);
    }
    this.#session.setOutputBlocked(isBlocked);
  }

  #checkHandshake(): void {
    if (!this.#session.isNegotiating) return;
    this.#log('warn', 'NBD client opened no export in time, disconnecting', {
      timeoutMs: nbdHandshakeTimeoutMs,
    });
    this.#socket.destroy();
  }

  #dropStalled(): void {
    this.#log('warn', 'NBD client takes no replies, disconnecting', {
      timeoutMs: nbdOutputStallTimeoutMs,
    });
    this.#socket.destroy();
  }
}
