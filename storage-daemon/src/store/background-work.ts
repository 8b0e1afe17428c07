/**
 * Walks of deleted nodes and the free queue of one cell, in small steps with a turn for others between them. A failed
 * step (a page that cannot be read) is tried again with growing delay; the space stays allocated and counted
 * meanwhile.
 */
import { walkEnd } from '../map/map-walk.ts';
import type { MissingPage } from '../map/map-residency.ts';
import type { JournalRecord } from '../format/journal-record.ts';
import type { CellSpace } from './cell-space.ts';
import type { CellState } from './cell-state.ts';
import type { RecordResidency } from './record-residency.ts';
import type { CancelTimer, StoreEnvironment } from './store-environment.ts';
import type { StoreError } from './store-error.ts';

/** Entries of the free queue per step. */
const entriesPerStep = 256;
const retryDelayMinMs = 1000;
const retryDelayMaxMs = 60_000;

/** What background work needs of its cell. */
export interface WorkedCell {
  readonly state: CellState;
  readonly space: CellSpace;
  readonly residency: RecordResidency;
  readonly failure: StoreError | undefined;
  record(records: readonly JournalRecord[]): void;
  tryCheckpoint(): Promise<void>;
  whenRingHasRoom(resume: () => void): void;
}

/** Frees in the background. */
export class BackgroundWork {
  readonly #cell: WorkedCell;
  readonly #environment: StoreEnvironment;
  #isRunning = false;
  #isStopped = false;
  #retryDelayMs = retryDelayMinMs;
  #cancelRetry: CancelTimer | undefined;
  #idleWaiters: (() => void)[] = [];
  #restWaiters: (() => void)[] = [];
  /** Failed steps so far. */
  failures = 0;

  constructor(dependencies: { cell: WorkedCell; environment: StoreEnvironment }) {
    this.#cell = dependencies.cell;
    this.#environment = dependencies.environment;
  }

  get hasWork(): boolean {
    const { walking, queue } = this.#cell.state;
    return walking.size > 0 || queue.itemCount > 0;
  }

  /** Blocks that are still to be freed. */
  get pendingBlocks(): number {
    const { walking, queue } = this.#cell.state;
    let blocks = queue.pendingCount;
    for (const node of walking) blocks += node.ownBlocks;
    return blocks;
  }

  /** Starts working if there is something to do and nobody is at it. */
  wake(): void {
    if (this.#isRunning || this.#isStopped || this.#cancelRetry || !this.hasWork) return;
    this.#isRunning = true;
    void this.#run();
  }

  /** Resolves when nothing is left; at once if the work has ended for good. */
  idle(): Promise<void> {
    if (!this.hasWork || this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idleWaiters.push(resolve);
      this.wake();
    });
  }

  /** As `idle`, and also while it waits to try a failed step again: nothing comes free before long. */
  rest(): Promise<void> {
    if (!this.hasWork || this.#isStopped || this.#cancelRetry) return Promise.resolve();
    return new Promise((resolve) => {
      this.#restWaiters.push(resolve);
      this.wake();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelRetry?.();
    this.#resolveIdle();
    this.#resolveRest();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped && this.hasWork) {
      await this.#environment.yieldTurn();
      await new Promise<void>((resolve) => this.#cell.whenRingHasRoom(resolve));
      if (this.#isStopped || this.#cell.failure) break;
      const failure = await this.#step();
      if (failure) {
        this.#retryLater(failure);
        break;
      }
      this.#retryDelayMs = retryDelayMinMs;
    }
    this.#isRunning = false;
    if (!this.hasWork) this.#resolveIdle();
    this.#resolveRest();
  }

  async #step(): Promise<StoreError | null> {
    const { residency } = this.#cell;
    const record = await this.#nextRecord();
    if (!record || 'kind' in record) return record ?? null;
    // A checkpoint may need what the step dirties: it runs first if space is that short.
    if (this.#isStopped || this.#cell.failure) return null;
    const pages = record.op === 'freed' ? this.#cell.state.cleanQueuePages : 0;
    if (!this.#cell.space.admitsDelete(pages)) await this.#cell.tryCheckpoint();
    return new Promise<StoreError | null>((resolve) => {
      residency.ensure(record, (failure) => {
        // In this very turn: a checkpoint in between moves entries to pages that are not resident.
        if (!failure && !this.#isStopped && !this.#cell.failure) this.#cell.record([record]);
        resolve(failure);
      });
    });
  }

  /** The next step: a record, a failure to find it, or nothing. */
  async #nextRecord(): Promise<JournalRecord | StoreError | undefined> {
    const { state, residency } = this.#cell;
    const [node] = state.walking;
    if (!node) {
      const step = state.queue.nextStep(entriesPerStep);
      return step && { op: 'freed', ...step };
    }
    let cursor = walkEnd;
    const failure = await new Promise<StoreError | null>((resolve) => {
      residency.ensureFound((): MissingPage | undefined => {
        const next = state.walk.nextCursor(node);
        if (typeof next !== 'number') return next;
        cursor = next;
        return undefined;
      }, resolve);
    });
    return failure ?? { op: 'walk', node: node.id, cursor };
  }

  #retryLater(failure: StoreError): void {
    this.failures++;
    this.#environment.log('warn', 'freeing blocks failed and will be tried again', {
      cell: this.#cell.state.cell,
      reason: failure.message,
      delayMs: this.#retryDelayMs,
    });
    this.#cancelRetry = this.#environment.after(this.#retryDelayMs, () => {
      this.#cancelRetry = undefined;
      this.wake();
    });
    this.#retryDelayMs = Math.min(retryDelayMaxMs, this.#retryDelayMs * 2);
  }

  #resolveIdle(): void {
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  #resolveRest(): void {
    for (const resolve of this.#restWaiters.splice(0)) resolve();
  }
}
