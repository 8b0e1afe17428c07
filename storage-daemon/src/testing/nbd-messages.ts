/**
 * The client's side of NBD for tests: encodes what a client sends, well formed or not, and reads what a
 * server answers. Written from the protocol document, apart from the server's own codecs, so that both must
 * agree with it.
 */
import { assert } from '@varve/common/assert';

/** Bytes of numbers and texts, one after the other: `[2, 7]` is 7 in two bytes. */
export function pack(
  ...fields: readonly (readonly [1 | 2 | 4 | 8, number | bigint] | string | Uint8Array)[]
): Buffer {
  return Buffer.concat(
    fields.map((field) => {
      if (typeof field === 'string') return Buffer.from(field);
      if (field instanceof Uint8Array) return field;
      const [lengthBytes, value] = field;
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(BigInt(value));
      return bytes.subarray(8 - lengthBytes);
    }),
  );
}

/** An option with its data. */
export function packOption(option: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  return pack('IHAVEOPT', [4, option], [4, data.length], data);
}

/** The data of INFO and GO. */
export function packInfoRequest(name: string, ...wanted: readonly number[]): Buffer {
  const types = wanted.map((type) => pack([2, type]));
  return pack([4, Buffer.byteLength(name)], name, [2, wanted.length], Buffer.concat(types));
}

/** The data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export function packMetaRequest(name: string, ...queries: readonly string[]): Buffer {
  const texts = queries.map((query) => pack([4, Buffer.byteLength(query)], query));
  return pack([4, Buffer.byteLength(name)], name, [4, queries.length], Buffer.concat(texts));
}

/** A request; `payload` follows the head whatever the command is. */
export function packRequest(
  fields: {
    readonly command: number;
    readonly cookie?: bigint;
    readonly offset?: number | bigint;
    readonly length?: number;
    readonly flags?: number;
  },
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const { command, cookie = 7n, offset = 0, length = payload.length, flags = 0 } = fields;
  return pack(
    [4, 0x25609513],
    [2, flags],
    [2, command],
    [8, cookie],
    [8, offset],
    [4, length],
    payload,
  );
}

/** A reply to an option. */
export interface OptionReply {
  readonly option: number;
  readonly reply: number;
  readonly data: Buffer;
}

/** A simple reply, or one chunk of a structured reply. */
export type TransmissionReply =
  | { readonly kind: 'simple'; readonly cookie: bigint; readonly error: number; data: Buffer }
  | {
      readonly kind: 'chunk';
      readonly cookie: bigint;
      readonly type: number;
      readonly isLast: boolean;
      readonly data: Buffer;
    };

/** Reads a server's bytes front to back. */
export class NbdReplyReader {
  #flat: Buffer = Buffer.alloc(0);
  #pushed: Uint8Array[] = [];

  push(bytes: Uint8Array): void {
    this.#pushed.push(bytes);
  }

  /** Bytes that were not read yet. */
  get restBytes(): number {
    return this.#bytes.length;
  }

  get #bytes(): Buffer {
    if (this.#pushed.length > 0) {
      this.#flat = Buffer.concat([this.#flat, ...this.#pushed]);
      this.#pushed = [];
    }
    return this.#flat;
  }

  take(lengthBytes: number): Buffer {
    assert(this.#bytes.length >= lengthBytes, `the server sent ${this.#bytes.length} bytes only`);
    const piece = this.#bytes.subarray(0, lengthBytes);
    this.#flat = this.#bytes.subarray(lengthBytes);
    return piece;
  }

  /** A whole option reply; undefined if it is not there yet. */
  tryOptionReply(): OptionReply | undefined {
    if (this.#bytes.length < 20) return undefined;
    assert(this.#bytes.readBigUInt64BE(0) === 0x3e889045565a9n, 'not an option reply');
    const lengthBytes = this.#bytes.readUInt32BE(16);
    if (this.#bytes.length < 20 + lengthBytes) return undefined;
    const head = this.take(20);
    const data = this.take(lengthBytes);
    return { option: head.readUInt32BE(8), reply: head.readUInt32BE(12), data };
  }

  /**
   * A whole reply to a request; undefined if it is not there yet. `readBytes` says how much data follows a
   * successful simple reply, by cookie.
   */
  tryReply(readBytes: (cookie: bigint) => number): TransmissionReply | undefined {
    if (this.#bytes.length < 16) return undefined;
    const magic = this.#bytes.readUInt32BE(0);
    const cookie = this.#bytes.readBigUInt64BE(8);
    if (magic === 0x67446698) {
      const error = this.#bytes.readUInt32BE(4);
      const lengthBytes = error === 0 ? readBytes(cookie) : 0;
      if (this.#bytes.length < 16 + lengthBytes) return undefined;
      this.take(16);
      return { kind: 'simple', cookie, error, data: this.take(lengthBytes) };
    }
    assert(magic === 0x668e33ef, `not a reply: magic 0x${magic.toString(16)}`);
    if (this.#bytes.length < 20) return undefined;
    const lengthBytes = this.#bytes.readUInt32BE(16);
    if (this.#bytes.length < 20 + lengthBytes) return undefined;
    const head = this.take(20);
    const flags = head.readUInt16BE(4);
    assert((flags & ~1) === 0, `unknown reply flags ${flags}`);
    const type = head.readUInt16BE(6);
    return { kind: 'chunk', cookie, type, isLast: flags === 1, data: this.take(lengthBytes) };
  }
}
