/**
 * One open cell: applies and journals records, says when they are durable, starts checkpoints and background work.
 *
 * Everything here runs on one thread; between two callbacks the state is whole. Rules kept here: record order is
 * point in time (R5), the new bound of ownership holds for apply() at once and for writes in place when durable (R6,
 * in TreeNode), AG_GET is a record before the first use (R7).
 */
import { assert } from '@varve/common/assert';

import { IoTracker } from '../allocator/io-tracker.ts';
import type { GroupOwners } from '../allocator/group-owners.ts';
import { journalBlockOf } from '../format/pool-layout.ts';
import { journalSeed } from '../format/journal-block.ts';
import type { JournalRecord } from '../format/journal-record.ts';
import type { PoolGeometry } from '../format/superblock.ts';
import { JournalWriter, type JournalPosition } from '../journal/journal-writer.ts';
import type { ReadPage } from '../map/map-pages.ts';
import { BackgroundWork } from './background-work.ts';
import { CellSpace } from './cell-space.ts';
import { ClusterHealer } from './clusters/cluster-healer.ts';
import { SlackHarvest } from './clusters/slack-harvest.ts';
import type { CellState } from './cell-state.ts';
import { Checkpointer } from './checkpoint/checkpointer.ts';
import type { CellTables } from './checkpoint/checkpoint-image.ts';
import type { PoolDevices } from './pool-devices.ts';
import { ioFailure } from './pool-devices.ts';
import { GroupExchange } from './space/group-exchange.ts';
import { RecordResidency } from './record-residency.ts';
import type { OpenOptions } from './store-api.ts';
import type { CancelTimer, StoreEnvironment } from './store-environment.ts';
import { StoreError } from './store-error.ts';
import type { TreeNode } from './tree-node.ts';

/** Share of the ring at which a checkpoint starts, and at which users' changes wait for it. */
const checkpointRingShare = 0.75;
const waitRingShare = 0.9;
/** Dirty map pages at which a checkpoint starts: bounds how long its cut takes. */
const dirtyFramesMax = 4096;
/** They may take this share of the memory of maps, */
const dirtyShareMax = 0.25;
/** but so many always: a checkpoint for fewer costs more than it brings. */
const dirtyFramesMin = 64;
const defaultJournalTimerMs = 100;
const defaultCheckpointIntervalMs = 30_000;
const defaultCheckpointRecords = 500_000;
/** Share of the room in use up to which holes get whole clusters: beyond it slack would be given up soon. */
const defaultNaturalShareMax = 0.8;

/** Fixed properties of an open cell. */
export interface CellOpenOptions {
  readonly poolUuid: Uint8Array;
  readonly geometry: PoolGeometry;
  readonly open: OpenOptions;
  readonly openGeneration: number;
  readonly position: JournalPosition;
  /** Number of the last record that the durable root holds. */
  readonly recordAtCut: number;
}

/** What a cell works with. */
export interface CellDependencies {
  readonly state: CellState;
  readonly tables: CellTables;
  readonly devices: PoolDevices;
  readonly environment: StoreEnvironment;
  readonly owners: GroupOwners;
  readonly tracker: IoTracker;
  readonly readPage: ReadPage;
}

/** Called once: null, or why it was not done. */
type Completion = (error: StoreError | null) => void;

/** A cell that takes changes. */
export class Cell {
  readonly state: CellState;
  readonly space: CellSpace;
  readonly journal: JournalWriter;
  readonly checkpointer: Checkpointer;
  readonly residency: RecordResidency;
  readonly devices: PoolDevices;
  readonly background: BackgroundWork;
  readonly harvest: SlackHarvest;
  readonly healer: ClusterHealer;
  /** All I/O, for R11. */
  readonly tracker: IoTracker;
  /** Writes in place under way: a snapshot waits for those that began before it (R5). */
  readonly inPlaceTracker = new IoTracker();
  dataBlocksWritten = 0;
  dataBlocksRead = 0;
  readonly #options: CellOpenOptions;
  readonly #environment: StoreEnvironment;
  /** In a pool of several cells. */
  readonly #exchange: GroupExchange | undefined;
  #durableCheckpoint = 0;
  #failure: StoreError | undefined;
  #isStopped = false;
  #cancelJournalTimer: CancelTimer | undefined;
  #cancelCheckpointTimer: CancelTimer | undefined;
  #checkpointing: Promise<void> | undefined;
  #recordAtCut: number;
  /** Waiting for durability: failed together if the cell fails. */
  readonly #waiting = new Set<Completion>();
  #ringWaiters: (() => void)[] = [];

  constructor(options: CellOpenOptions, dependencies: CellDependencies) {
    const { state, devices, environment } = dependencies;
    this.#options = options;
    this.#environment = environment;
    this.state = state;
    this.devices = devices;
    this.tracker = dependencies.tracker;
    this.residency = new RecordResidency(dependencies);
    this.#recordAtCut = options.recordAtCut;
    const { poolUuid } = options;
    this.checkpointer = new Checkpointer(
      { poolUuid, rootGeneration: options.position.rootGeneration },
      dependencies,
    );
    this.journal = this.#createJournal();
    this.space = new CellSpace({
      ...dependencies,
      takeGroup: (group) => this.record([{ op: 'groupGet', group }]), // R7
      returnGroup: (group) => this.record([{ op: 'groupPut', group }]),
    });
    this.background = new BackgroundWork({ cell: this, environment });
    if (options.geometry.cellCount > 1) {
      const giveBack = () => this.#giveBackGroups();
      this.#exchange = new GroupExchange(state, { ...dependencies, giveBack });
    }
    this.harvest = new SlackHarvest({ cell: this, environment });
    this.healer = new ClusterHealer(options.open.heal ?? {}, { cell: this, environment });
    this.#releaseQuarantine();
    this.#armCheckpointTimer();
  }

  /** Why the cell takes no changes; undefined while it does. */
  get failure(): StoreError | undefined {
    return this.#failure;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Applies records and appends them to the journal, all or none of them (J12). */
  record(records: readonly JournalRecord[]): void {
    assert(this.#failure === undefined, 'a failed cell takes no records');
    for (const record of records) this.state.apply(record);
    this.journal.append(records);
    this.#armJournalTimer();
    this.#considerCheckpoint();
    this.background.wake();
  }

  /** Calls `done` when all records so far, and all data written before this call, are durable. */
  commit(done: Completion): void {
    if (this.#failure) {
      this.fail(done, this.#failure);
      return;
    }
    this.#waiting.add(done);
    this.journal.commit(() => {
      if (this.#waiting.delete(done)) done(null);
    });
  }

  /** FLUSH of a node (2.5). */
  flush(node: TreeNode, done: Completion): void {
    if (this.#failure) {
      this.fail(done, this.#failure);
    } else if (node.lastRecord > this.journal.durableRecord) {
      this.commit(done);
    } else if (this.devices.hasVolatileCache) {
      this.devices.flush((error) => {
        if (!this.#isStopped) done(error && ioFailure('Flushing the devices', error));
      });
    } else queueMicrotask(() => done(null));
  }

  /** Writes a checkpoint of all records so far; resolves when its root is durable. */
  async checkpoint(): Promise<void> {
    while (this.#checkpointing) await this.#checkpointing;
    if (this.state.recordNumber > this.#recordAtCut) await this.#startCheckpoint();
    if (this.#failure) throw this.#failure;
  }

  /** As `checkpoint`, for those who look at `failure` afterwards; our own bugs are not swallowed. */
  async tryCheckpoint(): Promise<void> {
    try {
      await this.checkpoint();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }

  /** True while users' changes have to wait for a checkpoint. */
  get isRingFull(): boolean {
    return this.journal.usedShare >= waitRingShare && !this.#failure;
  }

  /** Calls `resume` when the ring has room for users' changes again: at once, usually. */
  whenRingHasRoom(resume: () => void): void {
    if (!this.isRingFull) resume();
    else {
      this.#ringWaiters.push(resume);
      this.#considerCheckpoint();
    }
  }

  /** Calls `done` with an error, never before the caller's call returns. */
  fail(done: Completion, error: StoreError): void {
    queueMicrotask(() => {
      if (!this.#isStopped) done(error);
    });
  }

  /**
   * Hurries what gives space back: gives slack up, commits, writes a checkpoint, asks other cells, lets background work
   * run. Never rejects.
   */
  async reclaimSpace(): Promise<void> {
    await this.harvest.run();
    await this.#releaseFreed();
    await this.#exchange?.request();
    await this.#environment.yieldTurn();
  }

  /** Times that this cell has asked others for groups. */
  get groupRequests(): number {
    return this.#exchange?.requests ?? 0;
  }

  /** True if `reclaimSpace` may help somebody who has tried it so many times. */
  mayReclaimSpace(attempts: number): boolean {
    const { quarantine, deallocation } = this.state.allocator;
    const isAwaited = quarantine.size > 0 || (deallocation?.inFlightBlocks ?? 0) > 0;
    const mayBeGiven = attempts === 0 && this.#exchange !== undefined;
    return isAwaited || this.background.hasWork || this.harvest.hasSlack || mayBeGiven;
  }

  /** Resolves when what was freed before may be used again. */
  async #releaseFreed(): Promise<void> {
    await new Promise<void>((resolve) => this.commit(() => resolve()));
    await this.tryCheckpoint();
    await this.state.allocator.deallocation?.idle();
  }

  /** Other cells need groups: gives back what is empty beyond the reserve. */
  async #giveBackGroups(): Promise<void> {
    if (!this.#isStopped && !this.#failure && this.background.hasWork) await this.background.rest();
    // The first checkpoint may be what empties groups: of the pages that it replaces.
    for (let round = 0; round < 2; round++) {
      if (this.#isStopped || this.#failure || !this.space.hasGroupToSpare) return;
      this.state.allocator.withdrawDeallocations();
      await this.#releaseFreed();
      if (this.#isStopped || this.#failure) return;
      if (this.space.returnGroups(true) > 0) await this.tryCheckpoint();
    }
  }

  /** True while a hole gets a whole cluster for its first block. */
  get hasRoomForClusters(): boolean {
    return this.space.usedShare < (this.#options.open.naturalShareMax ?? defaultNaturalShareMax);
  }

  countDataWrite(blocks: number): void {
    this.dataBlocksWritten += blocks;
  }

  countDataRead(blocks: number): void {
    this.dataBlocksRead += blocks;
  }

  /** Waits for durability of what was recorded, and for the writes in place of before (R5). */
  commitCut(done: Completion): void {
    const mark = this.inPlaceTracker.mark();
    const hadWrites = !this.inPlaceTracker.hasEnded(mark);
    this.commit((error) => {
      if (error) {
        done(error);
        return;
      }
      this.inPlaceTracker.whenEnded(mark, () => {
        if (!hadWrites || !this.devices.hasVolatileCache) done(null);
        else {
          this.devices.flush((flushError) => {
            if (!this.#isStopped) done(flushError && ioFailure('Flushing the devices', flushError));
          });
        }
      });
    });
  }

  /** An I/O has ended: blocks that waited for it may be used again. */
  endIo(generation: number): void {
    this.tracker.end(generation);
    if (this.state.allocator.quarantine.size > 0) this.#releaseQuarantine();
  }

  /** Takes no more changes: a write of the journal or of a checkpoint failed, or the devices lied. */
  failAll(reason: string, cause: unknown): void {
    if (this.#failure || this.#isStopped) return;
    this.#failure = new StoreError(
      'unavailable',
      `Changing cell ${this.state.cell} failed: ${reason}; the pool takes no changes until it is opened again`,
      { cause },
    );
    this.#environment.log('error', 'the cell takes no more changes', {
      cell: this.state.cell,
      reason,
    });
    this.journal.stop();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const done of waiting) this.fail(done, this.#failure);
    this.#wakeRingWaiters();
    this.background.stop();
    this.#exchange?.stop();
    this.healer.stop();
  }

  /** Ends timers and background work; nobody is called any more. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelJournalTimer?.();
    this.#cancelCheckpointTimer?.();
    this.journal.stop();
    this.background.stop();
    this.healer.stop();
    this.#exchange?.stop();
  }

  /** Begins what goes on by itself. */
  start(): void {
    this.background.wake();
    this.healer.start();
    this.#exchange?.start();
  }

  /** Ends it: what it would record behind a last checkpoint would have to be replayed. */
  stopBackground(): void {
    this.background.stop();
    this.healer.stop();
    this.#exchange?.stop();
  }

  #createJournal(): JournalWriter {
    const { poolUuid, geometry, openGeneration, position } = this.#options;
    const { cell } = this.state;
    const { devices } = this;
    return new JournalWriter(
      {
        cell,
        ringBlocks: geometry.ringBlocks,
        seed: journalSeed(poolUuid, cell),
        openGeneration,
        position,
      },
      {
        device: {
          hasVolatileCache: devices.hasVolatileCache,
          writeBlock: (slot, page, done) =>
            devices.writeFixed(journalBlockOf(geometry, cell, slot), page, done),
          flush: (done) => devices.flush(done),
        },
        listener: {
          onDurable: () => this.#releaseQuarantine(),
          onFailure: (error) => this.failAll(`writing the journal: ${error.message}`, error),
        },
      },
    );
  }

  #releaseQuarantine(): void {
    this.state.allocator.releaseQuarantine({
      durableRecord: this.journal.durableRecord,
      durableCheckpoint: this.#durableCheckpoint,
    });
    this.state.releaseGroups(this.#durableCheckpoint); // R7
  }

  #armJournalTimer(): void {
    if (this.#cancelJournalTimer) return;
    const delayMs = this.#options.open.journalTimerMs ?? defaultJournalTimerMs;
    this.#cancelJournalTimer = this.#environment.after(delayMs, () => {
      this.#cancelJournalTimer = undefined;
      if (this.#isStopped || this.#failure) return;
      if (this.journal.durableRecord < this.journal.lastRecord) this.journal.commit(() => {});
    });
  }

  #armCheckpointTimer(): void {
    const delayMs = this.#options.open.checkpointIntervalMs ?? defaultCheckpointIntervalMs;
    this.#cancelCheckpointTimer = this.#environment.after(delayMs, () => {
      if (this.#isStopped || this.#failure) return;
      if (this.state.recordNumber > this.#recordAtCut) void this.#startCheckpoint();
      this.#armCheckpointTimer();
    });
  }

  #considerCheckpoint(): void {
    if (this.#checkpointing || this.#failure || this.#isStopped) return;
    const { recordNumber, dirtyFrames, pages } = this.state;
    const recordsMax = this.#options.open.checkpointRecords ?? defaultCheckpointRecords;
    const shareMax = Math.max(dirtyFramesMin, pages.pagesMax * dirtyShareMax);
    const isDue =
      recordNumber - this.#recordAtCut >= recordsMax ||
      dirtyFrames.size > Math.min(dirtyFramesMax, shareMax, this.space.reserveBlocks / 2);
    // A ring may be full without any record: of the fences of many openings.
    const isRingShort = this.journal.usedShare >= checkpointRingShare;
    if (isRingShort || (isDue && recordNumber > this.#recordAtCut)) void this.#startCheckpoint();
  }

  /** Never rejects: a failed checkpoint fails the cell. */
  #startCheckpoint(): Promise<void> {
    this.#checkpointing ??= this.#runCheckpoint().finally(() => {
      this.#checkpointing = undefined;
      this.#wakeRingWaiters();
      this.#considerCheckpoint();
    });
    return this.#checkpointing;
  }

  async #runCheckpoint(): Promise<void> {
    // Not in the middle of a change that is being recorded.
    await Promise.resolve();
    if (this.#isStopped || this.#failure) return;
    try {
      this.space.returnGroups();
      this.space.prepareCheckpoint(); // J10
      const start = this.journal.cut(); // J8
      this.#recordAtCut = this.state.recordNumber;
      const root = await this.checkpointer.run({
        openGeneration: this.#options.openGeneration,
        start,
      });
      if (this.#isStopped || this.#failure) return;
      this.#durableCheckpoint = root.checkpoint;
      this.journal.rootDurable(root);
      this.#releaseQuarantine();
      // Not before: a leaf knows which record mapped its blocks, and FUA asks whether that is durable.
      this.state.pages.release(root.frames);
    } catch (error) {
      // A cut that broke off has left half of its state changed: nothing may build on it.
      this.failAll((error as Error).message, error);
      if (!(error instanceof StoreError)) throw error;
    }
  }

  #wakeRingWaiters(): void {
    const waiters = this.#ringWaiters;
    this.#ringWaiters = [];
    for (const resume of waiters) this.whenRingHasRoom(resume);
  }
}
