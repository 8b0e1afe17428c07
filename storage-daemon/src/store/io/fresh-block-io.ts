/**
 * Writes of one block that goes to a fresh place: the first write to a block after a snapshot, whose cluster the
 * snapshot shares. The same steps under the same rules as the long way (`write-operation.ts`), for the one case in
 * which nothing has to be loaded, waited for or split among several records; whatever is not that simple goes there.
 *
 * It is a way of its own because it is what every write is for a while after a snapshot: objects, lists and closures
 * of the long way took 3 of its 10 us of processor time in user mode.
 */
import type { DeviceError } from '../../device/block-device.ts';
import type { BlockRun } from '../../allocator/group-bitmap.ts';
import { clusterSizeBlocks } from '../../units.ts';
import type { Cell } from '../cell.ts';
import { ioFailure } from '../pool-devices.ts';
import type { IoCompletion } from '../store-api.ts';
import type { StoreError } from '../store-error.ts';
import type { TreeNode } from '../tree-node.ts';
import { pagesOfChange } from './write-placement.ts';

/** Requests kept for later: as many as a client usually has under way. */
const pooledMax = 128;
const oneCluster = { leaves: 1, clusters: 1 };

/** Writes of one I/O object. */
export class FreshBlockIo {
  readonly node: TreeNode;
  readonly cell: Cell;
  /** Called after each completion. */
  readonly ended: () => void;
  readonly #pool: FreshBlockWrite[] = [];

  constructor(dependencies: { node: TreeNode; cell: Cell; ended: () => void }) {
    this.node = dependencies.node;
    this.cell = dependencies.cell;
    this.ended = dependencies.ended;
  }

  /**
   * Writes a block whose map is in memory and which is not the volume's own by `bound`. False if it is not that
   * simple: then nothing was done.
   */
  tryWrite(lbn: number, source: Uint8Array, bound: number, done: IoCompletion): boolean {
    const { cell, node } = this;
    const cluster = Math.floor(lbn / clusterSizeBlocks);
    if (node.locks.isLocked(cluster) || cell.isRingFull || !this.#isShared(lbn, bound))
      return false;
    const pages = pagesOfChange(cell, node, oneCluster);
    if (!cell.space.admits(1, pages)) return false;
    const reserved = cell.state.allocator.reserveData(1)?.[0];
    if (reserved === undefined) return false;
    node.locks.lock(cluster);
    const request = this.#pool.pop() ?? new FreshBlockWrite(this);
    request.begin({ lbn, cluster, reserved, promise: cell.space.promise(pages) }, done);
    cell.countDataWrite(1);
    cell.devices.writeCounted(reserved.pbn, source, request.complete);
    return true;
  }

  /** Takes a request back. */
  release(request: FreshBlockWrite): void {
    if (this.#pool.length < pooledMax) this.#pool.push(request);
  }

  /** True if the block's cluster is mapped, and is no natural one of the volume's own, whose slack has room for it. */
  #isShared(lbn: number, bound: number): boolean {
    const { tree } = this.cell.state;
    const leaf = tree.leafOf(this.node, lbn);
    if (!leaf) return false;
    const cluster = tree.clusterIndexOf(lbn);
    // A split cluster: the block itself is not own, as the caller has found.
    if (leaf.leaf.base[cluster] === 0) return leaf.leaf.splitIndex[cluster]! >= 0;
    return leaf.leaf.birth[cluster]! <= bound;
  }
}

const nobody: IoCompletion = () => {};

/** Where a block goes, and what is held for it. */
interface FreshPlace {
  readonly lbn: number;
  /** Locked. */
  readonly cluster: number;
  readonly reserved: BlockRun;
  readonly promise: { keep: () => void };
}

/** One request, used again and again. */
class FreshBlockWrite {
  readonly #owner: FreshBlockIo;
  #place: FreshPlace | undefined;
  #done: IoCompletion = nobody;
  #generation = 0;

  constructor(owner: FreshBlockIo) {
    this.#owner = owner;
  }

  begin(place: FreshPlace, done: IoCompletion): void {
    this.#place = place;
    this.#done = done;
    this.#generation = this.#owner.cell.tracker.begin();
  }

  /** The data has arrived, or not. The map may have left memory meanwhile: it is loaded again before it changes. */
  readonly complete = (error: DeviceError | null): void => {
    const { cell, node } = this.#owner;
    cell.devices.endWrite();
    cell.endIo(this.#generation);
    const failure = error ? ioFailure(`Writing to volume ${node.name}`, error) : cell.failure;
    if (failure) {
      this.#end(failure);
      return;
    }
    const { state } = cell;
    const first = this.#place!.cluster * clusterSizeBlocks;
    if (state.residency.findMissing(node, first, clusterSizeBlocks) === undefined) this.#end(null);
    else {
      cell.residency.ensureFound(
        () => state.residency.findMissing(node, first, clusterSizeBlocks),
        (missing) => this.#end(missing ?? cell.failure ?? null),
      );
    }
  };

  #end(failure: StoreError | null): void {
    const { cell, node, ended } = this.#owner;
    const { lbn, cluster, reserved, promise } = this.#place!;
    if (failure) cell.state.allocator.releaseReservation(reserved);
    else cell.record([{ op: 'set', node: node.id, lbn, pbn: reserved.pbn, count: 1 }]);
    promise.keep();
    node.locks.unlock(cluster);
    const done = this.#done;
    this.#done = nobody;
    this.#place = undefined;
    this.#owner.release(this);
    done(failure);
    ended();
  }
}
