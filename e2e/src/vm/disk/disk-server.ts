/**
 * Offers volatile disks to QEMU over NBD on a unix socket: fixed newstyle, simple replies.
 *
 * After `freeze()` nothing is answered any more, so that no write is acknowledged, and no flush promised, between
 * the power cut and the death of the guest.
 */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import {
  NbdCommand,
  NbdCommandFlag,
  NbdError,
  NbdHandshakeFlag,
  NbdInfo,
  NbdOption,
  NbdOptionReply,
  NbdTransmissionFlag,
} from '@varve/storage-daemon/nbd/wire-constants';
import { pack } from '@varve/storage-daemon/testing/nbd-messages';
import { messageOf } from '../../process/wait-until.ts';
import { ByteQueue } from './byte-queue.ts';
import type { VolatileDisk } from './volatile-disk.ts';

const requestBytes = 28;
/** What QEMU sends at most. */
const transferBytesMax = 32 * 2 ** 20;
const optionBytesMax = 8192;

const transmissionFlags =
  NbdTransmissionFlag.HAS_FLAGS |
  NbdTransmissionFlag.SEND_FLUSH |
  NbdTransmissionFlag.SEND_FUA |
  NbdTransmissionFlag.SEND_TRIM |
  NbdTransmissionFlag.SEND_WRITE_ZEROES;

/** A server of named disks. */
export class DiskServer {
  readonly socketPath: string;
  readonly #disks: ReadonlyMap<string, VolatileDisk>;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isFrozen = false;

  private constructor(socketPath: string, disks: ReadonlyMap<string, VolatileDisk>) {
    this.socketPath = socketPath;
    this.#disks = disks;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async listen(
    socketPath: string,
    disks: ReadonlyMap<string, VolatileDisk>,
  ): Promise<DiskServer> {
    rmSync(socketPath, { force: true });
    const server = new DiskServer(socketPath, disks);
    server.#server.listen(socketPath);
    await once(server.#server, 'listening');
    return server;
  }

  /** From now on requests are neither done nor answered: the power is gone. */
  freeze(): void {
    this.#isFrozen = true;
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  /** The power is back: new connections are served. */
  thaw(): void {
    this.#isFrozen = false;
  }

  /** May be called twice. */
  close(): void {
    this.freeze();
    this.#server.close();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    const session = new DiskSession(this.#disks, (bytes) => socket.write(bytes));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (bytes: Buffer) => {
      if (this.#isFrozen) return;
      try {
        if (!session.receive(bytes)) socket.end();
      } catch (error) {
        socket.destroy(new Error(messageOf(error)));
      }
    });
  }
}

/** One connection, without its socket. */
class DiskSession {
  readonly #disks: ReadonlyMap<string, VolatileDisk>;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #input = new ByteQueue();
  #disk: VolatileDisk | undefined;
  #hasClientFlags = false;
  #isOver = false;

  constructor(disks: ReadonlyMap<string, VolatileDisk>, send: (bytes: Uint8Array) => void) {
    this.#disks = disks;
    this.#send = send;
    const flags = NbdHandshakeFlag.FIXED_NEWSTYLE | NbdHandshakeFlag.NO_ZEROES;
    send(pack('NBDMAGIC', 'IHAVEOPT', [2, flags]));
  }

  /** Takes what the client sent; false when the session is over. */
  receive(bytes: Buffer): boolean {
    this.#input.push(bytes);
    while (!this.#isOver && this.#step());
    return !this.#isOver;
  }

  #step(): boolean {
    if (!this.#hasClientFlags) {
      this.#hasClientFlags = this.#input.tryTake(4) !== undefined;
      return this.#hasClientFlags;
    }
    return this.#disk === undefined ? this.#stepOption() : this.#stepRequest(this.#disk);
  }

  #stepOption(): boolean {
    const head = this.#input.peek(16);
    if (head === undefined) return false;
    const option = head.readUInt32BE(8);
    const lengthBytes = head.readUInt32BE(12);
    if (lengthBytes > optionBytesMax) throw new Error(`an option of ${lengthBytes} bytes`);
    const whole = this.#input.tryTake(16 + lengthBytes);
    if (whole === undefined) return false;
    if (option === NbdOption.GO || option === NbdOption.INFO) {
      this.#chooseDisk(option, whole.subarray(16));
    } else if (option === NbdOption.ABORT) {
      this.#isOver = true;
    } else {
      this.#reply(option, NbdOptionReply.ERR_UNSUP);
    }
    return true;
  }

  #chooseDisk(option: number, data: Buffer): void {
    const name = data.toString('utf8', 4, 4 + data.readUInt32BE(0));
    const disk = this.#disks.get(name);
    if (disk === undefined) {
      this.#reply(option, NbdOptionReply.ERR_UNKNOWN);
      return;
    }
    const size: [8, number] = [8, disk.sizeBytes];
    const info = pack([2, NbdInfo.EXPORT], size, [2, transmissionFlags]);
    this.#reply(option, NbdOptionReply.INFO, info);
    const { sectorBytes } = disk;
    const sizes = pack([2, NbdInfo.BLOCK_SIZE], [4, sectorBytes], [4, 4096], [4, transferBytesMax]);
    this.#reply(option, NbdOptionReply.INFO, sizes);
    this.#reply(option, NbdOptionReply.ACK);
    if (option === NbdOption.GO) this.#disk = disk;
  }

  #reply(option: number, type: number, data: Uint8Array = Buffer.alloc(0)): void {
    const magic: [8, bigint] = [8, 0x3e889045565a9n];
    this.#send(pack(magic, [4, option], [4, type], [4, data.length], data));
  }

  #stepRequest(disk: VolatileDisk): boolean {
    const head = this.#input.peek(requestBytes);
    if (head === undefined) return false;
    const command = head.readUInt16BE(6);
    const lengthBytes = head.readUInt32BE(24);
    const dataBytes = command === NbdCommand.WRITE ? lengthBytes : 0;
    if (dataBytes > transferBytesMax) throw new Error(`a write of ${dataBytes} bytes`);
    const whole = this.#input.tryTake(requestBytes + dataBytes);
    if (whole === undefined) return false;
    if (command === NbdCommand.DISC) this.#isOver = true;
    else this.#execute(disk, whole);
    return true;
  }

  #execute(disk: VolatileDisk, request: Buffer): void {
    const fua = (request.readUInt16BE(4) & NbdCommandFlag.FUA) !== 0;
    const offsetBytes = Number(request.readBigUInt64BE(16));
    const lengthBytes = request.readUInt32BE(24);
    let data: Uint8Array = Buffer.alloc(0);
    let error = 0;
    switch (request.readUInt16BE(6)) {
      case NbdCommand.READ:
        data = disk.read(offsetBytes, lengthBytes);
        break;
      case NbdCommand.WRITE: {
        // A copy: the cache keeps it for longer than the input lives.
        const bytes = Uint8Array.from(request.subarray(requestBytes));
        disk.write(offsetBytes, { bytes, lengthBytes }, fua);
        break;
      }
      case NbdCommand.TRIM:
      case NbdCommand.WRITE_ZEROES:
        disk.write(offsetBytes, { lengthBytes }, fua);
        break;
      case NbdCommand.FLUSH:
        disk.flush();
        break;
      default:
        error = NbdError.EINVAL;
    }
    const cookie: [8, bigint] = [8, request.readBigUInt64BE(8)];
    this.#send(pack([4, 0x67446698], [4, error], cookie, data));
  }
}
