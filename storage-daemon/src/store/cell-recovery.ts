/**
 * Opens a cell (2.7): newest root, load, replay, and then, once all cells have replayed, a fence block or a
 * checkpoint, so that no block of a dead incarnation can ever continue the chain (J1, J2).
 */
import type { GroupOwners } from '../allocator/group-owners.ts';
import { IoTracker } from '../allocator/io-tracker.ts';
import { decodeCellRoot, encodeCellRoot, rootCopies, type CellRoot } from '../format/cell-root.ts';
import { CorruptionError } from '../format/corruption-error.ts';
import { journalSeed, sealJournalBlock } from '../format/journal-block.ts';
import { decodeJournalRecords, type JournalRecord } from '../format/journal-record.ts';
import { cellRootBlock, journalBlockOf, leafBlocks, spanBlocks } from '../format/pool-layout.ts';
import type { Superblock } from '../format/superblock.ts';
import { fenceSlots, type JournalPosition } from '../journal/journal-writer.ts';
import {
  decodeRingPart,
  scanJournal,
  type JournalScan,
  type RingBlocks,
} from '../journal/journal-scan.ts';
import type { ReadPage } from '../map/map-pages.ts';
import { blockSizeBytes } from '../units.ts';
import { Cell } from './cell.ts';
import { Checkpointer } from './checkpoint/checkpointer.ts';
import { loadCell, type LoadedCell } from './cell-loader.ts';
import type { CellState } from './cell-state.ts';
import { forEachConcurrently } from './checkpoint/for-each-concurrently.ts';
import { createPageReader, createRunReader } from './checkpoint/page-reads.ts';
import { mapPagesOfCell } from './map-budget.ts';
import { ioFailure, type PoolDevices } from './pool-devices.ts';
import { RecordResidency, mappedRange } from './record-residency.ts';
import type { OpenOptions } from './store-api.ts';
import type { StoreEnvironment } from './store-environment.ts';
import { StoreError } from './store-error.ts';

/** Blocks of one read of the ring. */
const ringReadBlocks = 256;
/** Reads of it at once: as fast as a drive, and 4 MiB of memory. */
const ringReadsMax = 4;

/** Which cell of which pool. */
export interface RecoveryOptions {
  readonly cell: number;
  readonly superblock: Superblock;
  readonly open: OpenOptions;
}

/** What recovery works with. */
export interface RecoveryDependencies {
  readonly devices: PoolDevices;
  readonly owners: GroupOwners;
  readonly environment: StoreEnvironment;
}

/** A cell that has replayed its journal and does not serve yet. */
export class RecoveredCell {
  readonly #options: RecoveryOptions;
  readonly #dependencies: RecoveryDependencies;
  readonly #tracker: IoTracker;
  readonly #readPage: ReadPage;
  readonly #loaded: LoadedCell;
  readonly #root: CellRoot;
  readonly #scan: JournalScan;
  /** Copies of the root that a crash left old or torn. */
  readonly #lostCopies: readonly number[];

  private constructor(
    options: RecoveryOptions,
    dependencies: RecoveryDependencies,
    found: {
      tracker: IoTracker;
      readPage: ReadPage;
      loaded: LoadedCell;
      root: CellRoot;
      scan: JournalScan;
      lostCopies: readonly number[];
    },
  ) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#tracker = found.tracker;
    this.#readPage = found.readPage;
    this.#loaded = found.loaded;
    this.#root = found.root;
    this.#scan = found.scan;
    this.#lostCopies = found.lostCopies;
  }

  /** Loads and replays. @throws StoreError `data-loss` or `unavailable` */
  static async recover(
    options: RecoveryOptions,
    dependencies: RecoveryDependencies,
  ): Promise<RecoveredCell> {
    const { cell, superblock } = options;
    const { devices, owners } = dependencies;
    const tracker = new IoTracker();
    const readPage = createPageReader(cell, { devices, tracker });
    const copies = await readRoots(options, devices);
    const root = newestRoot(copies, cell);
    const ring = await readRing(options, devices);
    const seed = journalSeed(superblock.poolUuid, cell);
    const found = scanJournal(ring, { cell, seed, start: root.journalStart });
    // J3: roots are ordered by their own number; openings are another.
    if (found.rootGeneration > root.rootGeneration) {
      throw new StoreError(
        'data-loss',
        `Opening cell ${cell} failed: its newest readable root is ${root.rootGeneration}, ` +
          `the journal has seen ${found.rootGeneration}`,
      );
    }
    const openGeneration = Math.max(
      found.openGeneration,
      ...copies.map((copy) => copy.root.openGeneration),
    ); // J1
    const newest = copies.filter((copy) => copy.root.rootGeneration === root.rootGeneration);
    const lostCopies = [...Array(rootCopies).keys()].filter((copyNumber) =>
      newest.every((copy) => copy.copyNumber !== copyNumber),
    );
    const scan = { ...found, openGeneration };
    const mapPagesMax = mapPagesOfCell(superblock, options.open.mapMemoryBytes);
    const { geometry } = superblock;
    const readPages = createRunReader(
      { cell, groupBlocks: geometry.groupBlocks },
      { devices, tracker },
    );
    const loaded = await loadCell(
      root,
      { cell, geometry, mapPagesMax },
      { owners, tracker, readPage, readPages },
    );
    await replay(loaded, scan, readPage);
    return new RecoveredCell(options, dependencies, {
      tracker,
      readPage,
      loaded,
      root,
      scan,
      lostCopies,
    });
  }

  /** Why the cell must not be written; undefined if it may. */
  get hole(): string | undefined {
    return this.#scan.hole;
  }

  /** Writes the fence, or a checkpoint if the ring is nearly full, and opens the cell for changes. */
  async serve(): Promise<Cell> {
    await this.#repairRoot();
    const { ringBlocks } = this.#options.superblock.geometry;
    const used = this.#scan.chain.length;
    if (ringBlocks - used < fenceSlots + 1) return this.#open(await this.#checkpoint());
    return this.#open({ position: await this.#writeFence(), recordAtCut: 0 });
  }

  /** The cell as it is, for looking: nothing was written, and nothing can be. */
  serveReadOnly(reason: string): Cell {
    const cell = this.#open({ position: this.#position(this.#end), recordAtCut: 0 });
    cell.failAll(reason, undefined);
    return cell;
  }

  get #openGeneration(): number {
    return this.#scan.openGeneration + 1;
  }

  /** Where the chain ends. */
  get #end(): { nextSequence: number; prevCrc: number } {
    const { journalStart } = this.#root;
    const last = this.#scan.chain.at(-1);
    return {
      nextSequence: journalStart.sequence + this.#scan.chain.length,
      prevCrc: last?.crc ?? journalStart.prevCrc,
    };
  }

  #position(end: { nextSequence: number; prevCrc: number }): JournalPosition {
    return {
      ...end,
      start: this.#root.journalStart,
      rootGeneration: this.#root.rootGeneration,
      lastRecord: this.#loaded.state.recordNumber,
    };
  }

  #open(from: { position: JournalPosition; recordAtCut: number }): Cell {
    const { superblock, open } = this.#options;
    const { poolUuid, geometry } = superblock;
    return new Cell(
      { ...from, poolUuid, geometry, open, openGeneration: this.#openGeneration },
      {
        ...this.#dependencies,
        ...this.#loaded,
        tracker: this.#tracker,
        readPage: this.#readPage,
      },
    );
  }

  /** A root of which one copy is left is one bad block away from being none. */
  async #repairRoot(): Promise<void> {
    for (const copyNumber of this.#lostCopies) {
      const page = new Uint8Array(blockSizeBytes);
      encodeCellRoot(this.#root, copyNumber, page);
      const { cell, rootGeneration } = this.#root;
      const block = cellRootBlock(cell, rootGeneration, copyNumber);
      await this.#writeFixed(`Writing copy ${copyNumber} of the root of cell ${cell}`, block, page);
    }
  }

  #writeFixed(action: string, block: number, page: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#dependencies.devices.writeFixed(block, page, (error) => {
        if (error) reject(ioFailure(action, error));
        else resolve();
      });
    });
  }

  /** The fence carries no record; it is durable before any other block is written (J1). */
  async #writeFence(): Promise<JournalPosition> {
    const { cell, superblock } = this.#options;
    const { poolUuid, geometry } = superblock;
    const { nextSequence, prevCrc } = this.#end;
    const page = new Uint8Array(blockSizeBytes);
    const crc = sealJournalBlock(
      {
        cell,
        slotCount: 0,
        sequence: nextSequence,
        durableSequence: nextSequence - 1,
        prevCrc,
        openGeneration: this.#openGeneration,
        rootGeneration: this.#root.rootGeneration,
      },
      page,
      journalSeed(poolUuid, cell),
    );
    const block = journalBlockOf(geometry, cell, nextSequence % geometry.ringBlocks);
    await this.#writeFixed(`Writing the fence of cell ${cell}`, block, page);
    return this.#position({ nextSequence: nextSequence + 1, prevCrc: crc });
  }

  async #checkpoint(): Promise<{ position: JournalPosition; recordAtCut: number }> {
    const { superblock } = this.#options;
    const { ringBlocks } = superblock.geometry;
    const end = this.#end;
    const { devices } = this.#dependencies;
    const checkpointer = new Checkpointer(
      { poolUuid: superblock.poolUuid, rootGeneration: this.#root.rootGeneration },
      { ...this.#loaded, devices },
    );
    const start = {
      slot: end.nextSequence % ringBlocks,
      sequence: end.nextSequence,
      prevCrc: end.prevCrc,
    };
    const root = await checkpointer.run({ openGeneration: this.#openGeneration, start });
    const { state } = this.#loaded;
    state.allocator.releaseQuarantine({
      durableRecord: state.recordNumber,
      durableCheckpoint: root.checkpoint,
    });
    state.releaseGroups(root.checkpoint);
    state.pages.release(root.frames);
    const position = { ...this.#position(end), start, rootGeneration: root.generation };
    return { position, recordAtCut: state.recordNumber };
  }
}

/** A copy that was read. */
interface RootCopy {
  readonly root: CellRoot;
  readonly copyNumber: number;
}

/** All valid copies of roots. */
async function readRoots(options: RecoveryOptions, devices: PoolDevices): Promise<RootCopy[]> {
  const { cell, superblock } = options;
  const copies: RootCopy[] = [];
  for (let generation = 0; generation < 2; generation++) {
    let failure: StoreError | undefined;
    const valid: RootCopy[] = [];
    for (let copyNumber = 0; copyNumber < rootCopies; copyNumber++) {
      const page = new Uint8Array(blockSizeBytes);
      const block = cellRootBlock(cell, generation, copyNumber);
      const error = await readFixed(devices, block, page);
      failure ??= error;
      if (error) continue;
      const expected = { cell, copyNumber, poolUuid: superblock.poolUuid };
      const root = tryDecodeRoot(page, expected);
      if (root) valid.push({ root, copyNumber });
    }
    // What cannot be read may be the newest: an error is not the same as an older root.
    if (failure && valid.length === 0) throw failure;
    copies.push(...valid);
  }
  return copies;
}

function tryDecodeRoot(
  page: Uint8Array,
  expected: Parameters<typeof decodeCellRoot>[1],
): CellRoot | undefined {
  try {
    return decodeCellRoot(page, expected);
  } catch (error) {
    if (error instanceof CorruptionError) return undefined;
    throw error;
  }
}

function newestRoot(copies: readonly RootCopy[], cell: number): CellRoot {
  const [newest] = copies.toSorted((a, b) => b.root.rootGeneration - a.root.rootGeneration);
  if (newest) return newest.root;
  throw new StoreError('data-loss', `Opening cell ${cell} failed: no copy of its root is valid`);
}

function readFixed(
  devices: PoolDevices,
  block: number,
  target: Uint8Array,
): Promise<StoreError | undefined> {
  return new Promise((resolve) => {
    devices.readFixed(block, target, (error) =>
      resolve(error ? ioFailure(`Reading block ${block}`, error) : undefined),
    );
  });
}

/** Reads a ring piece by piece, some at once: it can have 64 MiB, and mostly little of it is in use. */
async function readRing(
  { cell, superblock }: RecoveryOptions,
  devices: PoolDevices,
): Promise<RingBlocks> {
  const { geometry, poolUuid } = superblock;
  const { ringBlocks } = geometry;
  const seed = journalSeed(poolUuid, cell);
  const pieces = Array.from({ length: Math.ceil(ringBlocks / ringReadBlocks) }, (_, index) => ({
    slot: index * ringReadBlocks,
    count: Math.min(ringReadBlocks, ringBlocks - index * ringReadBlocks),
  }));
  const blocks: RingBlocks[] = [];
  const buffers: Uint8Array[] = [];
  await forEachConcurrently(
    pieces,
    async ({ slot, count }, index) => {
      const buffer = buffers.pop() ?? new Uint8Array(ringReadBlocks * blockSizeBytes);
      const target = buffer.subarray(0, count * blockSizeBytes);
      const failure = await readFixed(devices, journalBlockOf(geometry, cell, slot), target);
      if (failure) throw failure;
      blocks[index] = decodeRingPart(target, { cell, seed });
      buffers.push(buffer);
    },
    ringReadsMax,
  );
  return blocks.flat();
}

/** Applies whole blocks, in order (J12). */
async function replay(loaded: LoadedCell, scan: JournalScan, readPage: ReadPage): Promise<void> {
  const { state } = loaded;
  const residency = new RecordResidency({ state, readPage });
  const blocks = scan.chain.map((block) => decodeRecords(block.slots, block.sequence));
  await prefetch(state, blocks.flat(), residency);
  for (const records of blocks) {
    for (const record of records) {
      for (let wait = residency.ensured(record); wait; wait = residency.ensured(record)) await wait;
      state.apply(record);
      // Every record that is replayed is durable: what it freed may be used by the next one, as it was.
      state.allocator.releaseQuarantine({
        durableRecord: state.recordNumber,
        durableCheckpoint: 0,
      });
    }
  }
  for (const node of state.nodes.values()) {
    node.formerBounds = [];
  }
}

/** Reads the leaves that records will change, many at once: replay itself meets them one by one. */
async function prefetch(
  state: CellState,
  records: readonly JournalRecord[],
  residency: RecordResidency,
): Promise<void> {
  const perLeaf = leafBlocks(state.geometry);
  const wanted = new Map<string, JournalRecord>();
  for (const record of records) {
    const blocks = mappedRange(record);
    if (!blocks || !state.nodes.has(blocks.node)) continue;
    wanted.set(`${blocks.node}:${Math.floor(blocks.lbn / perLeaf)}`, record);
  }
  await forEachConcurrently([...wanted.values()], async (record) => {
    // A node id may be another node's by the time of the record: then there is nothing to gain here.
    if (isInside(state, record)) await residency.ensured(record);
  });
}

function isInside(state: CellState, record: JournalRecord): boolean {
  const blocks = mappedRange(record);
  const node = blocks && state.nodes.get(blocks.node);
  // The map of a dying node names pages that are gone: its id is another node's by the time of the record.
  if (!node || node.isWalking) return false;
  return blocks.lbn + blocks.count <= spanBlocks(state.geometry, node.level);
}

function decodeRecords(slots: Uint8Array, sequence: number) {
  try {
    return decodeJournalRecords(slots);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    const message = `Replaying journal block ${sequence} failed: ${error.message}`;
    throw new StoreError('data-loss', message, { cause: error });
  }
}
