/**
 * The transmission phase: one request in, later its reply out. Replies come in the order in which the volume
 * completes; every request gets exactly one, unless the connection is gone.
 *
 * With structured replies a READ is always answered by chunks, also when it fails; other commands use a
 * simple reply for success and a chunk with a sentence for failure. Without them every reply is a simple
 * one.
 */
import { nbdBytesInFlightMax, nbdRequestsInFlightMax, nbdStatusExtentsMax } from '../limits.ts';
import { errorValue } from './error-value.ts';
import type { NbdAgreement } from './negotiation.ts';
import {
  encodeBlockStatus,
  encodeErrorChunk,
  encodeSimpleRead,
  encodeSimpleReply,
  encodeStructuredRead,
  readHeadroomBytes,
} from './reply.ts';
import { type NbdRequest, refuseRequest, type RequestRefusal } from './request.ts';
import type { NbdFailure, NbdVolume } from './volume-port.ts';
import { NbdCommand, NbdCommandFlag, NbdError } from './wire-constants.ts';

/** What the transmission phase needs. */
export interface TransmissionDependencies {
  readonly volume: NbdVolume;
  readonly send: (bytes: Buffer) => void;
  /** Called after each reply: there may be room for the next request, or nothing left to wait for. */
  readonly replied: () => void;
}

/** One connection's requests. */
export class Transmission {
  readonly #agreement: NbdAgreement;
  readonly #volume: NbdVolume;
  readonly #send: (bytes: Buffer) => void;
  readonly #replied: () => void;
  #requestsInFlight = 0;
  #bytesInFlight = 0;
  #isStopping = false;
  #isSilent = false;

  constructor(agreement: NbdAgreement, { volume, send, replied }: TransmissionDependencies) {
    this.#agreement = agreement;
    this.#volume = volume;
    this.#send = send;
    this.#replied = replied;
  }

  /** Nothing is under way. */
  get isIdle(): boolean {
    return this.#requestsInFlight === 0;
  }

  /** One more request may start. */
  get hasRoom(): boolean {
    return (
      this.#requestsInFlight < nbdRequestsInFlightMax && this.#bytesInFlight < nbdBytesInFlightMax
    );
  }

  /** Requests are answered with ESHUTDOWN. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** From now on requests are answered with ESHUTDOWN. */
  stop(): void {
    this.#isStopping = true;
  }

  /** From now on nothing is sent: the client is gone. */
  silence(): void {
    this.#isSilent = true;
  }

  /** Why the request will not be done; its payload, if any, must still be read from the wire. */
  refusalOf(request: NbdRequest): RequestRefusal | undefined {
    if (this.#isStopping) return { error: NbdError.ESHUTDOWN, message: 'the server stops' };
    return refuseRequest(request, this.#agreement);
  }

  /** Answers a request that is refused. */
  refuse(request: NbdRequest, { error, message }: RequestRefusal): void {
    if (this.#agreement.hasStructuredReplies)
      this.#reply(encodeErrorChunk(request, error, message));
    else this.#reply(encodeSimpleReply(request, error));
  }

  /** Starts a request that was not refused; `payload` is what a WRITE brought. */
  start(request: NbdRequest, payload: Buffer): void {
    const fua = (request.flags & NbdCommandFlag.FUA) !== 0;
    const { offsetBytes, lengthBytes } = request;
    switch (request.command) {
      case NbdCommand.READ:
        this.#read(request);
        return;
      case NbdCommand.WRITE:
        this.#volume.write(offsetBytes, payload, fua, this.#begin(request, lengthBytes));
        return;
      case NbdCommand.FLUSH:
        this.#volume.flush(this.#begin(request, 0));
        return;
      case NbdCommand.TRIM:
        this.#volume.discard(offsetBytes, lengthBytes, fua, this.#begin(request, 0));
        return;
      case NbdCommand.WRITE_ZEROES: {
        const keepAllocated = (request.flags & NbdCommandFlag.NO_HOLE) !== 0;
        const done = this.#begin(request, 0);
        this.#volume.writeZeroes(offsetBytes, lengthBytes, { fua, keepAllocated }, done);
        return;
      }
      case NbdCommand.BLOCK_STATUS:
        void this.#blockStatus(request);
    }
  }

  #read(request: NbdRequest): void {
    const { offsetBytes, lengthBytes } = request;
    const buffer = Buffer.allocUnsafe(readHeadroomBytes + lengthBytes);
    this.#take(lengthBytes);
    this.#volume.read(offsetBytes, buffer.subarray(readHeadroomBytes), (failure) => {
      if (failure) this.#fail(request, failure);
      else if (this.#agreement.hasStructuredReplies) {
        const isUnfragmented = (request.flags & NbdCommandFlag.DF) !== 0;
        const chunks = encodeStructuredRead(request, offsetBytes, buffer, isUnfragmented);
        for (const chunk of chunks) this.#reply(chunk);
      } else this.#reply(encodeSimpleRead(request, buffer));
      this.#end(lengthBytes);
    });
  }

  async #blockStatus(request: NbdRequest): Promise<void> {
    const { offsetBytes, lengthBytes, flags } = request;
    const extentsMax = (flags & NbdCommandFlag.REQ_ONE) !== 0 ? 1 : nbdStatusExtentsMax;
    this.#take(0);
    try {
      const extents = await this.#volume.allocation(offsetBytes, lengthBytes, extentsMax);
      this.#reply(encodeBlockStatus(request, extents));
    } catch (failure) {
      this.#fail(request, failure as NbdFailure);
    }
    this.#end(0);
  }

  /** Counts a request and returns how it completes. */
  #begin(request: NbdRequest, payloadBytes: number): (failure: NbdFailure | null) => void {
    this.#take(payloadBytes);
    return (failure) => {
      if (failure) this.#fail(request, failure);
      else this.#reply(encodeSimpleReply(request, 0));
      this.#end(payloadBytes);
    };
  }

  #fail(request: NbdRequest, failure: NbdFailure): void {
    const { message } = failure;
    this.refuse(request, { error: errorValue(request.command, failure), message });
  }

  #take(bytes: number): void {
    this.#requestsInFlight++;
    this.#bytesInFlight += bytes;
  }

  #end(bytes: number): void {
    this.#requestsInFlight--;
    this.#bytesInFlight -= bytes;
    this.#replied();
  }

  #reply(bytes: Buffer): void {
    if (!this.#isSilent) this.#send(bytes);
  }
}
