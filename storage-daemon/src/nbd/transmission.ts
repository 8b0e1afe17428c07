/**
 * The transmission phase: one request in, later its reply out. Replies come in the order in which the volume
 * completes; every request gets exactly one, unless the connection is gone.
 *
 * With structured replies a READ is always answered by chunks, also when it fails; other commands use a
 * simple reply for success and a chunk with a sentence for failure. Without them every reply is a simple
 * one.
 *
 * Objects of requests are used again and again, with their completion callbacks: a request of a usual kind
 * allocates nothing.
 */
import { assert } from '@varve/common/assert';

import {
  nbdBytesInFlightMax,
  nbdOutputBytesMax,
  nbdRequestsInFlightMax,
  nbdStatusExtentsMax,
} from '../limits.ts';
import { errorValue } from './error-value.ts';
import type { IoBuffer, IoBufferPool } from './io-buffer.ts';
import type { NbdAgreement } from './negotiation.ts';
import type { OutputBatch } from './output-batch.ts';
import type { OutputQueue, Reply } from './output-queue.ts';
import {
  encodeBlockStatus,
  encodeErrorChunk,
  encodeSimpleReply,
  type ReadReply,
  simpleReplyBytes,
  tryWriteSimpleRead,
  tryWriteStructuredRead,
  tryWriteSuccess,
} from './reply.ts';
import {
  type NbdRequest,
  type NbdRequestFields,
  refuseRequest,
  type RequestRefusal,
} from './request.ts';
import type { NbdCompletion, NbdFailure, NbdVolume } from './volume-port.ts';
import { NbdCommand, NbdCommandFlag, NbdError } from './wire-constants.ts';

/** What the transmission phase needs. */
export interface TransmissionDependencies {
  readonly volume: NbdVolume;
  readonly buffers: IoBufferPool;
  readonly output: OutputQueue;
  /** Called after each completion: there is a reply, room for the next request, or nothing left to wait for. */
  readonly replied: () => void;
}

/** A request from its head to its reply, then the next one. */
export interface OpenRequest extends NbdRequestFields, Reply {
  /** Data of a READ, payload of a WRITE. */
  buffer: IoBuffer | undefined;
}

/** Bytes of one extent in the answer to BLOCK_STATUS. */
const extentBytes = 8;

/** One connection's requests. */
export class Transmission {
  readonly #agreement: NbdAgreement;
  readonly #volume: NbdVolume;
  readonly #buffers: IoBufferPool;
  readonly #output: OutputQueue;
  readonly #replied: () => void;
  readonly #free: PooledRequest[] = [];
  #requestsInFlight = 0;
  #bytesInFlight = 0;
  #isStopping = false;
  #isSilent = false;

  constructor(agreement: NbdAgreement, dependencies: TransmissionDependencies) {
    this.#agreement = agreement;
    this.#volume = dependencies.volume;
    this.#buffers = dependencies.buffers;
    this.#output = dependencies.output;
    this.#replied = dependencies.replied;
  }

  /** Nothing is under way. */
  get isIdle(): boolean {
    return this.#requestsInFlight === 0;
  }

  /** One more request may start. */
  get hasRoom(): boolean {
    return (
      this.#requestsInFlight < nbdRequestsInFlightMax &&
      this.#bytesInFlight < nbdBytesInFlightMax &&
      this.#output.lengthBytes < nbdOutputBytesMax
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

  /** An object for the next request. It comes back by `start`, `refuse` or `drop`. */
  newRequest(): OpenRequest {
    return (
      this.#free.pop() ??
      new PooledRequest({
        completed: (request, failure) => this.#complete(request, failure),
        encode: (request, batch) => this.#tryEncode(request, batch),
        drop: (request) => this.drop(request),
      })
    );
  }

  /** Gives it the buffer that its payload is received into. */
  preparePayload(request: OpenRequest): Buffer {
    request.buffer = this.#buffers.acquire(request.lengthBytes);
    return request.buffer.bytes;
  }

  /** Why the request will not be done; its payload, if any, must still be read from the wire. */
  refusalOf(request: NbdRequest): RequestRefusal | undefined {
    if (this.#isStopping) return { error: NbdError.ESHUTDOWN, message: 'the server stops' };
    return refuseRequest(request, this.#agreement);
  }

  /** Answers a request that is refused. */
  refuse(request: OpenRequest, { error, message }: RequestRefusal): void {
    if (!this.#isSilent) {
      this.#output.push(
        this.#agreement.hasStructuredReplies
          ? encodeErrorChunk(request, error, message)
          : encodeSimpleReply(request, error),
      );
    }
    this.drop(request);
  }

  /** Forgets a request that nothing is done for any more. */
  drop(request: OpenRequest): void {
    assert(request instanceof PooledRequest, 'a request of another owner');
    if (request.buffer) this.#buffers.release(request.buffer);
    request.buffer = undefined;
    this.#free.push(request);
  }

  /** Starts a request that was not refused. */
  start(request: OpenRequest): void {
    assert(request instanceof PooledRequest, 'a request of another owner');
    const fua = (request.flags & NbdCommandFlag.FUA) !== 0;
    const { offsetBytes, lengthBytes, completed } = request;
    request.countedBytes = countedBytes(request);
    this.#requestsInFlight++;
    this.#bytesInFlight += request.countedBytes;
    switch (request.command) {
      case NbdCommand.READ: {
        request.buffer = this.#buffers.acquire(lengthBytes);
        this.#volume.read(offsetBytes, request.buffer.view(lengthBytes), completed);
        return;
      }
      case NbdCommand.WRITE: {
        const payload = request.buffer?.view(lengthBytes) ?? noPayload;
        this.#volume.write(offsetBytes, payload, fua, completed);
        return;
      }
      case NbdCommand.FLUSH:
        this.#volume.flush(completed);
        return;
      case NbdCommand.TRIM:
        this.#volume.discard(offsetBytes, lengthBytes, fua, completed);
        return;
      case NbdCommand.WRITE_ZEROES: {
        const keepAllocated = (request.flags & NbdCommandFlag.NO_HOLE) !== 0;
        this.#volume.writeZeroes(offsetBytes, lengthBytes, { fua, keepAllocated }, completed);
        return;
      }
      case NbdCommand.BLOCK_STATUS:
        void this.#blockStatus(request);
    }
  }

  async #blockStatus(request: PooledRequest): Promise<void> {
    const { offsetBytes, lengthBytes } = request;
    try {
      const extents = await this.#volume.allocation(offsetBytes, lengthBytes, extentsMax(request));
      if (!this.#isSilent) this.#output.push(encodeBlockStatus(request, extents));
      this.#uncount(request);
      this.drop(request);
    } catch (failure) {
      this.#uncount(request);
      this.#fail(request, failure as NbdFailure);
    }
    this.#replied();
  }

  #complete(request: PooledRequest, failure: NbdFailure | null): void {
    this.#uncount(request);
    if (failure) this.#fail(request, failure);
    else if (this.#isSilent) this.drop(request);
    else {
      // What was written is written: its buffer can be used again before the reply is sent.
      if (request.command === NbdCommand.WRITE) this.#releaseBuffer(request);
      this.#output.push(request);
    }
    this.#replied();
  }

  #uncount(request: PooledRequest): void {
    this.#requestsInFlight--;
    this.#bytesInFlight -= request.countedBytes;
  }

  #releaseBuffer(request: PooledRequest): void {
    if (request.buffer) this.#buffers.release(request.buffer);
    request.buffer = undefined;
  }

  #fail(request: OpenRequest, failure: NbdFailure): void {
    const { message } = failure;
    this.refuse(request, { error: errorValue(request.command, failure), message });
  }

  #tryEncode(request: PooledRequest, batch: OutputBatch): boolean {
    if (request.command === NbdCommand.READ) {
      const isUnfragmented = (request.flags & NbdCommandFlag.DF) !== 0;
      const read = request as ReadReply;
      const isWritten = this.#agreement.hasStructuredReplies
        ? tryWriteStructuredRead(batch, read, isUnfragmented)
        : tryWriteSimpleRead(batch, read);
      if (!isWritten) return false;
      // It is the batch's now.
      request.buffer = undefined;
    } else if (!tryWriteSuccess(batch, request)) return false;
    this.drop(request);
    return true;
  }
}

const noPayload = Buffer.alloc(0);

/** Bytes that a request holds while it is under way. */
function countedBytes(request: NbdRequest): number {
  switch (request.command) {
    case NbdCommand.READ:
    case NbdCommand.WRITE:
      return request.lengthBytes;
    case NbdCommand.BLOCK_STATUS:
      return extentBytes * extentsMax(request);
    default:
      return 0;
  }
}

function extentsMax({ flags }: NbdRequest): number {
  return (flags & NbdCommandFlag.REQ_ONE) !== 0 ? 1 : nbdStatusExtentsMax;
}

/** What a request's object calls. */
interface RequestOwner {
  readonly completed: (request: PooledRequest, failure: NbdFailure | null) => void;
  readonly encode: (request: PooledRequest, batch: OutputBatch) => boolean;
  readonly drop: (request: PooledRequest) => void;
}

class PooledRequest implements OpenRequest {
  flags = 0;
  command = 0;
  cookieHigh = 0;
  cookieLow = 0;
  offsetBytes = 0;
  lengthBytes = 0;
  countedBytes = 0;
  buffer: IoBuffer | undefined = undefined;
  /** Given to the volume. */
  readonly completed: NbdCompletion;
  readonly #owner: RequestOwner;

  constructor(owner: RequestOwner) {
    this.#owner = owner;
    this.completed = (failure) => owner.completed(this, failure);
  }

  get replyBytes(): number {
    return simpleReplyBytes + (this.command === NbdCommand.READ ? this.lengthBytes : 0);
  }

  tryEncode(batch: OutputBatch): boolean {
    return this.#owner.encode(this, batch);
  }

  drop(): void {
    this.#owner.drop(this);
  }
}
