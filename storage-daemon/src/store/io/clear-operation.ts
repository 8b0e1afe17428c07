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
  readonly fua: boolean;
  readonly done: (error: StoreError | null) => void;
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
    const { node, fua, done } = this.#request;
    const error = failure ?? this.#cell.failure ?? null;
    if (error) this.#cell.fail(done, error);
    else if (fua) this.#cell.flush(node, done);
    else done(null);
  }

  async #run(): Promise<StoreError | null> {
    const { node, lbn, blockCount } = this.#request;
    const end = lbn + blockCount;
    // Never completes before the call returns.
    await Promise.resolve();
    for (let from = lbn; from < end;) {
      if (this.#cell.failure) return this.#cell.failure;
      const step = await this.#nextStep(from, end);
      if (step instanceof StoreError) return step;
      if (!step) return null;
      const locked = this.#firstLocked(step.from, step.end);
      if (locked === undefined) {
        const failure = await this.#clear(step.from, step.end);
        if (failure) return failure;
        from = step.end;
      } else if (locked > step.from) {
        const failure = await this.#clear(step.from, locked);
        if (failure) return failure;
        from = locked;
      } else {
        await new Promise<void>((resolve) => {
          node.locks.wait(Math.floor(locked / clusterSizeBlocks), resolve);
        });
        from = step.from;
      }
    }
    return null;
  }

  /** The next part of a leaf that is there, with its pages loaded; undefined if only holes are left. */
  async #nextStep(
    from: number,
    end: number,
  ): Promise<{ from: number; end: number } | StoreError | undefined> {
    const { node } = this.#request;
    const { state, residency } = this.#cell;
    let found: { from: number; end: number } | undefined;
    const failure = await new Promise<StoreError | null>((resolve) => {
      residency.ensureFound(() => {
        const next = state.residency.nextLeaf(node, from);
        if (next === undefined || (typeof next === 'number' && next >= end)) return undefined;
        if (typeof next !== 'number') return next;
        const perLeaf = leafBlocks(state.geometry);
        const start = Math.max(from, next);
        const leafEnd = (Math.floor(start / perLeaf) + 1) * perLeaf;
        found = { from: start, end: Math.min(end, leafEnd, start + clearBlocksMax) };
        return state.residency.findMissing(node, found.from, found.end - found.from);
      }, resolve);
    });
    return failure ?? found;
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

  async #clear(from: number, end: number): Promise<StoreError | null> {
    const { node, isAdvice } = this.#request;
    const { space } = this.#cell;
    // It may have failed while a page was read.
    if (this.#cell.failure) return this.#cell.failure;
    const mapped = this.#countMapped(from, end);
    if (mapped.total > 0) {
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
    }
    await this.#environment.yieldTurn();
    await new Promise<void>((resolve) => this.#cell.whenRingHasRoom(resolve));
    return this.#cell.failure ?? null;
  }

  #countMapped(from: number, end: number): { total: number; own: number } {
    const { node } = this.#request;
    let total = 0;
    let own = 0;
    for (let lbn = from; lbn < end; lbn++) {
      const mapped = this.#cell.state.tree.lookup(node, lbn);
      if (!mapped) continue;
      total++;
      if (mapped.birth > node.parentEpoch) own++;
    }
    return { total, own };
  }
}
