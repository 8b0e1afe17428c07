/**
 * The steady state of reads and writes: the map is in memory, the blocks lie in a row, and no record is needed, so
 * that one device request is all. It leaves no garbage: requests come from a pool. Whatever is not that simple goes
 * the long way (`read-operation.ts`, `write-operation.ts`), under the same rules.
 */
import type { DeviceError } from '../../device/block-device.ts';
import { blockSizeBytes } from '../../units.ts';
import type { Cell } from '../cell.ts';
import { ioFailure } from '../pool-devices.ts';
import type { StoreError } from '../store-error.ts';
import type { IoCompletion } from '../store-api.ts';
import type { TreeNode } from '../tree-node.ts';
import { FreshBlockIo } from './fresh-block-io.ts';

/** Blocks of one device write: 4 MiB, so that no request holds up others for long. */
export const deviceWriteBlocksMax = 1024;
/** Requests kept for later: as many as a client usually has under way. */
const pooledMax = 128;

/** Reads and writes of one I/O object. */
export class DirectIo {
  readonly node: TreeNode;
  readonly cell: Cell;
  /** Called after each completion. */
  readonly ended: () => void;
  readonly #pool: DirectRequest[] = [];
  readonly #fresh: FreshBlockIo;
  /** Whether the map was in memory when it was last looked at. */
  #isResident = false;

  constructor(dependencies: { node: TreeNode; cell: Cell; ended: () => void }) {
    this.node = dependencies.node;
    this.cell = dependencies.cell;
    this.ended = dependencies.ended;
    this.#fresh = new FreshBlockIo(dependencies);
  }

  /** False if it is not that simple: then nothing was done. */
  tryRead(lbn: number, target: Uint8Array, done: IoCompletion): boolean {
    const { cell } = this;
    const count = target.length / blockSizeBytes;
    const pbn = this.#findRun(lbn, count, 0);
    if (pbn === 0) return false;
    const request = this.#take(done);
    request.generation = cell.tracker.begin();
    cell.countDataRead(count);
    cell.devices.read(pbn, target, request.completeRead);
    return true;
  }

  /**
   * As `tryRead`, of blocks that are overwritten in place; if `mayMap`, the answer need not wait for the map, and one
   * block that somebody else has too may go to a fresh place.
   */
  tryWrite(lbn: number, source: Uint8Array, mayMap: boolean, done: IoCompletion): boolean {
    const { cell, node } = this;
    const count = source.length / blockSizeBytes;
    if (cell.failure || node.locks.hasHeld || count > deviceWriteBlocksMax) return false;
    const bound = node.inPlaceBound(cell.journal.durableRecord);
    const pbn = this.#findRun(lbn, count, bound);
    if (pbn === 0) {
      const isSimple = this.#isResident && mayMap && count === 1;
      return isSimple && this.#fresh.tryWrite(lbn, source, bound, done);
    }
    const request = this.#take(done);
    request.generation = cell.tracker.begin();
    request.inPlaceGeneration = cell.inPlaceTracker.begin();
    cell.countDataWrite(count);
    cell.devices.writeCounted(pbn, source, request.completeWrite);
    return true;
  }

  /** Takes a request back. */
  release(request: DirectRequest): void {
    if (this.#pool.length < pooledMax) this.#pool.push(request);
  }

  #findRun(lbn: number, count: number, bound: number): number {
    const { state } = this.cell;
    this.#isResident = state.residency.findMissing(this.node, lbn, count, 'look') === undefined;
    if (!this.#isResident) return 0;
    const pbn = state.tree.runOf(this.node, lbn, count, bound);
    if (pbn !== 0) state.pages.countHit();
    return pbn;
  }

  #take(done: IoCompletion): DirectRequest {
    const request = this.#pool.pop() ?? new DirectRequest(this);
    request.done = done;
    return request;
  }
}

const nobody: IoCompletion = () => {};

/** One request, used again and again. */
class DirectRequest {
  readonly #owner: DirectIo;
  done: IoCompletion = nobody;
  generation = 0;
  inPlaceGeneration = 0;

  constructor(owner: DirectIo) {
    this.#owner = owner;
  }

  readonly completeRead = (error: DeviceError | null): void => {
    const { cell, node } = this.#owner;
    cell.endIo(this.generation);
    this.#answer(error ? ioFailure(`Reading ${node.kind} ${node.name}`, error) : null);
  };

  readonly completeWrite = (error: DeviceError | null): void => {
    const { cell, node } = this.#owner;
    cell.devices.endWrite();
    cell.inPlaceTracker.end(this.inPlaceGeneration);
    cell.endIo(this.generation);
    const failure = error ? ioFailure(`Writing to volume ${node.name}`, error) : undefined;
    this.#answer(failure ?? cell.failure ?? null);
  };

  #answer(failure: StoreError | null): void {
    const { done } = this;
    const { ended } = this.#owner;
    this.done = nobody;
    this.#owner.release(this);
    done(failure);
    ended();
  }
}
