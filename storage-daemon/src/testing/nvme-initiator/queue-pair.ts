/**
 * A host's end of one NVMe/TCP connection: commands out, completions in. Answers R2Ts, checks all that the controller
 * sends, and ends with an error when that breaks the protocol.
 */
import { connect, type Socket } from 'node:net';

import { type ControllerPdu, ControllerPduReader } from './controller-pdu-reader.ts';
import {
  encodeCapsule,
  encodeH2cData,
  encodeIcReq,
  type HostCommand,
  type HostDigests,
  noDigests,
} from './host-pdu.ts';

/** Where and how to connect. */
export interface QueuePairOptions {
  readonly host: string;
  readonly port: number;
  readonly digests?: HostDigests;
}

/** How a command ended. */
export interface HostCompletion {
  /** Status code type and code, without phase and hints. */
  readonly status: number;
  readonly mayRetry: boolean;
  readonly result: number;
  readonly resultHigh: number;
  /** What a read brought. */
  readonly data: Buffer;
}

/** A command before it has an id. */
export type NewCommand = Omit<HostCommand, 'commandId'>;

type Done = (completion: HostCompletion | Error) => void;

interface Pending {
  readonly done: Done;
  readonly dataOut: Uint8Array | undefined;
  readonly dataIn: Buffer | undefined;
  receivedBytes: number;
}

const noData = Buffer.alloc(0);
const commandIdsMax = 0x1_0000;

/** A connection. */
export class QueuePair {
  readonly #socket: Socket;
  readonly #digests: HostDigests;
  readonly #reader = new ControllerPduReader();
  readonly #pending = new Map<number, Pending>();
  readonly #output: Buffer[] = [];
  #nextCommandId = 0;
  #h2cDataBytesMax = 0;
  #failure: Error | undefined;
  #initialized: ((failure: Error | undefined) => void) | undefined;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket, digests: HostDigests) {
    this.#socket = socket;
    this.#digests = digests;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('end', () => this.#fail(new Error('the controller closed the connection')));
    socket.on('error', (error) => this.#fail(new Error(`the connection failed: ${error.message}`)));
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#fail(new Error('the connection is closed'));
        resolve();
      });
    });
  }

  /** Connects and agrees on digests. */
  static async open({ host, port, digests = noDigests }: QueuePairOptions): Promise<QueuePair> {
    const socket = connect({ host, port });
    const pair = new QueuePair(socket, digests);
    await new Promise<void>((resolve, reject) => {
      pair.#initialized = (failure) => (failure ? reject(failure) : resolve());
      socket.once('connect', () => socket.write(encodeIcReq(digests)));
    });
    return pair;
  }

  /** Commands without an answer. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /**
   * Sends a command. Data in `command.data` goes into the capsule; `dataOut` is sent when the controller asks for it;
   * a command that reads says how much in `sglBytes`.
   */
  submit(command: NewCommand, dataOut: Uint8Array | undefined, done: Done): void {
    if (this.#failure) {
      done(this.#failure);
      return;
    }
    const commandId = this.#takeCommandId();
    const sglBytes = dataOut?.length ?? command.sglBytes ?? command.data?.length ?? 0;
    const isRead = sglBytes > 0 && !dataOut && !command.data;
    const dataIn = isRead ? Buffer.allocUnsafe(sglBytes) : undefined;
    this.#pending.set(commandId, { done, dataOut, dataIn, receivedBytes: 0 });
    this.#send(encodeCapsule({ ...command, commandId, sglBytes }, this.#digests));
  }

  /** Sends a command and waits for its completion. */
  command(command: NewCommand, dataOut?: Uint8Array): Promise<HostCompletion> {
    return new Promise((resolve, reject) => {
      this.submit(command, dataOut, (completion) => {
        if ('status' in completion) resolve(completion);
        else reject(completion);
      });
    });
  }

  /** Sends any bytes, for tests of what a host must not do. */
  sendRaw(bytes: Buffer): void {
    this.#send(bytes);
  }

  /** Takes nothing further that the controller sends, until `resumeReading`: its replies fill the socket. */
  pauseReading(): void {
    this.#socket.pause();
  }

  /** Goes on. */
  resumeReading(): void {
    this.#socket.resume();
  }

  /** Resets the connection, as Linux does. */
  async close(): Promise<void> {
    this.#socket.resetAndDestroy();
    await this.closed;
  }

  #takeCommandId(): number {
    do {
      this.#nextCommandId = (this.#nextCommandId + 1) % commandIdsMax;
    } while (this.#pending.has(this.#nextCommandId));
    return this.#nextCommandId;
  }

  /** Commands of one turn leave together. */
  #send(bytes: Buffer): void {
    if (this.#output.length === 0) {
      setImmediate(() => {
        this.#socket.cork();
        for (const each of this.#output.splice(0)) this.#socket.write(each);
        this.#socket.uncork();
      });
    }
    this.#output.push(bytes);
  }

  #receive(bytes: Buffer): void {
    this.#reader.push(bytes);
    try {
      for (let pdu = this.#reader.tryTake(); pdu; pdu = this.#reader.tryTake()) this.#take(pdu);
    } catch (error) {
      this.#fail(error as Error);
      this.#socket.destroy();
    }
  }

  #take(pdu: ControllerPdu): void {
    const { type, header } = pdu;
    switch (type) {
      case 1:
        this.#h2cDataBytesMax = header.readUInt32LE(12);
        this.#checkDigests();
        this.#initialized?.(undefined);
        this.#initialized = undefined;
        return;
      case 5:
        this.#complete(header.readUInt16LE(20), readCompletion(header));
        return;
      case 7:
        this.#takeData(pdu);
        return;
      case 9:
        this.#answerR2t(header);
        return;
      default:
        throw new Error(
          `the controller ended the connection: fatal error ${header.readUInt16LE(8)}, ` +
            `information ${header.readUInt32LE(10)}`,
        );
    }
  }

  #checkDigests(): void {
    const { header, data } = this.#reader.digests;
    if (header === this.#digests.header && data === this.#digests.data) return;
    throw new Error('the controller agrees to other digests than were asked for');
  }

  #takeData({ header, data, flags }: ControllerPdu): void {
    const commandId = header.readUInt16LE(8);
    const pending = this.#require(commandId);
    const offsetBytes = header.readUInt32LE(12);
    if (!pending.dataIn || offsetBytes !== pending.receivedBytes) {
      throw new Error(`data at ${offsetBytes} after ${pending.receivedBytes} bytes`);
    }
    if (offsetBytes + data.length > pending.dataIn.length) throw new Error('too much data');
    data.copy(pending.dataIn, offsetBytes);
    pending.receivedBytes += data.length;
    const isLast = (flags & 4) !== 0;
    if (isLast !== (pending.receivedBytes === pending.dataIn.length)) {
      throw new Error('LAST_PDU on other than the last byte');
    }
    if ((flags & 8) === 0) return;
    this.#complete(commandId, { status: 0, mayRetry: true, result: 0, resultHigh: 0, data });
  }

  #answerR2t(header: Buffer): void {
    const commandId = header.readUInt16LE(8);
    const transferTag = header.readUInt16LE(10);
    const startBytes = header.readUInt32LE(12);
    const lengthBytes = header.readUInt32LE(16);
    const pending = this.#require(commandId);
    const endBytes = startBytes + lengthBytes;
    if (!pending.dataOut || lengthBytes === 0 || endBytes > pending.dataOut.length) {
      throw new Error(`R2T for ${lengthBytes} bytes at ${startBytes}`);
    }
    if (startBytes !== pending.receivedBytes) throw new Error('R2T out of order');
    pending.receivedBytes = endBytes;
    for (let at = startBytes; at < endBytes; at += this.#h2cDataBytesMax) {
      const end = Math.min(at + this.#h2cDataBytesMax, endBytes);
      const data = pending.dataOut.subarray(at, end);
      const fields = { commandId, transferTag, offsetBytes: at, data, isLast: end === endBytes };
      this.#send(encodeH2cData(fields, this.#digests));
    }
  }

  #complete(commandId: number, completion: HostCompletion): void {
    const pending = this.#require(commandId);
    this.#pending.delete(commandId);
    const isComplete = pending.receivedBytes === pending.dataIn?.length;
    if (pending.dataIn && completion.status === 0 && !isComplete) {
      throw new Error(`success with ${pending.receivedBytes} of ${pending.dataIn.length} bytes`);
    }
    const data = completion.status === 0 ? (pending.dataIn ?? noData) : noData;
    pending.done({ ...completion, data });
  }

  #require(commandId: number): Pending {
    const pending = this.#pending.get(commandId);
    if (!pending) throw new Error(`command ${commandId} is not under way`);
    return pending;
  }

  #fail(failure: Error): void {
    this.#failure ??= failure;
    this.#initialized?.(this.#failure);
    this.#initialized = undefined;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { done } of pending) done(this.#failure);
  }
}

function readCompletion(header: Buffer): HostCompletion {
  const wire = header.readUInt16LE(22);
  return {
    status: (wire >> 1) & 0x7ff,
    mayRetry: (wire & 0x8000) === 0,
    result: header.readUInt32LE(8),
    resultHigh: header.readUInt32LE(12),
    data: noData,
  };
}
