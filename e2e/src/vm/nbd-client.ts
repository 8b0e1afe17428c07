/**
 * An NBD client that knows what was promised to it: many requests at a time on one connection, each a promise.
 * Standard clients do not tell when a flush was answered, and that moment is what a power cut is judged by.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  NbdCommand,
  NbdCommandFlag,
  NbdOption,
  NbdOptionReply,
} from '@varve/storage-daemon/nbd/wire-constants';
import {
  packInfoRequest,
  packOption,
  packRequest,
} from '@varve/storage-daemon/testing/nbd-messages';
import { ByteQueue } from './disk/byte-queue.ts';

const greetingBytes = 18;
const optionReplyBytes = 20;
const replyBytes = 16;
/** FIXED_NEWSTYLE and NO_ZEROES. */
const clientFlags = Buffer.from([0, 0, 0, 3]);

/** A server that owes answers and sends nothing for so long is stuck, however slow its guest is. */
const silenceTimeoutMs = 90_000;

/** The connection ended, or the server refused a request, or it answers no more. */
export class NbdClientError extends Error {
  readonly kind: 'disconnected' | 'refused' | 'silent';

  constructor(kind: NbdClientError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

interface Pending {
  readonly readBytes: number;
  readonly resolve: (data: Buffer) => void;
  readonly reject: (error: Error) => void;
}

/** One connection to one export. */
export class NbdClient {
  readonly #socket: Socket;
  readonly #input = new ByteQueue();
  readonly #pending = new Map<bigint, Pending>();
  #nextCookie = 1n;
  #waker: (() => void) | undefined;
  #isNegotiating = true;
  #isClosed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    const ended = new NbdClientError('disconnected', 'The connection ended before the answer');
    socket.on('error', () => undefined);
    socket.on('close', () => this.#lose(ended));
    socket.setTimeout(silenceTimeoutMs, () => this.#expectNothingOwed());
    socket.on('data', (bytes: Buffer) => {
      this.#input.push(bytes);
      if (this.#isNegotiating) this.#waker?.();
      else this.#readReplies();
    });
  }

  /** Connects to a port of the loopback interface, or to a unix socket, and opens an export. */
  static async open(
    address: { readonly port: number } | { readonly path: string },
    exportName: string,
  ): Promise<NbdClient> {
    const socket = connect('port' in address ? { ...address, host: '127.0.0.1' } : address);
    await once(socket, 'connect');
    const client = new NbdClient(socket);
    try {
      await client.#negotiate(exportName);
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  async read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    const fields = { command: NbdCommand.READ, offset: offsetBytes, length: lengthBytes };
    return this.#send(fields, undefined, lengthBytes);
  }

  async write(offsetBytes: number, bytes: Uint8Array, fua = false): Promise<void> {
    const flags = fua ? NbdCommandFlag.FUA : 0;
    await this.#send({ command: NbdCommand.WRITE, offset: offsetBytes, flags }, bytes);
  }

  async discard(offsetBytes: number, lengthBytes: number): Promise<void> {
    await this.#send({ command: NbdCommand.TRIM, offset: offsetBytes, length: lengthBytes });
  }

  async writeZeroes(offsetBytes: number, lengthBytes: number): Promise<void> {
    await this.#send({
      command: NbdCommand.WRITE_ZEROES,
      offset: offsetBytes,
      length: lengthBytes,
    });
  }

  async flush(): Promise<void> {
    await this.#send({ command: NbdCommand.FLUSH });
  }

  /** Says goodbye and waits until the server has closed. */
  async disconnect(): Promise<void> {
    if (this.#isClosed) return;
    this.#socket.end(packRequest({ command: NbdCommand.DISC }));
    await once(this.#socket, 'close');
  }

  /** Ends it without a word. May be called twice. */
  close(): void {
    this.#socket.destroy();
  }

  async #negotiate(exportName: string): Promise<void> {
    await this.#take(greetingBytes);
    this.#socket.write(clientFlags);
    this.#socket.write(packOption(NbdOption.GO, packInfoRequest(exportName)));
    for (;;) {
      const head = await this.#take(optionReplyBytes);
      const data = await this.#take(head.readUInt32BE(16));
      const type = head.readUInt32BE(12);
      if (type === NbdOptionReply.ACK) break;
      if (type === NbdOptionReply.INFO) continue;
      const text = data.toString('utf8');
      throw new NbdClientError('refused', `Opening ${exportName} failed: ${type}: ${text}`);
    }
    this.#isNegotiating = false;
  }

  async #take(lengthBytes: number): Promise<Buffer> {
    for (;;) {
      const bytes = this.#input.tryTake(lengthBytes);
      if (bytes !== undefined) return bytes;
      if (this.#isClosed) {
        throw new NbdClientError('disconnected', 'The server closed the connection at its start');
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waker = resolve;
      await promise;
    }
  }

  async #send(
    fields: Omit<Parameters<typeof packRequest>[0], 'cookie'>,
    payload?: Uint8Array,
    readBytes = 0,
  ): Promise<Buffer> {
    if (this.#isClosed) throw new NbdClientError('disconnected', 'The connection has ended');
    const cookie = this.#nextCookie++;
    return new Promise((resolve, reject) => {
      this.#pending.set(cookie, { readBytes, resolve, reject });
      this.#socket.write(packRequest({ ...fields, cookie }, payload));
    });
  }

  #readReplies(): void {
    for (;;) {
      const head = this.#input.peek(replyBytes);
      if (head === undefined) return;
      const cookie = head.readBigUInt64BE(8);
      const error = head.readUInt32BE(4);
      const pending = this.#pending.get(cookie);
      const dataBytes = error === 0 ? (pending?.readBytes ?? 0) : 0;
      const whole = this.#input.tryTake(replyBytes + dataBytes);
      if (whole === undefined) return;
      this.#pending.delete(cookie);
      if (error === 0) pending?.resolve(whole.subarray(replyBytes));
      else pending?.reject(new NbdClientError('refused', `The server answered error ${error}`));
    }
  }

  #expectNothingOwed(): void {
    if (!this.#isNegotiating && this.#pending.size === 0) return;
    const wait = `for ${silenceTimeoutMs / 1000} s`;
    const owed = this.#isNegotiating ? 'a connection' : `${this.#pending.size} requests`;
    this.#lose(new NbdClientError('silent', `The server has not answered ${owed} ${wait}`));
    this.#socket.destroy();
  }

  #lose(reason: NbdClientError): void {
    this.#isClosed = true;
    this.#waker?.();
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }
}
