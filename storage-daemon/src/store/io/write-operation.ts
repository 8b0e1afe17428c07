/**
 * One write to a head (2.5 WRITE).
 *
 * Own, mapped blocks are overwritten in place: no record, no lock. For the rest the cluster is locked, room is found
 * (`write-placement.ts`: slack of an own natural cluster, fresh clusters or blocks, R10), the data is written, and on
 * its completion records change the map. Pieces whose cluster is locked by another change wait and decide anew. FUA is
 * the device's FUA in place. Where the map must be kept (`kept-map.ts`), a flush follows: after the records, or if the
 * one that mapped a block that is overwritten in place is not durable.
 */
import { blockSizeBytes, clusterSizeBlocks } from '../../units.ts';
import type { Cell } from '../cell.ts';
import { deviceWriteBlocksMax } from './direct-io.ts';
import { lastRecordOn } from './kept-map.ts';
import { ioFailure } from '../pool-devices.ts';
import { StoreError } from '../store-error.ts';
import type { TreeNode } from '../tree-node.ts';
import {
  classifyPiece,
  isOwnCluster,
  placePieces,
  type Piece,
  type Placement,
  type Segment,
} from './write-placement.ts';

/** What to write and whom to tell. */
export interface WriteRequest {
  readonly node: TreeNode;
  readonly lbn: number;
  readonly source: Uint8Array;
  readonly fua: boolean;
  /** See `keepsMap`. */
  readonly keepsMap: boolean;
  readonly done: (error: StoreError | null) => void;
}

/** Segments that are written together, and what follows. */
interface Pass {
  readonly segments: readonly Segment[];
  /** Last record on the maps of the blocks that are overwritten in place, when the write began. */
  readonly mappedBy: number;
  readonly change: PlacedChange | undefined;
}

/** A change of the map under way. */
interface PlacedChange extends Placement {
  readonly lockedClusters: readonly number[];
  readonly promise: { keep: () => void };
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
  #dispatch(range: Piece): void {
    this.#openParts++;
    const { node } = this.#request;
    const { residency, state } = this.#cell;
    residency.ensureFound(
      () => state.residency.findMissing(node, range.from, range.end - range.from, 'look'),
      (error) => {
        const failure = error ?? this.#cell.failure;
        if (failure) this.#endPart(failure);
        else this.#decide(range);
      },
    );
  }

  /** Splits the range into what goes now and what waits for a lock. */
  #decide(range: Piece): void {
    const { node } = this.#request;
    const { locks } = node;
    const context = this.#context();
    const inPlace: Segment[] = [];
    const changes: Piece[] = [];
    for (let from = range.from; from < range.end;) {
      const cluster = Math.floor(from / clusterSizeBlocks);
      const piece = { from, end: Math.min(range.end, (cluster + 1) * clusterSizeBlocks) };
      const isWaiting = locks.isHeld(cluster);
      const kind = isWaiting ? undefined : classifyPiece(context, piece, inPlace);
      if (isWaiting || (kind !== 'in place' && locks.isLocked(cluster))) {
        this.#waitForCluster(cluster, piece);
      } else if (kind !== 'in place') changes.push(piece);
      from = piece.end;
    }
    if (changes.length === 0) this.#submit(this.#passInPlace(inPlace));
    else if (this.#cell.isRingFull) this.#awaitRing(changes, inPlace);
    else this.#change(changes, inPlace);
  }

  #context() {
    const { node } = this.#request;
    const bound = node.inPlaceBound(this.#cell.journal.durableRecord);
    return { cell: this.#cell, node, bound };
  }

  /** Changes of the map wait for a checkpoint when the journal is nearly full. The caller's part ends. */
  #awaitRing(pieces: readonly Piece[], inPlace: readonly Segment[]): void {
    this.#openParts++;
    this.#submit(this.#passInPlace(inPlace));
    this.#cell.whenRingHasRoom(() => {
      for (const piece of pieces) this.#dispatch(piece);
      this.#endPart(null);
    });
  }

  #waitForCluster(cluster: number, piece: Piece): void {
    this.#openParts++;
    this.#request.node.locks.wait(cluster, () => {
      this.#openParts--;
      this.#dispatch(piece);
    });
  }

  /** Finds room for what does not go in place. The caller's part stays open. */
  #change(pieces: readonly Piece[], inPlace: readonly Segment[]): void {
    const placement = placePieces(this.#context(), pieces);
    if (!placement) {
      this.#awaitSpace(pieces, inPlace);
      return;
    }
    const { locks } = this.#request.node;
    const lockedClusters = pieces.map(({ from }) => Math.floor(from / clusterSizeBlocks));
    for (const cluster of lockedClusters) locks.lock(cluster);
    const promise = this.#cell.space.promise(placement.pages);
    const segments = [...inPlace, ...placement.segments].sort((a, b) => a.lbn - b.lbn);
    const change = { ...placement, lockedClusters, promise };
    this.#submit({ segments, change, mappedBy: this.#mappedBy(inPlace) });
  }

  #passInPlace(segments: readonly Segment[]): Pass {
    return { segments, change: undefined, mappedBy: this.#mappedBy(segments) };
  }

  #mappedBy(segments: readonly Segment[]): number {
    const { node, keepsMap } = this.#request;
    return keepsMap ? lastRecordOn(this.#cell, node, segments) : 0;
  }

  /** Blocks that were freed may be on their way back, and slack may be given up: then it is worth waiting. */
  #awaitSpace(pieces: readonly Piece[], inPlace: readonly Segment[]): void {
    this.#openParts++;
    this.#submit(this.#passInPlace(inPlace));
    const isHopeless =
      this.#spaceAttempts >= spaceAttemptsMax || !this.#cell.mayReclaimSpace(this.#spaceAttempts);
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
    const runs = joinRuns(pass.segments);
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
      const inPlaceGeneration = run.isOwn ? this.#cell.inPlaceTracker.begin() : undefined;
      this.#cell.countDataWrite(run.count);
      this.#cell.devices.write(run.pbn, bytes, fua && run.isOwn, (error) => {
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
    const first = pass.change?.lockedClusters[0];
    const last = pass.change?.lockedClusters.at(-1);
    if (error || first === undefined || last === undefined) {
      this.#endPass(pass, error);
      return;
    }
    const { residency, state } = this.#cell;
    const { node } = this.#request;
    const lbn = first * clusterSizeBlocks;
    const count = (last + 1 - first) * clusterSizeBlocks;
    residency.ensureFound(
      () => state.residency.findMissing(node, lbn, count),
      (missing) => this.#endPass(pass, missing ?? this.#cell.failure ?? null),
    );
  }

  #endPass({ change, mappedBy }: Pass, error: StoreError | null): void {
    const { node, keepsMap } = this.#request;
    const overtaken: Piece[] = [];
    if (!error) {
      for (const record of change?.records ?? []) {
        if (record.op !== 'valid' || isOwnCluster(this.#cell, node, record)) {
          this.#cell.record([record]);
        } else overtaken.push(...piecesOf(record));
      }
      // A crash must not lose the mapping of what was written.
      const isPending = change !== undefined || mappedBy > this.#cell.journal.durableRecord;
      if (keepsMap && isPending) this.#needsFlush = true;
    } else {
      const { allocator } = this.#cell.state;
      for (const run of change?.reserved ?? []) allocator.releaseReservation(run);
    }
    change?.promise.keep();
    for (const cluster of change?.lockedClusters ?? []) node.locks.unlock(cluster);
    // A snapshot shares the cluster by now, and what was slack to it stays so: the data goes elsewhere.
    for (const piece of overtaken) this.#dispatch(piece);
    this.#endPart(error);
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

/** The blocks that a mask names, in runs. */
function piecesOf({ cluster, mask }: { cluster: number; mask: number }): Piece[] {
  const pieces: Piece[] = [];
  const start = cluster * clusterSizeBlocks;
  for (let block = 0; block < clusterSizeBlocks;) {
    let end = block;
    while (((mask >>> end) & 1) === 1) end++;
    if (end > block) pieces.push({ from: start + block, end: start + end });
    block = end + 1;
  }
  return pieces;
}

/** Neighbours in lbn and pbn, of one kind, become one run. */
function joinRuns(segments: readonly Segment[]): Segment[] {
  const runs: { -readonly [Key in keyof Segment]: Segment[Key] }[] = [];
  for (const { lbn, pbn, count, isOwn } of segments) {
    const last = runs.at(-1);
    const continues =
      last?.isOwn === isOwn && last.lbn + last.count === lbn && last.pbn + last.count === pbn;
    if (last && continues && last.count + count <= deviceWriteBlocksMax) last.count += count;
    else runs.push({ lbn, pbn, count, isOwn });
  }
  return runs;
}
