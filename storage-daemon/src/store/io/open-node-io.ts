/** Block I/O on one node, as the layers above see it. */
import { assert } from '@varve/common/assert';

import { blockSizeBytes } from '../../units.ts';
import { findAllocation } from './allocation-map.ts';
import type { Cell } from '../cell.ts';
import { ClearOperation } from './clear-operation.ts';
import { DirectIo } from './direct-io.ts';
import { isMapDurable, keepsMap } from './kept-map.ts';
import { startRead } from './read-operation.ts';
import type { AllocationExtent, IoCompletion, NodeIo } from '../store-api.ts';
import type { StoreEnvironment } from '../store-environment.ts';
import { StoreError } from '../store-error.ts';
import type { TreeNode } from '../tree-node.ts';
import { WriteOperation } from './write-operation.ts';

/** Counts what is under way, and refuses what may not be. */
export class OpenNodeIo implements NodeIo {
  readonly readOnly: boolean;
  readonly #node: TreeNode;
  readonly #cell: Cell;
  readonly #environment: StoreEnvironment;
  readonly #direct: DirectIo;
  #pendingCount = 0;
  #isClosed = false;
  #closeWaiters: (() => void)[] = [];

  constructor(
    options: { readOnly: boolean },
    dependencies: { node: TreeNode; cell: Cell; environment: StoreEnvironment },
  ) {
    this.#node = dependencies.node;
    this.#cell = dependencies.cell;
    this.#environment = dependencies.environment;
    this.#direct = new DirectIo({ ...dependencies, ended: () => this.#end() });
    this.readOnly = options.readOnly || this.#node.kind === 'snapshot';
    this.#node.openCount++;
  }

  keepsAnswers = false;

  /** The size of now: a volume may grow while it is open. */
  get sizeBlocks(): number {
    return this.#node.sizeBlocks;
  }

  read(lbn: number, target: Uint8Array, done: IoCompletion): void {
    const blockCount = target.length / blockSizeBytes;
    this.#checkRange(lbn, blockCount);
    if (!this.#isClosed && this.#direct.tryRead(lbn, target, done)) {
      this.#pendingCount++;
      return;
    }
    const completion = this.#begin(lbn, blockCount, done);
    if (completion) startRead({ node: this.#node, lbn, target, done: completion }, this.#cell);
  }

  write(lbn: number, source: Uint8Array, fua: boolean, done: IoCompletion): void {
    const blockCount = source.length / blockSizeBytes;
    this.#checkRange(lbn, blockCount);
    const isKept = keepsMap(fua, this.keepsAnswers);
    // Else the long way looks for the records that mapped these very blocks.
    const needsNoRecord = !isKept || isMapDurable(this.#cell, this.#node);
    const mayBeDirect = !fua && needsNoRecord && !this.#isClosed && !this.readOnly;
    if (mayBeDirect && this.#direct.tryWrite(lbn, source, !isKept, done)) {
      this.#pendingCount++;
      return;
    }
    const completion = this.#beginChange(lbn, blockCount, done);
    if (!completion) return;
    const request = { node: this.#node, lbn, source, fua, keepsMap: isKept, done: completion };
    new WriteOperation(request, { cell: this.#cell }).start();
  }

  discard(lbn: number, blockCount: number, done: IoCompletion): void {
    this.#clear({ lbn, blockCount, isAdvice: true, fua: false }, done);
  }

  writeZeroes(lbn: number, blockCount: number, fua: boolean, done: IoCompletion): void {
    this.#clear({ lbn, blockCount, isAdvice: false, fua }, done);
  }

  flush(done: IoCompletion): void {
    const completion = this.#beginChange(0, 1, done);
    if (completion) this.#cell.flush(this.#node, completion);
  }

  async allocation(
    lbn: number,
    blockCount: number,
    extentsMax: number,
  ): Promise<readonly AllocationExtent[]> {
    this.#checkRange(lbn, blockCount);
    if (this.#isClosed) throw this.#closedError();
    // Counted as the other requests are: the node must not go while its map is looked at.
    this.#pendingCount++;
    try {
      return await findAllocation({ node: this.#node, lbn, blockCount, extentsMax }, this.#cell);
    } finally {
      this.#end();
    }
  }

  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      // What is under way still uses the node: until then it can be neither deleted nor reverted.
      if (this.#pendingCount === 0) this.#node.openCount--;
    }
    if (this.#pendingCount === 0) return;
    await new Promise<void>((resolve) => this.#closeWaiters.push(resolve));
  }

  #clear(
    range: { lbn: number; blockCount: number; isAdvice: boolean; fua: boolean },
    done: IoCompletion,
  ): void {
    const completion = this.#beginChange(range.lbn, range.blockCount, done);
    if (!completion) return;
    const isKept = keepsMap(range.fua, this.keepsAnswers, range.isAdvice);
    const request = { ...range, keepsMap: isKept, node: this.#node, done: completion };
    const dependencies = { cell: this.#cell, environment: this.#environment };
    new ClearOperation(request, dependencies).start();
  }

  #checkRange(lbn: number, blockCount: number): void {
    const isRange = Number.isInteger(lbn) && lbn >= 0 && Number.isInteger(blockCount);
    if (isRange && blockCount > 0 && lbn + blockCount <= this.sizeBlocks) return;
    // The message is made only if it is needed: this is on the path of every request.
    assert(false, `blocks ${lbn}+${blockCount} of ${this.sizeBlocks}`);
  }

  #beginChange(lbn: number, blockCount: number, done: IoCompletion): IoCompletion | undefined {
    const { failure } = this.#cell;
    if (failure) {
      this.#cell.fail(done, failure);
      return undefined;
    }
    if (this.readOnly) {
      const reason = `Writing to ${this.#node.kind} ${this.#node.name} failed: it is read-only`;
      this.#cell.fail(done, new StoreError('failed-precondition', reason));
      return undefined;
    }
    return this.#begin(lbn, blockCount, done);
  }

  #begin(lbn: number, blockCount: number, done: IoCompletion): IoCompletion | undefined {
    this.#checkRange(lbn, blockCount);
    if (this.#isClosed) {
      this.#cell.fail(done, this.#closedError());
      return undefined;
    }
    this.#pendingCount++;
    return (error) => {
      done(error);
      this.#end();
    };
  }

  #closedError(): StoreError {
    const reason = `Using ${this.#node.kind} ${this.#node.name} failed: it was closed`;
    return new StoreError('unavailable', reason);
  }

  #end(): void {
    this.#pendingCount--;
    if (this.#pendingCount > 0 || !this.#isClosed) return;
    this.#node.openCount--;
    for (const resolve of this.#closeWaiters.splice(0)) resolve();
  }
}
