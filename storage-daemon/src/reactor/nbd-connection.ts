/**
 * One NBD client: its socket, its protocol machine, its hold on a volume. Ends when the socket is closed,
 * the last request is answered and the volume is given back.
 *
 * Replies of one turn leave together, in one system call, as one batch; the next batch is made when that one was
 * sent. What the client does not take waits in the session, which then starts no further request and stops
 * reading.
 */
import { nbdHandshakeTimeoutMs, nbdOutputStallTimeoutMs } from '../limits.ts';
import { OutputBatch } from '../nbd/output-batch.ts';
import { type NbdActions, NbdSession, type ReceiveSpace } from '../nbd/session.ts';
import type { NbdAgreedOptions } from '../nbd/negotiation.ts';
import type { VolumeUser } from '../volume/volume-table.ts';
import type { ReactorNotices } from './channel.ts';
import type { ConnectionMemory, NbdMemory } from './nbd-memory.ts';
import { type ExportedVolumes, NodeExports } from './node-exports.ts';
import type { SocketOwner, StreamSocket } from './sockets/stream-socket.ts';

/** What a connection needs. */
export interface NbdConnectionDependencies {
  readonly socket: StreamSocket;
  readonly memory: NbdMemory;
  /** Given back to `memory` at the end. */
  readonly ownMemory: ConnectionMemory;
  readonly volumes: ExportedVolumes;
  readonly log: ReactorNotices['log'];
  /** What the client has agreed on with whoever accepted it, and what it has sent since; undefined: it is new. */
  readonly begun?: BegunNegotiation | undefined;
  /** Takes a client whose export is elsewhere. */
  readonly handOver?: ((client: LeavingNbdClient) => void) | undefined;
}

/** A client between two threads, without its socket. */
export interface BegunNegotiation {
  readonly agreed: NbdAgreedOptions;
  /** From the option on that opens the export. */
  readonly bytes: Uint8Array;
}

/** A client whose export is elsewhere; everything that it was sent has gone out. */
export interface LeavingNbdClient extends BegunNegotiation {
  readonly exportName: string;
  /** A descriptor that is the taker's. */
  readonly fd: number;
}

interface Leaving {
  readonly exportName: string;
  readonly agreed: NbdAgreedOptions;
  readonly bytes: Buffer[];
}

/** A client's connection. */
export class NbdConnection implements VolumeUser, NbdActions, SocketOwner {
  /** Resolves when nothing is left of it. */
  readonly closed: Promise<void>;
  readonly #socket: StreamSocket;
  readonly #log: ReactorNotices['log'];
  readonly #exports: NodeExports;
  readonly #session: NbdSession;
  readonly #memory: NbdMemory;
  #ownMemory: ConnectionMemory | undefined;
  readonly #batch: OutputBatch;
  readonly #flush = (): void => this.#flushOutput();
  readonly #handshakeTimer: NodeJS.Timeout;
  #stallTimer: NodeJS.Timeout | undefined;
  /** Counts batches, so that the stall timer knows whether it sees the one that it was set for. */
  #sentCount = 0;
  readonly #handOver: NbdConnectionDependencies['handOver'];
  /** Set when the export is elsewhere, until all output has gone. */
  #leaving: Leaving | undefined;
  #isFlushPlanned = false;
  #isSending = false;
  #isReceiving = false;
  #isDisconnecting = false;
  #isSocketEnded = false;
  #isSocketClosed = false;
  #resolveEnded!: () => void;
  #resolveSocketClosed!: () => void;

  constructor(dependencies: NbdConnectionDependencies) {
    const { socket, memory, ownMemory, volumes, log, begun, handOver } = dependencies;
    this.#handOver = handOver;
    this.#socket = socket;
    this.#log = log;
    this.#memory = memory;
    this.#ownMemory = ownMemory;
    this.#batch = new OutputBatch(ownMemory.output);
    this.#exports = new NodeExports(this, volumes);
    this.#session = new NbdSession({
      exports: this.#exports,
      openedVolume: () => this.#exports.opened,
      actions: this,
      buffers: memory.buffers,
      inputBytes: ownMemory.input,
      agreed: begun?.agreed,
    });
    this.#handshakeTimer = setTimeout(() => this.#checkHandshake(), nbdHandshakeTimeoutMs);
    this.closed = this.#waitForEnd(
      new Promise<void>((resolve) => {
        this.#resolveEnded = resolve;
      }),
      new Promise<void>((resolve) => {
        this.#resolveSocketClosed = resolve;
      }),
    );
    socket.start(this);
    this.#session.start();
    if (begun) this.#session.receive(begun.bytes);
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

  outputReady(): void {
    if (this.#isFlushPlanned || this.#isSending) return;
    this.#isFlushPlanned = true;
    this.#socket.afterTurn(this.#flush);
  }

  setReading(isReading: boolean): void {
    if (!this.#isDisconnecting) this.#socket.setReading(isReading);
  }

  disconnect(violation: string | undefined): void {
    this.#isDisconnecting = true;
    if (violation === undefined) {
      this.outputReady();
      return;
    }
    this.#isSocketEnded = true;
    this.#log('warn', 'NBD client broke the protocol, disconnecting', { violation });
    this.#socket.destroy();
  }

  elsewhere(exportName: string, agreed: NbdAgreedOptions, bytes: Buffer): void {
    this.#leaving = { exportName, agreed, bytes: [bytes] };
    this.outputReady();
  }

  ended(): void {
    this.#resolveEnded();
  }

  receive(bytes: Buffer): void {
    if (this.#leaving) this.#leaving.bytes.push(bytes);
    else if (!this.#isDisconnecting) this.#session.receive(bytes);
  }

  receiveSpace(): ReceiveSpace {
    this.#isReceiving = true;
    return this.#session.receiveSpace();
  }

  received(lengthBytes: number): void {
    this.#isReceiving = false;
    this.#session.received(lengthBytes);
    this.#releaseMemory();
  }

  inputEnded(): void {
    this.#session.inputEnded();
  }

  sent(): void {
    this.#isSending = false;
    this.#batch.clear(this.#memory.buffers);
    this.#flushOutput();
    this.#releaseMemory();
  }

  /** Clients often leave without a word: that is no failure. */
  failed(error: NodeJS.ErrnoException): void {
    if (error.code === 'EPIPE' || error.code === 'ECONNRESET') return;
    this.#log('warn', 'NBD connection failed', { error: error.message });
  }

  /** The socket is gone. */
  socketClosed(): void {
    this.#isDisconnecting = true;
    this.#isSocketClosed = true;
    clearTimeout(this.#handshakeTimer);
    clearTimeout(this.#stallTimer);
    this.#session.connectionLost();
    this.#resolveSocketClosed();
    this.#releaseMemory();
  }

  async #waitForEnd(ended: Promise<void>, socketClosed: Promise<void>): Promise<void> {
    await ended;
    await this.#exports.close();
    await socketClosed;
  }

  #flushOutput(): void {
    this.#isFlushPlanned = false;
    if (this.#isSending || this.#isSocketClosed) return;
    this.#session.takeOutput(this.#batch);
    if (this.#batch.pieceCount > 0) {
      this.#isSending = true;
      this.#sentCount++;
      this.#stallTimer ??= this.#armStallTimer();
      this.#socket.send(this.#batch);
    } else if (this.#leaving && !this.#isDisconnecting) this.#leave(this.#leaving);
    else if (this.#isDisconnecting && !this.#isSocketEnded) {
      this.#isSocketEnded = true;
      this.#socket.end();
    }
  }

  #leave({ exportName, agreed, bytes }: Leaving): void {
    this.#isDisconnecting = true;
    this.#isSocketEnded = true;
    const left = this.#socket.detach();
    if (!left) return;
    const all = Buffer.concat([...bytes, left.unread]);
    this.#handOver?.({ exportName, agreed, bytes: all, fd: left.fd });
  }

  /** Not before the system has let go of all of it. */
  #releaseMemory(): void {
    if (!this.#isSocketClosed || this.#isSending || this.#isReceiving) return;
    if (this.#ownMemory) this.#memory.release(this.#ownMemory);
    this.#ownMemory = undefined;
  }

  /** One timer for many batches: each time it looks whether the batch of then is still being sent. */
  #armStallTimer(): NodeJS.Timeout {
    const sentCount = this.#sentCount;
    return setTimeout(() => {
      this.#stallTimer = undefined;
      if (!this.#isSending) return;
      if (this.#sentCount === sentCount) this.#dropStalled();
      else this.#stallTimer = this.#armStallTimer();
    }, nbdOutputStallTimeoutMs);
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
