/**
 * A small NBD client: reads and writes the bytes of an export over a unix socket, with simple replies. One request
 * is one message; several may be under way, and answers may come in any order.
 */
import { connect, type Socket } from 'node:net';
import { NbdCommand, NbdMagic } from '@varve/storage-daemon/nbd/wire-constants';
import { ByteStream } from './byte-stream.ts';
import { negotiateExport, type ExportFacts } from './handshake.ts';

/** Bytes of one request: every server takes this much (NBD protocol, "Size constraints"). */
const requestBytesMax = 1024 * 1024;
/** Requests under way at once for one read or write: enough to keep both sides busy. */
const requestsUnderWayMax = 8;

interface PendingRequest {
  readonly readBytes: number;
  readonly resolve: (payload: Buffer) => void;
  readonly reject: (error: Error) => void;
}

/** An open export. */
export class NbdClient {
  readonly sizeBytes: number;
  readonly #socket: Socket;
  readonly #stream: ByteStream;
  readonly #pending = new Map<bigint, PendingRequest>();
  #nextCookie = 1n;
  #failure: Error | undefined;

  private constructor(socket: Socket, stream: ByteStream, facts: ExportFacts) {
    this.#socket = socket;
    this.#stream = stream;
    this.sizeBytes = facts.sizeBytes;
    this.#readReplies().catch((error: unknown) => this.#fail(error));
  }

  /** Opens an export; rejects if the server is not there or does not have it. */
  static async open(socketPath: string, exportName: string): Promise<NbdClient> {
    const socket = connect(socketPath);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    // Later errors reach the reader of the stream, which fails what is under way.
    socket.on('error', () => undefined);
    const stream = new ByteStream(socket);
    try {
      return new NbdClient(socket, stream, await negotiateExport(socket, stream, exportName));
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /** Reads a range. */
  async read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    const target = Buffer.alloc(lengthBytes);
    await forEachPiece(lengthBytes, async (start, length) => {
      const piece = {
        command: NbdCommand.READ,
        offsetBytes: offsetBytes + start,
        lengthBytes: length,
      };
      const bytes = await this.#request(piece);
      bytes.copy(target, start);
    });
    return target;
  }

  /** Writes bytes; they are durable after a flush. */
  async write(offsetBytes: number, bytes: Buffer): Promise<void> {
    await forEachPiece(bytes.length, async (start, length) => {
      const payload = bytes.subarray(start, start + length);
      const piece = {
        command: NbdCommand.WRITE,
        offsetBytes: offsetBytes + start,
        lengthBytes: length,
      };
      await this.#request(piece, payload);
    });
  }

  /** Everything that was written is durable when this resolves. */
  async flush(): Promise<void> {
    await this.#request({ command: NbdCommand.FLUSH, offsetBytes: 0, lengthBytes: 0 });
  }

  /** Ends the connection, once what is under way has been answered. */
  async close(): Promise<void> {
    if (this.#socket.destroyed) return;
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
    this.#socket.end(requestHead({ command: NbdCommand.DISC, offsetBytes: 0, lengthBytes: 0 }, 0n));
    await closed;
  }

  async #request(request: RequestHead, payload?: Buffer): Promise<Buffer> {
    if (this.#failure !== undefined) throw this.#failure;
    const cookie = this.#nextCookie++;
    const answered = new Promise<Buffer>((resolve, reject) => {
      const readBytes = request.command === NbdCommand.READ ? request.lengthBytes : 0;
      this.#pending.set(cookie, { readBytes, resolve, reject });
    });
    this.#socket.write(requestHead(request, cookie));
    if (payload !== undefined) this.#socket.write(payload);
    return answered;
  }

  async #readReplies(): Promise<void> {
    for (;;) {
      const head = await this.#stream.take(16);
      const cookie = head.readBigUInt64BE(8);
      const pending = this.#pending.get(cookie);
      if (head.readUInt32BE(0) !== NbdMagic.SIMPLE_REPLY || pending === undefined) {
        throw new Error('the NBD server sent something that is no reply');
      }
      this.#pending.delete(cookie);
      const error = head.readUInt32BE(4);
      if (error === 0) pending.resolve(Buffer.from(await this.#stream.take(pending.readBytes)));
      else pending.reject(new Error(`the NBD server answered with error ${error}`));
    }
  }

  #fail(error: unknown): void {
    this.#failure = error instanceof Error ? error : new Error(String(error));
    for (const pending of this.#pending.values()) pending.reject(this.#failure);
    this.#pending.clear();
    this.#socket.destroy();
  }
}

interface RequestHead {
  readonly command: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

function requestHead({ command, offsetBytes, lengthBytes }: RequestHead, cookie: bigint): Buffer {
  const head = Buffer.alloc(28);
  head.writeUInt32BE(NbdMagic.REQUEST, 0);
  head.writeUInt16BE(0, 4);
  head.writeUInt16BE(command, 6);
  head.writeBigUInt64BE(cookie, 8);
  head.writeBigUInt64BE(BigInt(offsetBytes), 16);
  head.writeUInt32BE(lengthBytes, 24);
  return head;
}

/** Asks for each piece of a range, a few at a time. */
async function forEachPiece(
  lengthBytes: number,
  ask: (startBytes: number, pieceBytes: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < lengthBytes) {
      const start = next;
      next += requestBytesMax;
      await ask(start, Math.min(requestBytesMax, lengthBytes - start));
    }
  };
  await Promise.all(Array.from({ length: requestsUnderWayMax }, worker));
}
