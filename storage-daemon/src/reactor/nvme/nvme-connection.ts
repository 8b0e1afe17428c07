/**
 * One NVMe/TCP connection: its socket and its queue. Replies of one turn of the event loop leave together, in one
 * system call. What the host does not take fills the socket's buffer; then the queue starts no further command.
 *
 * A host that leaves resets its connections: that is no failure. Half a connection is none: nothing is answered into
 * it.
 */
import { isIPv4, type Socket } from 'node:net';

import { assert } from '@varve/common/assert';

import {
  nvmeBegunBytesMax,
  nvmeConnectTimeoutMs,
  nvmeDataTimeoutMs,
  nvmeInitializationTimeoutMs,
  nvmeLingerTimeoutMs,
  nvmeOutputBytesMax,
  nvmeOutputStallTimeoutMs,
} from '../../limits.ts';
import type { NvmeTarget } from '../../nvmf/nvme-target.ts';
import type { NvmeQueueActions, NvmeTransportAddress } from '../../nvmf/ports.ts';
import { NvmeQueue, type NvmeWait } from '../../nvmf/queue/nvme-queue.ts';
import type { ReactorNotices } from '../channel.ts';
import type { AdoptedNvmeQueue } from '../messages.ts';
import { leaveSocket } from '../sockets/socket-descriptor.ts';

/** What a connection needs. */
export interface NvmeConnectionDependencies {
  readonly socket: Socket;
  readonly target: NvmeTarget;
  readonly log: ReactorNotices['log'];
  /** What the host has sent to whoever accepted the connection; undefined: it is new. */
  readonly begun?: BegunQueue | undefined;
  /** Takes queues whose subsystem is elsewhere. */
  readonly handOver?: ((queue: LeavingNvmeQueue) => void) | undefined;
}

/** A queue between two threads, without its socket. */
export type BegunQueue = Omit<AdoptedNvmeQueue, 'fd'>;

/** A queue whose subsystem is elsewhere. */
export interface LeavingNvmeQueue extends AdoptedNvmeQueue {
  readonly subsystemNqn: string;
}

type Stage = NvmeWait | 'output';

const timeoutsMs: Record<Stage, number> = {
  initialization: nvmeInitializationTimeoutMs,
  connect: nvmeConnectTimeoutMs,
  data: nvmeDataTimeoutMs,
  output: nvmeOutputStallTimeoutMs,
  nothing: Infinity,
};

/** A host's connection. */
export class NvmeConnection implements NvmeQueueActions {
  /** Resolves when nothing is left of it. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #log: ReactorNotices['log'];
  readonly #queue: NvmeQueue;
  #output: Buffer[] = [];
  #outputBytes = 0;
  #isOutputBlocked = false;
  #isDisconnecting = false;
  readonly #handOver: NvmeConnectionDependencies['handOver'];
  /** What the host has sent, as long as its queue may go elsewhere. */
  #received: Buffer[] | undefined;
  #receivedBytes = 0;
  #sentBytes = 0;
  #leavingFor: string | undefined;
  /** Bytes of output that the host has got from whoever accepted its connection. */
  #unsentBytes: number;
  /** What it waits for, since when, and how far that had come then. */
  #stage: Stage = 'initialization';
  #stageStartMs: number | undefined;
  #progressMark = 0;
  #resolveEnded!: () => void;

  constructor({ socket, target, log, begun, handOver }: NvmeConnectionDependencies) {
    this.#socket = socket;
    this.#log = log;
    this.#handOver = handOver;
    this.#received = handOver ? [] : undefined;
    this.#unsentBytes = begun?.answeredBytes ?? 0;
    this.#queue = new NvmeQueue(
      { localAddress: localAddressOf(socket) },
      { target, actions: this },
    );
    const ended = new Promise<void>((resolve) => {
      this.#resolveEnded = resolve;
    });
    const socketClosed = new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
    });
    this.closed = Promise.all([ended, socketClosed]).then(() => undefined);
    this.#listen();
    if (!begun) return;
    this.#queue.receive(Buffer.from(begun.bytes));
    // It was paused until somebody listens.
    if (!this.#isDisconnecting) socket.resume();
  }

  /** Ends it without a word. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Ends it if the host has taken too long over what it must do. Called every now and then. */
  checkPatience(nowMs: number): void {
    const stage = this.#isOutputBlocked ? 'output' : this.#queue.waitsFor;
    // Slow bytes of the first stages do not count: a host must get through them in time.
    const { progressMark } = this.#queue;
    const isProgress = stage === 'data' && progressMark !== this.#progressMark;
    if (stage !== this.#stage || isProgress || this.#stageStartMs === undefined) {
      this.#stage = stage;
      this.#stageStartMs = nowMs;
      this.#progressMark = progressMark;
      return;
    }
    if (nowMs - this.#stageStartMs <= timeoutsMs[stage]) return;
    this.#log('warn', 'NVMe host takes too long, disconnecting', {
      stage,
      timeoutMs: timeoutsMs[stage],
    });
    this.#socket.destroy();
  }

  send(bytes: Buffer): void {
    if (this.#unsentBytes > 0) {
      this.#unsentBytes -= bytes.length;
      assert(this.#unsentBytes >= 0, 'what was answered elsewhere is answered alike');
      return;
    }
    this.#sentBytes += bytes.length;
    if (this.#output.length === 0) setImmediate(() => this.#flushOutput());
    this.#output.push(bytes);
    this.#outputBytes += bytes.length;
    if (this.#outputBytes >= nvmeOutputBytesMax) setImmediate(() => this.#flushOutput());
  }

  setReading(isReading: boolean): void {
    if (this.#isDisconnecting) return;
    if (isReading) this.#socket.resume();
    else this.#socket.pause();
  }

  disconnect(reason: string | undefined): void {
    this.#isDisconnecting = true;
    if (reason !== undefined) this.#log('info', 'NVMe connection ended', { reason });
    this.#flushOutput();
    this.#socket.end();
    // What still comes is dropped, so that the host reads the last words before its side is reset.
    this.#socket.resume();
    this.#socket.setTimeout(nvmeLingerTimeoutMs, () => this.#socket.destroy());
  }

  elsewhere(subsystemNqn: string): void {
    this.#leavingFor = subsystemNqn;
    this.#leaveWhenFlushed();
  }

  ended(): void {
    this.#resolveEnded();
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on('data', (bytes: Buffer) => {
      this.#keep(bytes);
      if (!this.#isDisconnecting) this.#queue.receive(bytes);
    });
    socket.on('end', () => socket.destroy());
    socket.on('drain', () => this.#setOutputBlocked(false));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE' || error.code === 'ECONNRESET') return;
      this.#log('warn', 'NVMe connection failed', { error: error.message });
    });
    socket.on('close', () => {
      this.#isDisconnecting = true;
      this.#output = [];
      this.#queue.connectionLost();
    });
  }

  #flushOutput(): void {
    const output = this.#output;
    if (output.length === 0 || this.#socket.destroyed) return;
    this.#output = [];
    this.#outputBytes = 0;
    this.#socket.cork();
    for (const bytes of output) this.#socket.write(bytes);
    this.#socket.uncork();
    if (this.#socket.writableNeedDrain) this.#setOutputBlocked(true);
  }

  /** A copy: the queue may do with the bytes what it wants. */
  #keep(bytes: Buffer): void {
    if (!this.#received) return;
    if (this.#leavingFor === undefined && this.#queue.controller) {
      this.#received = undefined;
      return;
    }
    this.#received.push(Buffer.from(bytes));
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes <= nvmeBegunBytesMax) return;
    this.#log('warn', 'NVMe host sends too much before its Connect, disconnecting', {
      bytesMax: nvmeBegunBytesMax,
    });
    this.#isDisconnecting = true;
    this.#socket.destroy();
  }

  /** The host has got what it was answered before the connection goes to another thread. */
  #leaveWhenFlushed(): void {
    this.#flushOutput();
    if (this.#socket.writableLength > 0) {
      this.#socket.write('', () => this.#leaveWhenFlushed());
      return;
    }
    if (this.#socket.destroyed || this.#isDisconnecting) return;
    this.#isDisconnecting = true;
    const left = leaveSocket(this.#socket);
    this.#socket.destroy();
    if (!left) return;
    this.#handOver?.({
      subsystemNqn: this.#leavingFor!,
      fd: left.fd,
      bytes: Buffer.concat([...(this.#received ?? []), left.unread]),
      answeredBytes: this.#sentBytes,
    });
  }

  #setOutputBlocked(isBlocked: boolean): void {
    this.#isOutputBlocked = isBlocked;
    this.#queue.setOutputBlocked(isBlocked);
  }
}

/** Where the host has reached us; an IPv4 address that came through an IPv6 socket is one nonetheless. */
function localAddressOf({ localAddress = '', localPort = 0 }: Socket): NvmeTransportAddress {
  const address = localAddress.replace(/^::ffff:(?=\d+\.)/, '');
  return { family: isIPv4(address) ? 4 : 6, address, port: localPort };
}
