/**
 * The journal of an open cell: collects records into blocks, writes blocks in groups, and says what is durable.
 *
 * Group commit (2.5 FLUSH): a group is cut, then the device is flushed if it has a volatile cache (R1: the data of
 * all records in it is durable before them), then its blocks are written with FUA. Up to four groups are under way; a
 * request joins only a group whose flush was not submitted yet (J7). Blocks become durable in order of their sequence
 * numbers.
 */
import { assert } from '@varve/common/assert';

import type { JournalStart } from '../format/cell-root.ts';
import {
  journalSlotBytes,
  journalSlots,
  journalSlotsPerBlock,
  sealJournalBlock,
} from '../format/journal-block.ts';
import { encodeJournalRecord, type JournalRecord } from '../format/journal-record.ts';
import { blockSizeBytes } from '../units.ts';

/** Ring slots that only fences use (J2). */
export const fenceSlots = 2;
/** Groups under way at once: more do not help a device, and each is a gap to search in recovery. */
const groupsMax = 4;

/** What the journal writes to. */
export interface JournalDevice {
  readonly hasVolatileCache: boolean;
  /** Durable at completion. */
  writeBlock(slot: number, page: Uint8Array, done: (error: Error | null) => void): void;
  flush(done: (error: Error | null) => void): void;
}

/** Fixed properties of a journal. */
export interface JournalOptions {
  readonly cell: number;
  readonly ringBlocks: number;
  /** Binds blocks to pool and cell (J4). */
  readonly seed: number;
  readonly openGeneration: number;
}

/** Where writing goes on. */
export interface JournalPosition {
  readonly start: JournalStart;
  readonly nextSequence: number;
  readonly prevCrc: number;
  readonly rootGeneration: number;
  /** Number of the last record; all up to it are durable. */
  readonly lastRecord: number;
}

/** Told about progress and about the end. */
export interface JournalListener {
  onDurable(): void;
  /** A write or flush failed: nothing later becomes durable. */
  onFailure(error: Error): void;
}

interface Block {
  readonly sequence: number;
  readonly page: Uint8Array;
  readonly lastRecord: number;
  state: 'sealed' | 'ready' | 'writing' | 'written';
}

interface Group {
  readonly waiters: (() => void)[];
  targetRecord: number;
  isFlushed: boolean;
}

/** Writes records. */
export class JournalWriter {
  readonly #options: JournalOptions;
  readonly #device: JournalDevice;
  readonly #listener: JournalListener;
  #start: JournalStart;
  #nextSequence: number;
  #prevCrc: number;
  #rootGeneration: number;
  #lastRecord: number;
  #durableRecord: number;
  #durableSequence: number;
  #openPage: Uint8Array | undefined;
  #openSlots = 0;
  /** Blocks that are not durable, in order. */
  #blocks: Block[] = [];
  readonly #busySlots = new Set<number>();
  #forming: Group | undefined;
  #groups: Group[] = [];
  #isStopped = false;
  blocksWritten = 0;
  recordsWritten = 0;

  constructor(
    options: JournalOptions & { position: JournalPosition },
    dependencies: { device: JournalDevice; listener: JournalListener },
  ) {
    const { position } = options;
    this.#options = options;
    this.#device = dependencies.device;
    this.#listener = dependencies.listener;
    this.#start = position.start;
    this.#nextSequence = position.nextSequence;
    this.#prevCrc = position.prevCrc;
    this.#rootGeneration = position.rootGeneration;
    this.#lastRecord = position.lastRecord;
    this.#durableRecord = position.lastRecord;
    this.#durableSequence = position.nextSequence - 1;
  }

  /** All records up to this number survive a crash. */
  get durableRecord(): number {
    return this.#durableRecord;
  }

  /** Number of the last record. */
  get lastRecord(): number {
    return this.#lastRecord;
  }

  /** Ring slots in use, of those that are not kept for fences. */
  get usedShare(): number {
    const open = this.#openPage ? 1 : 0;
    const used = this.#nextSequence + open - this.#start.sequence;
    return used / (this.#options.ringBlocks - fenceSlots);
  }

  /** Adds records that apply all or none: they share a block (J12). */
  append(records: readonly JournalRecord[]): void {
    const encoded = records.map((record) => encodeJournalRecord(record));
    const slotCount = encoded.reduce((sum, bytes) => sum + bytes.length / journalSlotBytes, 0);
    assert(slotCount <= journalSlotsPerBlock, `a set of ${slotCount} slots`);
    if (this.#openSlots + slotCount > journalSlotsPerBlock) this.#seal();
    this.#openPage ??= new Uint8Array(blockSizeBytes);
    const slots = journalSlots(this.#openPage);
    for (const bytes of encoded) {
      slots.set(bytes, this.#openSlots * journalSlotBytes);
      this.#openSlots += bytes.length / journalSlotBytes;
    }
    this.#lastRecord += records.length;
    this.recordsWritten += records.length;
  }

  /** Calls `done` when all records so far, and all data that was written before this call, are durable. */
  commit(done: () => void): void {
    if (this.#isStopped) return;
    this.#forming ??= { waiters: [], targetRecord: 0, isFlushed: false };
    this.#forming.waiters.push(done);
    this.#startGroups();
  }

  /** Closes the current block: a checkpoint's journal begins with the next one (J8). */
  cut(): JournalStart {
    if (this.#openPage) this.#seal();
    return {
      slot: this.#nextSequence % this.#options.ringBlocks,
      sequence: this.#nextSequence,
      prevCrc: this.#prevCrc,
    };
  }

  /** A root is durable: so is everything up to its cut, and the ring is free up to its start. */
  rootDurable(root: { start: JournalStart; generation: number; cutRecord: number }): void {
    this.#start = root.start;
    this.#rootGeneration = root.generation;
    // Blocks before the start need no write any more; those under way keep their slot until they end (J6).
    this.#blocks = this.#blocks.filter(({ sequence }) => sequence >= root.start.sequence);
    this.#durableSequence = Math.max(this.#durableSequence, root.start.sequence - 1);
    this.#durableRecord = Math.max(this.#durableRecord, root.cutRecord);
    this.#advance();
    this.#pump();
  }

  /** Nothing is written any more, and nobody is called. */
  stop(): void {
    this.#isStopped = true;
  }

  #seal(): void {
    const page = this.#openPage ?? new Uint8Array(blockSizeBytes);
    const { cell, openGeneration, seed } = this.#options;
    const sequence = this.#nextSequence++;
    this.#prevCrc = sealJournalBlock(
      {
        cell,
        openGeneration,
        sequence,
        slotCount: this.#openSlots,
        durableSequence: this.#durableSequence,
        prevCrc: this.#prevCrc,
        rootGeneration: this.#rootGeneration,
      },
      page,
      seed,
    );
    this.#blocks.push({ sequence, page, lastRecord: this.#lastRecord, state: 'sealed' });
    this.#openPage = undefined;
    this.#openSlots = 0;
  }

  #startGroups(): void {
    while (this.#forming && this.#groups.length < groupsMax) {
      const group = this.#forming;
      this.#forming = undefined;
      this.#groups.push(group);
      this.#startGroup(group);
    }
  }

  #startGroup(group: Group): void {
    if (this.#openPage) this.#seal();
    group.targetRecord = this.#lastRecord;
    const blocks = this.#blocks.filter(({ state }) => state === 'sealed');
    const markReady = () => {
      group.isFlushed = true;
      for (const block of blocks) block.state = 'ready';
      this.#pump();
      this.#finishGroups();
    };
    for (const block of blocks) block.state = 'writing';
    if (this.#device.hasVolatileCache) this.#flush(markReady);
    else markReady();
  }

  #flush(done: () => void): void {
    this.#device.flush((error) => {
      if (this.#isStopped) return;
      if (error) this.#fail(error);
      else done();
    });
  }

  /** Writes the blocks that are ready and have a slot. */
  #pump(): void {
    const { ringBlocks } = this.#options;
    for (const block of this.#blocks) {
      const slot = block.sequence % ringBlocks;
      if (block.state !== 'ready') continue;
      if (block.sequence - this.#start.sequence >= ringBlocks - fenceSlots) return;
      if (this.#busySlots.has(slot)) continue; // J6
      this.#busySlots.add(slot);
      block.state = 'writing';
      this.blocksWritten++;
      this.#device.writeBlock(slot, block.page, (error) => {
        this.#busySlots.delete(slot);
        if (this.#isStopped) return;
        if (error) {
          this.#fail(error);
          return;
        }
        block.state = 'written';
        this.#advance();
        this.#pump();
      });
    }
  }

  /** Blocks become durable in order only: a later one is unreachable behind a gap. */
  #advance(): void {
    let isDurable = 0;
    for (const block of this.#blocks) {
      if (block.state !== 'written') break;
      this.#durableSequence = Math.max(this.#durableSequence, block.sequence);
      this.#durableRecord = Math.max(this.#durableRecord, block.lastRecord);
      isDurable++;
    }
    this.#blocks.splice(0, isDurable);
    this.#listener.onDurable();
    this.#finishGroups();
  }

  #finishGroups(): void {
    const isDone = (group: Group) => group.isFlushed && group.targetRecord <= this.#durableRecord;
    const finished = this.#groups.filter(isDone);
    if (finished.length === 0) return;
    this.#groups = this.#groups.filter((group) => !finished.includes(group));
    for (const group of finished) for (const waiter of group.waiters) waiter();
    this.#startGroups();
  }

  #fail(error: Error): void {
    this.#isStopped = true;
    this.#listener.onFailure(error);
  }
}
