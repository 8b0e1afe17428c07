/**
 * The one choke point through which every I/O on a volume or snapshot passes, whatever the protocol it came by.
 * Here its state, bounds and access are checked, here it is counted, and here a close waits for what is under way.
 *
 * States: `open` takes requests; `closing` refuses new ones and waits for those under way; `closed` has
 * given the node back to the store.
 */
import { assert } from '@varve/common/assert';

import type { AllocationExtent, IoCompletion, NodeIo } from '../store/store-api.ts';
import { StoreError } from '../store/store-error.ts';
import { blockSizeBytes } from '../units.ts';
import { ByteIo, type ZeroOptions } from './byte-io.ts';
import {
  IoLimiter,
  type LimitedStart,
  startNodeTimer,
  type ThrottleCounts,
  type VolumeLimits,
} from './io-limiter.ts';
import { type VolumeOperation, VolumeStatistics } from './statistics.ts';
import { VolumeError, type VolumeErrorKind } from './volume-error.ts';

/** Called exactly once per request, never before the call returns; null means that all of it was done. */
export type VolumeCompletion = (error: VolumeError | null) => void;

/** A run of bytes with one state; a hole takes no space and reads as zeros. */
export interface ByteExtent {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly state: AllocationExtent['state'];
}

/** What a volume needs besides the node. */
export interface VolumeDependencies {
  readonly io: NodeIo;
  /** Monotonic milliseconds, for latencies. */
  readonly clockMs: () => number;
}

type State =
  | { readonly name: 'open' }
  | { readonly name: 'closing'; readonly reason: string; readonly drained: () => void }
  | { readonly name: 'closed'; readonly reason: string };

/** One request, for its bounds and its count. */
interface Request {
  readonly operation: VolumeOperation;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** A request that waits for its rate. */
interface WaitingRequest {
  readonly done: VolumeCompletion;
  readonly completed: IoCompletion;
}

const droppedError = new StoreError('aborted', 'The request was dropped before its turn came');

const actionNames: Record<VolumeOperation, string> = {
  read: 'Read',
  write: 'Write',
  writeZeroes: 'Write zeroes over',
  discard: 'Discard',
  flush: 'Flush',
};

/** An open volume or snapshot. */
export class Volume {
  /** What messages call it, e.g. `volume/pvc-1`. */
  readonly label: string;
  readonly statistics = new VolumeStatistics();
  readonly #io: NodeIo;
  readonly #bytes: ByteIo;
  readonly #clockMs: () => number;
  #state: State = { name: 'open' };
  #closed: Promise<void> | undefined;
  #inFlightCount = 0;
  readonly #freeRequests: OpenRequest[] = [];
  #limiter: IoLimiter | undefined;
  /** Requests that the limiter holds back, and no others: bounded as those are. */
  readonly #waitingRequests = new Map<LimitedStart, WaitingRequest>();
  /** False: requests do not pass the limiter, if there ever was one. */
  #isLimited = false;

  constructor({ label }: { label: string }, { io, clockMs }: VolumeDependencies) {
    this.label = label;
    this.#io = io;
    this.#bytes = new ByteIo(io);
    this.#clockMs = clockMs;
  }

  /** The size it has now; it grows when the volume is resized. */
  get sizeBytes(): number {
    return this.#io.sizeBlocks * blockSizeBytes;
  }

  get isReadOnly(): boolean {
    return this.#io.readOnly;
  }

  /** From now on, what is answered survives a crash of this process; see `NodeIo.keepsAnswers`. */
  keepAnswers(): void {
    this.#io.keepsAnswers = true;
  }

  /** Requests that have no answer yet. */
  get inFlightCount(): number {
    return this.#inFlightCount;
  }

  /** Requests that its limits have held back. */
  get throttleCounts(): ThrottleCounts {
    return this.#limiter?.counts ?? { count: 0, seconds: 0 };
  }

  /** Holds reads and writes back to these rates from now on, those that wait already included. */
  setLimits(limits: VolumeLimits): void {
    this.#isLimited = this.#state.name === 'open' && !IoLimiter.isUnlimited(limits);
    if (this.#isLimited) {
      const dependencies = { clockMs: this.#clockMs, startTimer: startNodeTimer };
      this.#limiter ??= new IoLimiter(limits, dependencies);
    }
    this.#limiter?.setLimits(this.#isLimited ? limits : {});
  }

  /** Reads any bytes. */
  read(offsetBytes: number, target: Uint8Array, done: VolumeCompletion): void {
    const request: Request = { operation: 'read', offsetBytes, lengthBytes: target.length };
    if (!this.#admit(request, done)) return;
    const completed = this.#begin(request, done);
    if (!this.#isLimited) this.#bytes.read(offsetBytes, target, completed);
    else {
      const start = (): void => this.#bytes.read(offsetBytes, target, completed);
      this.#limiter?.read(target.length, this.#waiting(start, done, completed));
    }
  }

  /** Writes any bytes; with `fua` they are durable at completion. */
  write(offsetBytes: number, source: Uint8Array, fua: boolean, done: VolumeCompletion): void {
    const request: Request = { operation: 'write', offsetBytes, lengthBytes: source.length };
    if (!this.#admit(request, done)) return;
    const completed = this.#begin(request, done);
    if (!this.#isLimited) this.#bytes.write(offsetBytes, source, fua, completed);
    else {
      const start = (): void => this.#bytes.write(offsetBytes, source, fua, completed);
      this.#limiter?.write(source.length, this.#waiting(start, done, completed));
    }
  }

  /** Makes exactly these bytes read as zeros. */
  writeZeroes(
    offsetBytes: number,
    lengthBytes: number,
    options: ZeroOptions,
    done: VolumeCompletion,
  ): void {
    const request: Request = { operation: 'writeZeroes', offsetBytes, lengthBytes };
    if (!this.#admit(request, done)) return;
    const completed = this.#begin(request, done);
    const start = (): void => {
      this.#bytes.writeZeroes(offsetBytes, lengthBytes, options, completed);
    };
    // Zeros that stay allocated are written out, like any bytes.
    const limitedBytes = options.keepAllocated ? lengthBytes : 0;
    if (this.#isLimited) this.#limiter?.write(limitedBytes, this.#waiting(start, done, completed));
    else start();
  }

  /** Gives back the whole blocks inside the range; the bytes around them keep their content. */
  discard(offsetBytes: number, lengthBytes: number, fua: boolean, done: VolumeCompletion): void {
    const request: Request = { operation: 'discard', offsetBytes, lengthBytes };
    if (!this.#admit(request, done)) return;
    const completed = this.#begin(request, done);
    const start = (): void => this.#bytes.discard(offsetBytes, lengthBytes, fua, completed);
    if (this.#isLimited) this.#limiter?.write(0, this.#waiting(start, done, completed));
    else start();
  }

  /**
   * Drops those of the requests with these completions that wait for their rate: they fail, soon, and nothing of
   * them is done. Those that have started go on.
   */
  dropWaiting(completions: ReadonlySet<VolumeCompletion>): void {
    const dropped: WaitingRequest[] = [];
    this.#limiter?.drop((start) => {
      const request = this.#waitingRequests.get(start);
      if (!request || !completions.has(request.done)) return false;
      this.#waitingRequests.delete(start);
      dropped.push(request);
      return true;
    });
    for (const { completed } of dropped) setImmediate(completed, droppedError);
  }

  /** Makes durable everything that completed before, whoever asked for it. */
  flush(done: VolumeCompletion): void {
    const request: Request = { operation: 'flush', offsetBytes: 0, lengthBytes: 0 };
    if (!this.#admit(request, done)) return;
    const completed = this.#begin(request, done);
    if (this.isReadOnly) setImmediate(completed, null);
    else this.#io.flush(completed);
  }

  /**
   * The extents of a range, in order, without gaps, at most `extentsMax` (they then end earlier).
   *
   * @throws VolumeError
   */
  async allocation(
    offsetBytes: number,
    lengthBytes: number,
    extentsMax: number,
  ): Promise<readonly ByteExtent[]> {
    const error = this.#check({ operation: 'read', offsetBytes, lengthBytes });
    if (error) throw error;
    if (lengthBytes === 0) return [];
    const startLbn = Math.floor(offsetBytes / blockSizeBytes);
    const endBytes = offsetBytes + lengthBytes;
    const blockCount = Math.ceil(endBytes / blockSizeBytes) - startLbn;
    this.#inFlightCount++;
    try {
      const extents = await this.#io.allocation(startLbn, blockCount, extentsMax);
      return extents.map((extent) => clip(extent, offsetBytes, endBytes));
    } catch (cause) {
      if (cause instanceof StoreError) throw VolumeError.fromStore(cause);
      throw cause;
    } finally {
      this.#end();
    }
  }

  /**
   * Refuses later requests with `reason`, waits for those under way, and closes the node's I/O. May be
   * called twice.
   */
  close(reason: string): Promise<void> {
    this.#closed ??= this.#drainAndClose(reason);
    return this.#closed;
  }

  async #drainAndClose(reason: string): Promise<void> {
    // Nobody waits for a rate that nobody needs any more.
    this.setLimits({});
    if (this.#inFlightCount > 0) {
      await new Promise<void>((drained) => {
        this.#state = { name: 'closing', reason, drained };
      });
    }
    this.#state = { name: 'closed', reason };
    await this.#io.close();
  }

  /** Keeps what a request needs to be dropped while its rate holds it back. */
  #waiting(start: LimitedStart, done: VolumeCompletion, completed: IoCompletion): LimitedStart {
    const startWaiting = (): void => {
      this.#waitingRequests.delete(startWaiting);
      start();
    };
    this.#waitingRequests.set(startWaiting, { done, completed });
    return startWaiting;
  }

  /** Answers a request that must not reach the store. */
  #admit(request: Request, done: VolumeCompletion): boolean {
    const error = this.#check(request);
    if (!error && (request.lengthBytes > 0 || request.operation === 'flush')) return true;
    if (error) this.statistics.record(request.operation, 0, 0, true);
    setImmediate(done, error);
    return false;
  }

  #check(request: Request): VolumeError | null {
    const { operation, offsetBytes, lengthBytes } = request;
    if (!Number.isSafeInteger(offsetBytes) || offsetBytes < 0)
      assert(false, `offset ${offsetBytes}`);
    if (this.#state.name !== 'open') return this.#refusal('closed', request, this.#state.reason);
    if (this.isReadOnly && operation !== 'read' && operation !== 'flush') {
      return this.#refusal('read-only', request, 'it is read-only');
    }
    if (offsetBytes + lengthBytes > this.sizeBytes) {
      return this.#refusal('out-of-range', request, `it has ${this.sizeBytes} bytes`);
    }
    return null;
  }

  #refusal(kind: VolumeErrorKind, request: Request, reason: string): VolumeError {
    const { operation, offsetBytes, lengthBytes } = request;
    const action = `${actionNames[operation]} ${lengthBytes} bytes at ${offsetBytes}`;
    return new VolumeError(kind, `${action} of ${this.label}: ${reason}`);
  }

  #begin({ operation, lengthBytes }: Request, done: VolumeCompletion): IoCompletion {
    this.#inFlightCount++;
    const request = this.#freeRequests.pop() ?? new OpenRequest((each) => this.#complete(each));
    request.operation = operation;
    request.lengthBytes = lengthBytes;
    request.startMs = this.#clockMs();
    request.done = done;
    return request.completed;
  }

  #complete(request: OpenRequest): void {
    const { operation, lengthBytes, startMs, done, error } = request;
    this.#freeRequests.push(request);
    this.statistics.record(operation, lengthBytes, this.#clockMs() - startMs, error !== null);
    done(error && VolumeError.fromStore(error));
    this.#end();
  }

  #end(): void {
    this.#inFlightCount--;
    if (this.#inFlightCount === 0 && this.#state.name === 'closing') this.#state.drained();
  }
}

/** A request from its admission to its answer, then the next one: nothing is allocated for it. */
class OpenRequest {
  operation: VolumeOperation = 'read';
  lengthBytes = 0;
  startMs = 0;
  done: VolumeCompletion = () => undefined;
  error: StoreError | null = null;
  /** Given to the store. */
  readonly completed: IoCompletion;

  constructor(completed: (request: OpenRequest) => void) {
    this.completed = (error) => {
      this.error = error;
      completed(this);
    };
  }
}

function clip(extent: AllocationExtent, startBytes: number, endBytes: number): ByteExtent {
  const from = Math.max(startBytes, extent.lbn * blockSizeBytes);
  const to = Math.min(endBytes, (extent.lbn + extent.blockCount) * blockSizeBytes);
  return { offsetBytes: from, lengthBytes: to - from, state: extent.state };
}
