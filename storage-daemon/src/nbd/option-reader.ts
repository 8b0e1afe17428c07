/**
 * Reads the data of an option front to back. Lengths come from the client: each is checked against what is
 * there.
 */
import { isUtf8 } from 'node:buffer';

import { nbdStringBytesMax } from '../limits.ts';
import { NbdOptionReply } from './wire-constants.ts';

/** An option that does not hold what it must; the connection goes on. `reply` is the option reply that says so. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
  readonly reply: number;

  constructor(reply: number, message: string) {
    super(message);
    this.reply = reply;
  }
}

/** A cursor over option data. */
export class OptionReader {
  readonly #data: Buffer;
  #at = 0;

  constructor(data: Buffer) {
    this.#data = data;
  }

  /** A 16-bit number. */
  readU16(what: string): number {
    const value = this.#take(2, what).readUInt16BE();
    return value;
  }

  /** A 32-bit number. */
  readU32(what: string): number {
    return this.#take(4, what).readUInt32BE();
  }

  /** A text that its length precedes. */
  readString(what: string): string {
    return decodeString(this.#take(this.readU32(`the length of ${what}`), what), what);
  }

  /** Nothing may be left. */
  expectEnd(): void {
    const restBytes = this.#data.length - this.#at;
    if (restBytes > 0) {
      throw new OptionError(NbdOptionReply.ERR_INVALID, `${restBytes} bytes too many`);
    }
  }

  #take(lengthBytes: number, what: string): Buffer {
    if (this.#data.length - this.#at < lengthBytes) {
      throw new OptionError(NbdOptionReply.ERR_INVALID, `the option ends within ${what}`);
    }
    this.#at += lengthBytes;
    return this.#data.subarray(this.#at - lengthBytes, this.#at);
  }
}

/** Text of at most 4096 bytes (proto, Values and strings). */
export function decodeString(bytes: Buffer, what: string): string {
  if (bytes.length > nbdStringBytesMax) {
    const message = `${what} has ${bytes.length} bytes; at most ${nbdStringBytesMax} are allowed`;
    throw new OptionError(NbdOptionReply.ERR_TOO_BIG, message);
  }
  if (!isUtf8(bytes)) throw new OptionError(NbdOptionReply.ERR_INVALID, `${what} is not UTF-8`);
  return bytes.toString('utf8');
}
