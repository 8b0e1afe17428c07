/**
 * Reads and changes of any bytes over a store that knows whole blocks only.
 *
 * - Whole blocks go straight to the store.
 * - Part of a block is read, merged and written back under an exclusive claim (see `range-claims`), so that
 *   neither a neighbour's bytes nor a concurrent change of the block are lost.
 * - Zeros over part of a block are merged in; a block that is all zeros afterwards is given back rather
 *   than stored.
 * - A discard is advice: only whole blocks inside it are given back.
 *
 * The caller has checked bounds and state. Buffers are the store's until completion.
 */
import type { IoCompletion, NodeIo } from '../store/store-api.ts';
import type { StoreError } from '../store/store-error.ts';
import { zeroBufferBytes, zeroPieceBlocksMax } from '../limits.ts';
import { blockSizeBytes, bytesToBlocks } from '../units.ts';
import { ClaimEntry, RangeClaims } from './range-claims.ts';

/** How zeros are to be written. */
export interface ZeroOptions {
  /** Durable at completion. */
  readonly fua: boolean;
  /** Store zeros instead of giving blocks back, so that later writes there find their space. */
  readonly keepAllocated: boolean;
}

/** One step of a longer change. */
type Step = (done: IoCompletion) => void;

const zeros = new Uint8Array(zeroBufferBytes);

/** Byte-grained I/O on one open node. */
export class ByteIo {
  readonly #io: NodeIo;
  readonly #claims = new RangeClaims();
  readonly #freeWrites: WholeWrite[] = [];

  constructor(io: NodeIo) {
    this.#io = io;
  }

  read(offsetBytes: number, target: Uint8Array, done: IoCompletion): void {
    const startLbn = Math.floor(offsetBytes / blockSizeBytes);
    const skipBytes = offsetBytes % blockSizeBytes;
    if (skipBytes === 0 && target.length % blockSizeBytes === 0) {
      this.#io.read(startLbn, target, done);
      return;
    }
    const blocks = newBlocks(skipBytes + target.length);
    this.#io.read(startLbn, blocks, (error) => {
      if (!error) target.set(blocks.subarray(skipBytes, skipBytes + target.length));
      done(error);
    });
  }

  write(offsetBytes: number, source: Uint8Array, fua: boolean, done: IoCompletion): void {
    const startLbn = Math.floor(offsetBytes / blockSizeBytes);
    const skipBytes = offsetBytes % blockSizeBytes;
    if (skipBytes === 0 && source.length % blockSizeBytes === 0) {
      const write = this.#freeWrites.pop() ?? this.#newWrite();
      write.start(startLbn, source, fua, done);
      return;
    }
    const blocks = newBlocks(skipBytes + source.length);
    const readAndWrite: Step = (written) => {
      this.#readEdges(startLbn, blocks, { skipBytes, lengthBytes: source.length }, (error) => {
        if (error) written(error);
        else {
          blocks.set(source, skipBytes);
          this.#io.write(startLbn, blocks, fua, written);
        }
      });
    };
    const range = { startLbn, endLbn: startLbn + bytesToBlocks(blocks.length) };
    this.#claimed({ ...range, isExclusive: true }, readAndWrite, done);
  }

  #newWrite(): WholeWrite {
    return new WholeWrite({
      io: this.#io,
      claims: this.#claims,
      free: (write) => this.#freeWrites.push(write),
    });
  }

  writeZeroes(
    offsetBytes: number,
    lengthBytes: number,
    { fua, keepAllocated }: ZeroOptions,
    done: IoCompletion,
  ): void {
    const endBytes = offsetBytes + lengthBytes;
    const innerStart = Math.ceil(offsetBytes / blockSizeBytes);
    const innerEnd = Math.floor(endBytes / blockSizeBytes);
    const startLbn = Math.floor(offsetBytes / blockSizeBytes);
    const endLbn = Math.ceil(endBytes / blockSizeBytes);
    const headEnd = Math.min(endBytes, innerStart * blockSizeBytes);
    const steps: Step[] = [];
    if (offsetBytes < headEnd) {
      steps.push((next) => this.#zeroPart(offsetBytes, headEnd, keepAllocated, next));
    }
    if (innerStart < innerEnd) {
      steps.push((next) => this.#zeroBlocks(innerStart, innerEnd, keepAllocated, next));
    }
    const tailStart = Math.max(innerEnd * blockSizeBytes, headEnd);
    if (tailStart < endBytes) {
      steps.push((next) => this.#zeroPart(tailStart, endBytes, keepAllocated, next));
    }
    // One flush at the end makes all steps durable, those before it included.
    if (fua) steps.push((next) => this.#io.flush(next));
    const isExclusive = startLbn !== innerStart || endLbn !== innerEnd;
    this.#claimed({ startLbn, endLbn, isExclusive }, (end) => runInOrder(steps, end), done);
  }

  discard(offsetBytes: number, lengthBytes: number, fua: boolean, done: IoCompletion): void {
    const startLbn = Math.ceil(offsetBytes / blockSizeBytes);
    const endLbn = Math.floor((offsetBytes + lengthBytes) / blockSizeBytes);
    const steps: Step[] = [];
    for (let lbn = startLbn; lbn < endLbn; lbn += zeroPieceBlocksMax) {
      const count = Math.min(zeroPieceBlocksMax, endLbn - lbn);
      steps.push((next) => this.#io.discard(lbn, count, next));
    }
    if (fua) steps.push((next) => this.#io.flush(next));
    if (steps.length === 0) setImmediate(done, null);
    else {
      const range = { startLbn, endLbn: Math.max(startLbn, endLbn), isExclusive: false };
      this.#claimed(range, (end) => runInOrder(steps, end), done);
    }
  }

  /** Runs `change` when its blocks are free for it. */
  #claimed(
    range: { startLbn: number; endLbn: number; isExclusive: boolean },
    change: Step,
    done: IoCompletion,
  ): void {
    const release = this.#claims.acquire({
      ...range,
      granted: () => {
        change((error) => {
          release();
          done(error);
        });
      },
    });
  }

  /** Fills the first and the last block where the change does not cover them. */
  #readEdges(
    startLbn: number,
    blocks: Uint8Array,
    { skipBytes, lengthBytes }: { skipBytes: number; lengthBytes: number },
    done: IoCompletion,
  ): void {
    const count = bytesToBlocks(blocks.length);
    const steps: Step[] = [];
    const readBlock = (index: number) => {
      const target = blocks.subarray(index * blockSizeBytes, (index + 1) * blockSizeBytes);
      steps.push((next) => this.#io.read(startLbn + index, target, next));
    };
    if (skipBytes > 0) readBlock(0);
    const isLastPartial = (skipBytes + lengthBytes) % blockSizeBytes !== 0;
    if (isLastPartial && !(count === 1 && skipBytes > 0)) readBlock(count - 1);
    runInOrder(steps, done);
  }

  /** Zeros part of one block. */
  #zeroPart(
    startBytes: number,
    endBytes: number,
    keepAllocated: boolean,
    done: IoCompletion,
  ): void {
    const lbn = Math.floor(startBytes / blockSizeBytes);
    const block = Buffer.allocUnsafe(blockSizeBytes);
    this.#io.read(lbn, block, (error) => {
      if (error) {
        done(error);
        return;
      }
      block.fill(0, startBytes - lbn * blockSizeBytes, endBytes - lbn * blockSizeBytes);
      if (!keepAllocated && block.equals(zeros.subarray(0, blockSizeBytes))) {
        this.#io.writeZeroes(lbn, 1, false, done);
      } else {
        this.#io.write(lbn, block, false, done);
      }
    });
  }

  /** Zeros whole blocks, piece by piece. */
  #zeroBlocks(startLbn: number, endLbn: number, keepAllocated: boolean, done: IoCompletion): void {
    const pieceBlocks = keepAllocated ? bytesToBlocks(zeros.length) : zeroPieceBlocksMax;
    const step = (lbn: number, error: StoreError | null): void => {
      if (error || lbn === endLbn) {
        done(error);
        return;
      }
      const count = Math.min(pieceBlocks, endLbn - lbn);
      const next: IoCompletion = (failure) => step(lbn + count, failure);
      if (keepAllocated) {
        this.#io.write(lbn, zeros.subarray(0, count * blockSizeBytes), false, next);
      } else {
        this.#io.writeZeroes(lbn, count, false, next);
      }
    };
    step(startLbn, null);
  }
}

/** Memory for the whole blocks that hold so many bytes. */
function newBlocks(lengthBytes: number): Buffer {
  return Buffer.allocUnsafe(Math.ceil(lengthBytes / blockSizeBytes) * blockSizeBytes);
}

/** Runs steps one after the other; ends at the first failure. */
function runInOrder(steps: readonly Step[], done: IoCompletion): void {
  const run = (index: number, error: StoreError | null): void => {
    const step = steps[index];
    if (error || !step) done(error);
    else step((failure) => run(index + 1, failure));
  };
  run(0, null);
}

/** A write of whole blocks from its claim to its end, then the next one: nothing is allocated for it. */
class WholeWrite {
  readonly #io: NodeIo;
  readonly #claims: RangeClaims;
  readonly #claim: ClaimEntry;
  readonly #written: IoCompletion;
  #source: Uint8Array = zeros;
  #fua = false;
  #done: IoCompletion = () => undefined;

  constructor(owner: {
    readonly io: NodeIo;
    readonly claims: RangeClaims;
    readonly free: (write: WholeWrite) => void;
  }) {
    this.#io = owner.io;
    this.#claims = owner.claims;
    this.#claim = new ClaimEntry(() => {
      this.#io.write(this.#claim.startLbn, this.#source, this.#fua, this.#written);
    });
    this.#written = (error) => {
      const done = this.#done;
      this.#claims.leave(this.#claim);
      this.#source = zeros;
      owner.free(this);
      done(error);
    };
  }

  start(startLbn: number, source: Uint8Array, fua: boolean, done: IoCompletion): void {
    this.#source = source;
    this.#fua = fua;
    this.#done = done;
    this.#claim.startLbn = startLbn;
    this.#claim.endLbn = startLbn + bytesToBlocks(source.length);
    this.#claims.enter(this.#claim);
  }
}
