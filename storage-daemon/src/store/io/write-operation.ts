/**
 * One write to a head (2.5 WRITE).
 *
 * Own, mapped blocks are overwritten in place: no record, no lock. Blocks that are shared or unmapped go to fresh
 * ones: the cluster is locked, blocks are reserved (R10), the data is written, and on its completion the map changes
 * by SET records. Pieces whose cluster is locked by another write wait and decide anew. FUA: in place the device's
 * FUA, and a flush if the record that mapped the block is not durable; else a flush after the records.
 */
import type { BlockRun } from '../../allocator/group-bitmap.ts';
import { setBlocksMax, type JournalRecord } from '../../format/journal-record.ts';
import { extensionsMax } from '../../format/map-leaf.ts';
import { leafBlocks } from '../../format/pool-layout.ts';
import { blockSizeBytes, clusterSizeBlocks } from '../../units.ts';
import type { Cell } from '../cell.ts';
import { ioFailure } from '../pool-devices.ts';
import { StoreError } from '../store-error.ts';
import type { TreeNode } from '../tree-node.ts';

/** What to write and whom to tell. */
export interface WriteRequest {
  readonly node: TreeNode;
  readonly lbn: number;
  readonly source: Uint8Array;
  readonly fua: boolean;
  readonly done: (error: StoreError | null) => void;
}

interface Range {
  readonly from: number;
  readonly end: number;
}

interface PlacedBlock {
  readonly lbn: number;
  readonly pbn: number;
  readonly isNew: boolean;
}

interface Pass {
  readonly blocks: readonly PlacedBlock[];
  /** Last record on the maps of the blocks that are overwritten in place, when the write began. */
  readonly mappedBy: number;
  readonly lockedClusters: readonly number[];
  readonly promise: { keep: () => void } | undefined;
}

/** Times that a write waits for space that is about to be freed. */
const spaceAttemptsMax = 3;

/** A write under way. */
export class WriteOperation {
  readonly #cell: Cell;
  readonly #request: WriteRequest;
  /** Parts that have not ended: passes, and ranges that wait. */
  #openParts = 0;
  #failure: StoreError | null = null;
  #needsFlush = false;
  #spaceAttempts = 0;

  constructor(request: WriteRequest, dependencies: { cell: Cell }) {
    this.#request = request;
    this.#cell = dependencies.cell;
  }

  start(): void {
    const { lbn, source } = this.#request;
    this.#dispatch({ from: lbn, end: lbn + source.length / blockSizeBytes });
  }

  /** Takes up a range: loads its map, then decides. */
  #dispatch(range: Range): void {
    this.#openParts++;
    const { node } = this.#request;
    const { residency, state } = this.#cell;
    residency.ensureFound(
      () => state.residency.findMissing(node, range.from, range.end - range.from),
      (error) => {
        const failure = error ?? this.#cell.failure;
        if (failure) this.#endPart(failure);
        else this.#decide(range);
      },
    );
  }

  /** Splits the range into what goes now and what waits for a lock. */
  #decide(range: Range): void {
    const { node } = this.#request;
    const bound = node.inPlaceBound(this.#cell.journal.durableRecord);
    const inPlace: PlacedBlock[] = [];
    const redirected: Range[] = [];
    for (let from = range.from; from < range.end;) {
      const cluster = Math.floor(from / clusterSizeBlocks);
      const piece = { from, end: Math.min(range.end, (cluster + 1) * clusterSizeBlocks) };
      const own = this.#ownBlocks(piece, bound);
      if (own.length === piece.end - piece.from) inPlace.push(...own);
      else if (node.locks.isLocked(cluster)) this.#waitForCluster(cluster, piece);
      else redirected.push(piece);
      from = piece.end;
    }
    if (redirected.length === 0) this.#submit(this.#passInPlace(inPlace));
    else if (this.#cell.isRingFull) this.#awaitRing(redirected, inPlace);
    else this.#redirect(redirected, inPlace, bound);
  }

  /** Changes of the map wait for a checkpoint when the journal is nearly full. The caller's part ends. */
  #awaitRing(pieces: readonly Range[], inPlace: readonly PlacedBlock[]): void {
    this.#openParts++;
    this.#submit(this.#passInPlace(inPlace));
    this.#cell.whenRingHasRoom(() => {
      for (const piece of pieces) this.#dispatch(piece);
      this.#endPart(null);
    });
  }

  #ownBlocks(piece: Range, bound: number): PlacedBlock[] {
    const { node } = this.#request;
    const own: PlacedBlock[] = [];
    for (let lbn = piece.from; lbn < piece.end; lbn++) {
      const mapped = this.#cell.state.tree.lookup(node, lbn);
      if (mapped && mapped.birth > bound) own.push({ lbn, pbn: mapped.pbn, isNew: false });
    }
    return own;
  }

  #waitForCluster(cluster: number, piece: Range): void {
    this.#openParts++;
    this.#request.node.locks.wait(cluster, () => {
      this.#openParts--;
      this.#dispatch(piece);
    });
  }

  /** Reserves blocks for what is not own. The caller's part stays open. */
  #redirect(pieces: readonly Range[], inPlace: readonly PlacedBlock[], bound: number): void {
    const { node } = this.#request;
    const blocks = [...inPlace];
    const missing: number[] = [];
    for (const piece of pieces) {
      const own = this.#ownBlocks(piece, bound);
      blocks.push(...own);
      const ownLbns = new Set(own.map(({ lbn }) => lbn));
      for (let lbn = piece.from; lbn < piece.end; lbn++) if (!ownLbns.has(lbn)) missing.push(lbn);
    }
    const { state } = this.#cell;
    const mapPages = pagesDirtied(node, pieces, leafBlocks(state.geometry));
    const pages = mapPages + state.cleanListPages(node);
    const runs = this.#reserve(missing.length, pages);
    if (!runs) {
      this.#awaitSpace(pieces, inPlace);
      return;
    }
    let next = 0;
    for (const run of runs) {
      for (let pbn = run.pbn; pbn < run.pbn + run.count; pbn++) {
        blocks.push({ lbn: missing[next++]!, pbn, isNew: true });
      }
    }
    blocks.sort((a, b) => a.lbn - b.lbn);
    const lockedClusters = pieces.map(({ from }) => Math.floor(from / clusterSizeBlocks));
    for (const cluster of lockedClusters) node.locks.lock(cluster);
    const promise = this.#cell.space.promise(pages);
    this.#submit({ blocks, lockedClusters, promise, mappedBy: this.#mappedBy(inPlace) });
  }

  #passInPlace(blocks: readonly PlacedBlock[]): Pass {
    return { blocks, lockedClusters: [], promise: undefined, mappedBy: this.#mappedBy(blocks) };
  }

  #mappedBy(blocks: readonly PlacedBlock[]): number {
    const { tree } = this.#cell.state;
    let record = 0;
    for (const { lbn } of this.#request.fua ? blocks : []) {
      record = Math.max(record, tree.leafOf(this.#request.node, lbn)?.lastRecord ?? 0);
    }
    return record;
  }

  #reserve(blockCount: number, pages: number): BlockRun[] | undefined {
    if (!this.#cell.space.admits(blockCount, pages)) return undefined;
    return this.#cell.state.allocator.reserveData(blockCount);
  }

  /** Blocks that were freed may be on their way back: then it is worth waiting, a few times. */
  #awaitSpace(pieces: readonly Range[], inPlace: readonly PlacedBlock[]): void {
    this.#openParts++;
    this.#submit(this.#passInPlace(inPlace));
    const { state, background } = this.#cell;
    const isHopeless =
      this.#spaceAttempts >= spaceAttemptsMax ||
      (state.allocator.quarantine.size === 0 && !background.hasWork);
    if (isHopeless) {
      this.#endPart(
        new StoreError(
          'insufficient-space',
          `Writing to volume ${this.#request.node.name} failed: the pool is full`,
        ),
      );
      return;
    }
    this.#spaceAttempts++;
    const retry = async () => {
      await this.#cell.reclaimSpace();
      for (const piece of pieces) this.#dispatch(piece);
      this.#endPart(null);
    };
    void retry();
  }

  /** Writes a pass; the caller's part ends with it. */
  #submit(pass: Pass): void {
    const runs = joinRuns(pass.blocks);
    if (runs.length === 0) {
      this.#endPart(null);
      return;
    }
    const { lbn: firstLbn, source, fua } = this.#request;
    let left = runs.length;
    let failure: StoreError | null = null;
    for (const run of runs) {
      const start = (run.lbn - firstLbn) * blockSizeBytes;
      const bytes = source.subarray(start, start + run.count * blockSizeBytes);
      const generation = this.#cell.tracker.begin();
      const inPlaceGeneration = run.isNew ? undefined : this.#cell.inPlaceTracker.begin();
      this.#cell.countDataWrite(run.count);
      this.#cell.devices.write(run.pbn, bytes, fua && !run.isNew, (error) => {
        if (inPlaceGeneration !== undefined) this.#cell.inPlaceTracker.end(inPlaceGeneration);
        this.#cell.endIo(generation);
        if (error) failure ??= ioFailure(`Writing to volume ${this.#request.node.name}`, error);
        if (--left === 0) this.#finishPass(pass, failure);
      });
    }
  }

  /** The data has arrived. The map may have left memory meanwhile: it is loaded again before it changes. */
  #finishPass(pass: Pass, failure: StoreError | null): void {
    const error = failure ?? this.#cell.failure ?? null;
    const fresh = pass.blocks.filter(({ isNew }) => isNew);
    const [first, last] = [fresh[0], fresh.at(-1)];
    if (error || !first || !last) {
      this.#endPass(pass, error);
      return;
    }
    const { residency, state } = this.#cell;
    const { node } = this.#request;
    residency.ensureFound(
      () => state.residency.findMissing(node, first.lbn, last.lbn + 1 - first.lbn),
      (missing) => this.#endPass(pass, missing ?? this.#cell.failure ?? null),
    );
  }

  #endPass(pass: Pass, error: StoreError | null): void {
    const { node, fua } = this.#request;
    if (error) this.#release(pass);
    else {
      this.#map(pass);
      // A crash must not lose the mapping of what FUA has written.
      const isNew = pass.lockedClusters.length > 0;
      if (fua && (isNew || pass.mappedBy > this.#cell.journal.durableRecord))
        this.#needsFlush = true;
    }
    pass.promise?.keep();
    for (const cluster of pass.lockedClusters) node.locks.unlock(cluster);
    this.#endPart(error);
  }

  #map(pass: Pass): void {
    const { id } = this.#request.node;
    for (const { lbn, pbn, count, isNew } of joinRuns(pass.blocks)) {
      if (!isNew) continue;
      for (let done = 0; done < count; done += setBlocksMax) {
        const record: JournalRecord = {
          op: 'set',
          node: id,
          lbn: lbn + done,
          pbn: pbn + done,
          count: Math.min(setBlocksMax, count - done),
        };
        this.#cell.record([record]);
      }
    }
  }

  #release(pass: Pass): void {
    for (const { pbn, count, isNew } of joinRuns(pass.blocks)) {
      if (isNew) this.#cell.state.allocator.releaseReservation({ pbn, count });
    }
  }

  #endPart(error: StoreError | null): void {
    this.#failure ??= error;
    if (--this.#openParts > 0) return;
    const { node, done } = this.#request;
    if (this.#failure) this.#cell.fail(done, this.#failure);
    else if (this.#needsFlush) this.#cell.flush(node, done);
    else done(null);
  }
}

/** Neighbours in lbn and pbn, of one kind, become one run. */
function joinRuns(
  blocks: readonly PlacedBlock[],
): { lbn: number; pbn: number; count: number; isNew: boolean }[] {
  const runs: { lbn: number; pbn: number; count: number; isNew: boolean }[] = [];
  for (const { lbn, pbn, isNew } of blocks) {
    const last = runs.at(-1);
    const continues =
      last?.isNew === isNew && last.lbn + last.count === lbn && last.pbn + last.count === pbn;
    if (last && continues) last.count++;
    else runs.push({ lbn, pbn, count: 1, isNew });
  }
  return runs;
}

/**
 * The most map pages that mapping these pieces dirties: their leaves, tables and extension pages, if no two leaves
 * share any.
 */
function pagesDirtied(node: TreeNode, pieces: readonly Range[], perLeaf: number): number {
  const leaves = new Set(pieces.map(({ from }) => Math.floor(from / perLeaf)));
  return leaves.size * (node.level + 1) + Math.min(pieces.length, leaves.size * extensionsMax);
}
