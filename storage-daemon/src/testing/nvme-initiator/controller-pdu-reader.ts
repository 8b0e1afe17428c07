/**
 * Reads the PDUs of a controller as strictly as any host does: header lengths, digests, offsets. Data is copied to
 * where the reader's owner wants it.
 */
import { crc32c } from '@node-rs/crc32';

import type { HostDigests } from './host-pdu.ts';

/** A PDU of the controller; `data` is what a C2HData or a C2HTermReq carries. */
export interface ControllerPdu {
  readonly type: number;
  readonly flags: number;
  /** Without digest. */
  readonly header: Buffer;
  readonly data: Buffer;
}

const headerBytesOf: Readonly<Record<number, number>> = { 1: 128, 3: 24, 5: 24, 7: 24, 9: 24 };

/** The reader of one connection. */
export class ControllerPduReader {
  /** In force now. */
  digests: HostDigests = { header: false, data: false };
  #bytes: Buffer[] = [];
  #lengthBytes = 0;

  /** Bytes of a PDU that is not complete. */
  get restBytes(): number {
    return this.#lengthBytes;
  }

  /** Adds bytes that arrived. */
  push(bytes: Buffer): void {
    this.#bytes.push(bytes);
    this.#lengthBytes += bytes.length;
  }

  /**
   * The next PDU, if it is complete.
   *
   * @throws Error when the controller breaks the protocol.
   */
  tryTake(): ControllerPdu | undefined {
    if (this.#lengthBytes < 8) return undefined;
    const plen = this.#peek(8).readUInt32LE(4);
    if (plen < 24 || plen > 64 * 1024 * 1024) throw new Error(`PLEN ${plen} from the controller`);
    if (this.#lengthBytes < plen) return undefined;
    const pdu = this.#peek(plen).subarray(0, plen);
    this.#drop(plen);
    return this.#check(pdu);
  }

  #check(pdu: Buffer): ControllerPdu {
    const type = pdu[0]!;
    const flags = pdu[1]!;
    const headerBytes = headerBytesOf[type];
    if (headerBytes === undefined || pdu[2] !== headerBytes) {
      throw new Error(`PDU type ${type} with HLEN ${pdu[2]} from the controller`);
    }
    const header = pdu.subarray(0, headerBytes);
    // What an ICResp agrees on counts from the next PDU on.
    if (type === 1) this.digests = { header: (pdu[11]! & 1) !== 0, data: (pdu[11]! & 2) !== 0 };
    const mayHaveDigest = type !== 1 && type !== 3;
    const hasHeaderDigest = mayHaveDigest && this.digests.header;
    if (hasHeaderDigest !== ((flags & 1) !== 0)) throw new Error('header digest flag is wrong');
    const headBytes = headerBytes + (hasHeaderDigest ? 4 : 0);
    if (hasHeaderDigest && pdu.readUInt32LE(headerBytes) !== crc32c(header)) {
      throw new Error('header digest is wrong');
    }
    const hasDataDigest = type === 7 && this.digests.data;
    if (hasDataDigest !== ((flags & 2) !== 0)) throw new Error('data digest flag is wrong');
    const dataEnd = pdu.length - (hasDataDigest ? 4 : 0);
    const data = pdu.subarray(headBytes, dataEnd);
    if (hasDataDigest && pdu.readUInt32LE(dataEnd) !== crc32c(data)) {
      throw new Error('data digest is wrong');
    }
    if (type === 7 && (pdu[3] !== headBytes || header.readUInt32LE(16) !== data.length)) {
      throw new Error(`PDO ${pdu[3]} and DATAL ${header.readUInt32LE(16)} do not fit the PDU`);
    }
    if (type !== 7 && type !== 3 && data.length > 0) throw new Error('data where none may be');
    return { type, flags, header, data };
  }

  /** At least the next so many bytes, in one piece. */
  #peek(lengthBytes: number): Buffer {
    if (this.#bytes[0]!.length < lengthBytes) this.#bytes = [Buffer.concat(this.#bytes)];
    return this.#bytes[0]!;
  }

  #drop(lengthBytes: number): void {
    const rest = this.#bytes[0]!.subarray(lengthBytes);
    if (rest.length > 0) this.#bytes[0] = rest;
    else this.#bytes.shift();
    this.#lengthBytes -= lengthBytes;
  }
}
