/**
 * One NVMe/TCP connection: its socket and its queue. Replies of one turn leave together, in one system call, as one
 * batch; the next batch is made when that one was sent. What the host does not take waits here; then the queue starts
 * no further command, which bounds it: by `nvmeOutputBytesMax`, and the replies to commands that were under way.
 *
 * A host that leaves resets its connections: that is no failure. Half a connection is none: nothing is answered into
 * it.
 */
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
import { OutputBatch } from '../../nbd/output-batch.ts';
import { OutputQueue, type Reply } from '../../nbd/output-queue.ts';
import type { ReceiveSpace } from '../../nbd/session.ts';
import type { NvmeTarget } from '../../nvmf/nvme-target.ts';
import type { NvmeQueueActions, NvmeTransportAddress } from '../../nvmf/ports.ts';
import { NvmeQueue, type NvmeWait } from '../../nvmf/queue/nvme-queue.ts';
import type { ReactorNotices } from '../channel.ts';
import type { AdoptedNvmeQueue } from '../messages.ts';
import type { ConnectionMemory, NbdMemory } from '../nbd-memory.ts';
import type { SocketOwner, StreamSocket } from '../sockets/stream-socket.ts';

/** What a connection needs. */
export interface NvmeConnectionDependencies {
  readonly socket: StreamSocket;
  /** Where the host has reached us. */
  readonly localAddress: NvmeTransportAddress;
  readonly memory: NbdMemory;
  /** Given back to `memory` at the end. */
  readonly ownMemory: ConnectionMemory;
  readonly target: NvmeTarget;
  readonly log: ReactorNotices['log'];
  /** What the host has sent to whoever accepted the connection; undefined: it is new. */
  readonly begun?: BegunQueue | undefined;
  /** Takes queues whose subsystem is elsewhere; these must not be on a ring. */
  readonly handOver?: ((queue: LeavingNvmeQueue) => void) | undefined;
}

/** A queue between two threads, without its socket. */
export type BegunQueue = Omit<AdoptedNvmeQueue, 'fd'>;

/** A queue whose subsystem is elsewhere. */
export interface LeavingNvmeQueue extends AdoptedNvmeQueue {
  readonly subsystemNqn: string;
}

const waitTimeoutsMs: Record<NvmeWait, number> = {
  initialization: nvmeInitializationTimeoutMs,
  connect: nvmeConnectTimeoutMs,
  data: nvmeDataTimeoutMs,
  nothing: Infinity,
};

/** A host's connection. */
export class NvmeConnection implements NvmeQueueActions, SocketOwner {
  /** Resolves when nothing is left of it. */
  readonly closed: Promise<void>;
  readonly #socket: StreamSocket;
  readonly #log: ReactorNotices['log'];
  readonly #queue: NvmeQueue;
  readonly #memory: NbdMemory;
  #ownMemory: ConnectionMemory | undefined;
  readonly #input: Buffer;
  readonly #output = new OutputQueue();
  readonly #batch: OutputBatch;
  readonly #flush = (): void => this.#flushPlanned();
  readonly #handOver: NvmeConnectionDependencies['handOver'];
  #isFlushPlanned = false;
  #isSending = false;
  #sentCount = 0;
  #isReceiving = false;
  #isReceivingDirect = false;
  #isDisconnecting = false;
  #isSocketEnded = false;
  /** The host took too long. */
  #isDropped = false;
  #isSocketClosed = false;
  /** What the host has sent, as long as its queue may go elsewhere. */
  #received: Buffer[] | undefined;
  #receivedBytes = 0;
  #sentBytes = 0;
  #leavingFor: string | undefined;
  /** Bytes of output that the host has got from whoever accepted its connection. */
  #unsentBytes: number;
  readonly #inputPatience = new Patience<NvmeWait>();
  readonly #outputPatience = new Patience<'idle' | 'output' | 'end'>();
  #resolveEnded!: () => void;
  #resolveSocketClosed!: () => void;

  constructor(dependencies: NvmeConnectionDependencies) {
    const { socket, localAddress, memory, ownMemory, target, log, begun, handOver } = dependencies;
    this.#socket = socket;
    this.#log = log;
    this.#memory = memory;
    this.#ownMemory = ownMemory;
    this.#input = ownMemory.input;
    this.#batch = new OutputBatch(ownMemory.output);
    this.#handOver = handOver;
    this.#received = handOver ? [] : undefined;
    this.#unsentBytes = begun?.answeredBytes ?? 0;
    this.#queue = new NvmeQueue({ localAddress }, { target, actions: this });
    const ended = new Promise<void>((resolve) => {
      this.#resolveEnded = resolve;
    });
    const socketClosed = new Promise<void>((resolve) => {
      this.#resolveSocketClosed = resolve;
    });
    this.closed = Promise.all([ended, socketClosed]).then(() => undefined);
    if (begun) this.#queue.receive(Buffer.from(begun.bytes));
    socket.start(this);
  }

  /** Ends it without a word. */
  destroy(): void {
    this.#socket.destroy();
  }

  /**
   * Ends it if the host has taken too long over what it must do. Called every now and then. What it must send and what
   * it must take are watched apart: to do the one is no excuse for the other.
   *
   * @returns Whether it has ended it.
   */
  checkPatience(nowMs: number): boolean {
    if (this.#isDropped) return false;
    const wait = this.#queue.waitsFor;
    // Slow bytes of the first stages do not count: a host must get through them in time.
    const progressMark = wait === 'data' ? this.#queue.progressMark : 0;
    const waitedMs = this.#inputPatience.waitedMs(wait, progressMark, nowMs);
    if (waitedMs > waitTimeoutsMs[wait]) this.#dropSlow(wait, waitTimeoutsMs[wait]);
    const isWaiting = this.#isSending || !this.#output.isEmpty;
    const outputStage = this.#isDisconnecting ? 'end' : isWaiting ? 'output' : 'idle';
    const stalledMs = this.#outputPatience.waitedMs(outputStage, this.#sentCount, nowMs);
    if (outputStage === 'end' && stalledMs > nvmeLingerTimeoutMs) this.#socket.destroy();
    if (outputStage === 'output' && stalledMs > nvmeOutputStallTimeoutMs) {
      this.#dropSlow(outputStage, nvmeOutputStallTimeoutMs);
    }
    return this.#isDropped;
  }

  send(item: Buffer | Reply): void {
    const lengthBytes = item instanceof Uint8Array ? item.length : item.replyBytes;
    if (this.#unsentBytes > 0) {
      this.#unsentBytes -= lengthBytes;
      assert(this.#unsentBytes >= 0, 'what was answered elsewhere is answered alike');
      if (!(item instanceof Uint8Array)) item.drop();
      return;
    }
    this.#sentBytes += lengthBytes;
    this.#output.push(item);
    this.#planFlush();
  }

  setReading(isReading: boolean): void {
    if (!this.#isDisconnecting) this.#socket.setReading(isReading);
  }

  /** What waits still leaves; then the socket is ended. */
  disconnect(reason: string | undefined): void {
    this.#isDisconnecting = true;
    if (reason !== undefined) this.#log('info', 'NVMe connection ended', { reason });
    this.#planFlush();
  }

  elsewhere(subsystemNqn: string): void {
    this.#leavingFor = subsystemNqn;
    this.#planFlush();
  }

  ended(): void {
    this.#resolveEnded();
  }

  receive(bytes: Buffer): void {
    this.#keep(bytes);
    if (!this.#isDisconnecting) this.#queue.receive(bytes);
  }

  receiveSpace(): ReceiveSpace {
    this.#isReceiving = true;
    const direct = this.#isDisconnecting ? undefined : this.#queue.tryReceiveDirect();
    this.#isReceivingDirect = direct !== undefined;
    return direct ?? { bytes: this.#input, start: 0, lengthBytes: this.#input.length };
  }

  received(lengthBytes: number): void {
    this.#isReceiving = false;
    if (this.#isReceivingDirect) this.#queue.directReceived(lengthBytes);
    else if (lengthBytes > 0) {
      const bytes = this.#input.subarray(0, lengthBytes);
      this.#keep(bytes);
      if (!this.#isDisconnecting) this.#queue.receiveBorrowed(bytes);
    }
    this.#releaseMemory();
  }

  inputEnded(): void {
    this.#socket.destroy();
  }

  sent(): void {
    this.#isSending = false;
    this.#batch.clear(this.#memory.buffers);
    this.#flushOutput();
    this.#releaseMemory();
  }

  failed(error: NodeJS.ErrnoException): void {
    if (error.code === 'EPIPE' || error.code === 'ECONNRESET') return;
    this.#log('warn', 'NVMe connection failed', { error: error.message });
  }

  socketClosed(): void {
    this.#isDisconnecting = true;
    this.#isSocketClosed = true;
    this.#output.clear();
    this.#queue.connectionLost();
    this.#resolveSocketClosed();
    this.#releaseMemory();
  }

  #planFlush(): void {
    if (this.#isFlushPlanned || this.#isSocketClosed) return;
    this.#isFlushPlanned = true;
    this.#socket.afterTurn(this.#flush);
  }

  #flushPlanned(): void {
    this.#isFlushPlanned = false;
    this.#flushOutput();
  }

  #flushOutput(): void {
    if (this.#isSocketClosed) return;
    if (!this.#isSending) {
      this.#output.moveTo(this.#batch);
      if (this.#batch.pieceCount > 0) {
        this.#isSending = true;
        this.#sentCount++;
        this.#socket.send(this.#batch);
      } else this.#allSent();
    }
    // It may answer with further output, which plans a flush of its own.
    this.#queue.setOutputBlocked(this.#output.lengthBytes >= nvmeOutputBytesMax);
  }

  /** The host gets what it was answered before its connection ends, or goes to another thread. */
  #allSent(): void {
    if (this.#leavingFor !== undefined) this.#leave(this.#leavingFor);
    else if (this.#isDisconnecting && !this.#isSocketEnded) {
      this.#isSocketEnded = true;
      this.#socket.end();
    }
  }

  /** Not before the system has let go of all of it. */
  #releaseMemory(): void {
    if (!this.#isSocketClosed || this.#isSending || this.#isReceiving) return;
    if (this.#ownMemory) this.#memory.release(this.#ownMemory);
    this.#ownMemory = undefined;
  }

  #dropSlow(stage: string, timeoutMs: number): void {
    this.#isDropped = true;
    this.#log('warn', 'NVMe host takes too long, disconnecting', { stage, timeoutMs });
    this.#socket.destroy();
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

  #leave(subsystemNqn: string): void {
    if (this.#isDisconnecting) return;
    this.#isDisconnecting = true;
    const left = this.#socket.detach();
    if (!left) return;
    this.#handOver?.({
      subsystemNqn,
      fd: left.fd,
      bytes: Buffer.concat([...(this.#received ?? []), left.unread]),
      answeredBytes: this.#sentBytes,
    });
  }
}

/** How long something has been waited for without progress. */
class Patience<Stage> {
  #stage: Stage | undefined;
  #progressMark = 0;
  #startMs = 0;

  waitedMs(stage: Stage, progressMark: number, nowMs: number): number {
    if (stage !== this.#stage || progressMark !== this.#progressMark) {
      this.#stage = stage;
      this.#progressMark = progressMark;
      this.#startMs = nowMs;
    }
    return nowMs - this.#startMs;
  }
}
