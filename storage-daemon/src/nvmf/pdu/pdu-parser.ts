/**
 * Finds PDUs in bytes that arrive in pieces of any size. Headers are gathered in one small buffer; data goes
 * straight to where the receiver wants it, and is never held here. Both digests are checked on the way.
 *
 *   common header -> rest of header (+ digest) -> [padding -> data -> data digest] -> common header
 *
 * While the receiver is not ready, whole pieces wait unparsed; the owner then stops reading its socket, which
 * bounds them.
 */
import { digestBytes, FatalError, PduHeaderBytes } from '../wire-constants.ts';
import { type PduShape, type PduTerms, readShape } from './check-header.ts';
import { crc32c } from './crc32c.ts';
import type { PduViolation } from './pdu-violation.ts';

/** Who understands the PDUs. */
export interface PduReceiver {
  /** False holds the next PDU back until `PduParser.resume`. */
  readonly isReady: boolean;
  /**
   * A header has arrived. Returns where its data goes (as many bytes as the shape says), or undefined to drop
   * it. A violation ends the parsing.
   */
  headerArrived(shape: PduShape, header: Buffer): Buffer | PduViolation | undefined;
  /** The PDU is complete. */
  pduArrived(shape: PduShape, isDataGood: boolean): void;
  /** Nothing more can be understood. */
  violated(violation: PduViolation, header: Buffer): void;
}

type Phase = 'common' | 'header' | 'padding' | 'data' | 'data-digest' | 'ended';

/** The parser of one connection. */
export class PduParser {
  readonly #terms: PduTerms;
  readonly #receiver: PduReceiver;
  /** The longest header; ICReq has no digest. */
  readonly #header = Buffer.alloc(PduHeaderBytes.IC);
  readonly #digest = Buffer.alloc(digestBytes);
  readonly #shape: PduShape = {
    type: 0,
    flags: 0,
    headBytes: 0,
    headerBytes: 0,
    paddingBytes: 0,
    dataBytes: 0,
    hasHeaderDigest: false,
    hasDataDigest: false,
  };
  #phase: Phase = 'common';
  /** Bytes of the phase that have arrived; header phases count from the PDU's start. */
  #filledBytes = 0;
  #target: Buffer | undefined;
  #crc = 0;
  #waiting: Buffer[] = [];
  #isParsing = false;

  constructor(terms: PduTerms, receiver: PduReceiver) {
    this.#terms = terms;
    this.#receiver = receiver;
  }

  /** Part of a PDU has arrived, and the rest has not. */
  get isInsidePdu(): boolean {
    return this.#phase !== 'ended' && (this.#phase !== 'common' || this.#filledBytes > 0);
  }

  /** Takes bytes that arrived; they are the parser's from now on. */
  receive(bytes: Buffer): void {
    if (this.#phase === 'ended' || bytes.length === 0) return;
    if (this.#waiting.length > 0 || this.#isParsing) this.#waiting.push(bytes);
    else {
      const at = this.#parse(bytes);
      if (at < bytes.length) this.#waiting.push(bytes.subarray(at));
    }
  }

  /** Takes bytes that are the parser's during the call only. */
  receiveBorrowed(bytes: Buffer): void {
    if (this.#phase === 'ended' || bytes.length === 0) return;
    const at = this.#waiting.length > 0 || this.#isParsing ? 0 : this.#parse(bytes);
    if (at < bytes.length) this.#waiting.push(Buffer.from(bytes.subarray(at)));
  }

  /** Bytes of data that come next, and may be put straight to their place; few are not worth that. */
  get directBytes(): number {
    const isNext = this.#phase === 'data' && this.#waiting.length === 0 && !this.#isParsing;
    return isNext && this.#target ? this.#shape.dataBytes - this.#filledBytes : 0;
  }

  /** Where they go; only while there are some. */
  get directTarget(): { readonly bytes: Buffer; readonly start: number } {
    return { bytes: this.#target!, start: this.#filledBytes };
  }

  /** So many of them are there. */
  receivedDirect(lengthBytes: number): void {
    if (this.#phase === 'ended' || lengthBytes === 0) return;
    const start = this.#filledBytes;
    this.#dataFilled(this.#target!.subarray(start, start + lengthBytes));
  }

  /** Goes on with what was held back. */
  resume(): void {
    if (this.#isParsing) return;
    while (this.#waiting.length > 0) {
      const first = this.#waiting[0]!;
      const at = this.#parse(first);
      if (this.#phase === 'ended') return;
      if (at < first.length) {
        this.#waiting[0] = first.subarray(at);
        return;
      }
      this.#waiting.shift();
    }
  }

  /** Understands nothing more, and forgets what waits. */
  end(): void {
    this.#phase = 'ended';
    this.#waiting = [];
    this.#target = undefined;
  }

  /** Parses up to the end of `bytes` or to a PDU that must wait; returns how far it came. */
  #parse(bytes: Buffer): number {
    this.#isParsing = true;
    let at = 0;
    while (at < bytes.length && this.#phase !== 'ended') {
      if (this.#phase === 'common' && !this.#receiver.isReady) break;
      at = this.#step(bytes, at);
    }
    this.#isParsing = false;
    return this.#phase === 'ended' ? bytes.length : at;
  }

  #step(bytes: Buffer, at: number): number {
    switch (this.#phase) {
      case 'common':
        return this.#takeCommon(bytes, at);
      case 'header':
        return this.#takeHeader(bytes, at);
      case 'padding': {
        const count = Math.min(bytes.length - at, this.#shape.paddingBytes - this.#filledBytes);
        this.#filledBytes += count;
        if (this.#filledBytes === this.#shape.paddingBytes) this.#enter('data');
        return at + count;
      }
      case 'data':
        return this.#takeData(bytes, at);
      case 'data-digest':
        return this.#takeDataDigest(bytes, at);
      case 'ended':
        return bytes.length;
      default:
        return bytes.length;
    }
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#filledBytes = 0;
  }

  #takeCommon(bytes: Buffer, at: number): number {
    const end = this.#fillHeader(bytes, at, PduHeaderBytes.COMMON);
    if (this.#filledBytes < PduHeaderBytes.COMMON) return end;
    const violation = readShape(this.#header, this.#terms, this.#shape);
    if (violation) this.#violate(violation);
    else this.#phase = 'header';
    return end;
  }

  #takeHeader(bytes: Buffer, at: number): number {
    const { headBytes, headerBytes, hasHeaderDigest } = this.#shape;
    const end = this.#fillHeader(bytes, at, headBytes);
    if (this.#filledBytes < headBytes) return end;
    if (hasHeaderDigest) {
      const received = this.#header.readUInt32LE(headerBytes);
      if (received !== crc32c(this.#header.subarray(0, headerBytes))) {
        const message = 'the header digest is wrong';
        this.#violate({
          fatalError: FatalError.HEADER_DIGEST_ERROR,
          information: received,
          message,
        });
        return end;
      }
    }
    const answer = this.#receiver.headerArrived(this.#shape, this.#header);
    if (answer !== undefined && 'fatalError' in answer) this.#violate(answer);
    else if (this.#isEnded()) return end;
    else {
      this.#target = answer;
      this.#crc = 0;
      if (this.#shape.dataBytes === 0) this.#finish(true);
      else this.#enter(this.#shape.paddingBytes > 0 ? 'padding' : 'data');
    }
    return end;
  }

  #takeData(bytes: Buffer, at: number): number {
    const count = Math.min(bytes.length - at, this.#shape.dataBytes - this.#filledBytes);
    if (this.#target) bytes.copy(this.#target, this.#filledBytes, at, at + count);
    const isAll = at === 0 && count === bytes.length;
    this.#dataFilled(isAll ? bytes : bytes.subarray(at, at + count));
    return at + count;
  }

  #dataFilled(bytes: Buffer): void {
    const { dataBytes, hasDataDigest } = this.#shape;
    if (hasDataDigest) this.#crc = crc32c(bytes, this.#crc);
    this.#filledBytes += bytes.length;
    if (this.#filledBytes < dataBytes) return;
    if (hasDataDigest) this.#enter('data-digest');
    else this.#finish(true);
  }

  #takeDataDigest(bytes: Buffer, at: number): number {
    const count = Math.min(bytes.length - at, digestBytes - this.#filledBytes);
    bytes.copy(this.#digest, this.#filledBytes, at, at + count);
    this.#filledBytes += count;
    if (this.#filledBytes === digestBytes) {
      this.#finish(this.#digest.readUInt32LE(0) === this.#crc);
    }
    return at + count;
  }

  #fillHeader(bytes: Buffer, at: number, upToBytes: number): number {
    const count = Math.min(bytes.length - at, upToBytes - this.#filledBytes);
    bytes.copy(this.#header, this.#filledBytes, at, at + count);
    this.#filledBytes += count;
    return at + count;
  }

  #finish(isDataGood: boolean): void {
    this.#enter('common');
    this.#target = undefined;
    this.#receiver.pduArrived(this.#shape, isDataGood);
  }

  #violate(violation: PduViolation): void {
    const { length } = this.#header;
    const header = this.#header.subarray(0, Math.min(this.#filledBytes, length));
    this.end();
    this.#receiver.violated(violation, header);
  }

  /** The receiver may have ended the parsing. */
  #isEnded(): boolean {
    return this.#phase === 'ended';
  }
}
