/**
 * DISCARD and WRITE_ZEROES (2.5): unmaps exactly the blocks of a range, in steps with turns for others between them.
 * Holes are skipped without looking at each block, and nothing is recorded where nothing is mapped.
 */
import { clearBlocksMax } from '../../format/journal-record.ts';
import { leafBlocks } from '../../format/pool-layout.ts';
import { clusterSizeBlocks } from '../../units.ts';
import type { Cell } from '../cell.ts';
import type { StoreEnvironment } from '../store-environment.ts';
import { StoreError } from '../store-error.ts';
import type { TreeNode } from '../tree-node.ts';

/** What to clear, and whom to tell. */
export interface ClearRequest {
  readonly node: TreeNode;
  readonly lbn: number;
  readonly blockCount: number;
  /** A discard is advice: where there is no space for its metadata it is skipped. */
  readonly isAdvice: boolean;
  /** See `keepsMap`. */
  readonly keepsMap: boolean;
  readonly done: (error: StoreError | null) => void;
}

/** What one step has done: all up to `end`, where a write may hold a cluster. */
interface Step {
  readonly end: number;
  readonly lockedCluster: number | undefined;
}

/** Clears under way. */
export class ClearOperation {
  readonly #request: ClearRequest;
  readonly #cell: Cell;
  readonly #environment: StoreEnvironment;

  constructor(request: ClearRequest, dependencies: { cell: Cell; environment: StoreEnvironment }) {
    this.#request = request;
    this.#cell = dependencies.cell;
    this.#environment = dependencies.environment;
  }

  start(): void {
    this.#run().then(
      (failure) => this.#end(failure),
      (error: unknown) => {
        queueMicrotask(() => {
          throw error;
        });
      },
    );
  }

  #end(failure: StoreError | null): void {
    const { node, keepsMap, done } = this.#request;
    const error = failure ?? this.#cell.failure ?? null;
    if (error) this.#cell.fail(done, error);
    else if (keepsMap) this.#cell.flush(node, done);
    else done(null);
  }

  async #run(): Promise<StoreError | null> {
    const { node, lbn, blockCount } = this.#request;
    const end = lbn + blockCount;
    // Never completes before the call returns.
    await Promise.resolve();
    for (let from = lbn; from < end;) {
      if (this.#cell.failure) return this.#cell.failure;
      const step = await this.#step(from, end);
      if (step instanceof StoreError) return step;
      if (!step) return null;
      from = step.end;
      const { lockedCluster } = step;
      if (lockedCluster !== undefined && node.locks.isLocked(lockedCluster)) {
        await new Promise<void>((resolve) => node.locks.wait(lockedCluster, resolve));
      }
    }
    return null;
  }

  /**
   * Clears the next part of a leaf that is there, up to the first locked cluster, in the turn in which its pages are
   * found in memory; undefined if only holes are left.
   */
  async #step(from: number, end: number): Promise<Step | StoreError | undefined> {
    const { node } = this.#request;
    const { state, residency } = this.#cell;
    let found: { from: number; end: number } | undefined;
    const find = () => {
      found = undefined;
      const next = state.residency.nextLeaf(node, from);
      if (next === undefined || (typeof next === 'number' && next >= end)) return undefined;
      if (typeof next !== 'number') return next;
      const perLeaf = leafBlocks(state.geometry);
      const start = Math.max(from, next);
      const leafEnd = (Math.floor(start / perLeaf) + 1) * perLeaf;
      found = { from: start, end: Math.min(end, leafEnd, start + clearBlocksMax) };
      return state.residency.findMissing(node, found.from, found.end - found.from);
    };
    const step = await new Promise<Step | StoreError | undefined>((resolve) => {
      residency.ensureFound(find, (failure) => {
        if (failure) resolve(failure);
        else resolve(found && this.#clearUnlocked(found.from, found.end));
      });
    });
    if (!step || step instanceof StoreError || step.end === from) return step;
    await this.#environment.yieldTurn();
    await new Promise<void>((resolve) => this.#cell.whenRingHasRoom(resolve));
    return this.#cell.failure ?? step;
  }

  #clearUnlocked(from: number, end: number): Step | StoreError {
    const locked = this.#firstLocked(from, end);
    const lockedCluster = locked === undefined ? undefined : Math.floor(locked / clusterSizeBlocks);
    if (locked === from) return { end: from, lockedCluster };
    const failure = this.#clear(from, locked ?? end);
    return failure ?? { end: locked ?? end, lockedCluster };
  }

  #firstLocked(from: number, end: number): number | undefined {
    const { locks } = this.#request.node;
    for (let lbn = from; lbn < end;) {
      const cluster = Math.floor(lbn / clusterSizeBlocks);
      if (locks.isLocked(cluster)) return lbn;
      lbn = (cluster + 1) * clusterSizeBlocks;
    }
    return undefined;
  }

  #clear(from: number, end: number): StoreError | undefined {
    const { node, isAdvice } = this.#request;
    const { space } = this.#cell;
    // It may have failed while a page was read.
    if (this.#cell.failure) return this.#cell.failure;
    const mapped = this.#countMapped(from, end);
    if (mapped.total === 0) return undefined;
    const pages = node.level + 2 + Math.ceil((end - from) / (32 * clusterSizeBlocks));
    const isOwn = mapped.own === mapped.total;
    const listPages =
      this.#cell.state.cleanListPages(node) + Math.ceil((mapped.total - mapped.own) / 128);
    const isAdmitted = isOwn ? space.admitsFreeing(pages) : space.admits(0, pages + listPages);
    if (isAdmitted) {
      this.#cell.record([{ op: 'clear', node: node.id, lbn: from, count: end - from }]);
    } else if (!isAdvice) {
      return new StoreError(
        'insufficient-space',
        `Writing zeroes to volume ${node.name} failed: the pool is full`,
      );
    }
    return undefined;
  }

  /** Mapped blocks; of a cluster that others share all 16, which leave the map together. */
  #countMapped(from: number, end: number): { total: number; own: number } {
    const { node } = this.#request;
    let total = 0;
    let own = 0;
    for (let lbn = from; lbn < end; lbn++) {
      const mapped = this.#cell.state.tree.lookup(node, lbn);
      if (!mapped) continue;
      const isOwn = mapped.birth > node.parentEpoch;
      total += isOwn ? 1 : clusterSizeBlocks;
      if (isOwn) own++;
    }
    return { total, own };
  }
}
