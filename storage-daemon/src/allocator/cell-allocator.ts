/**
 * Space of one cell: blocks of the groups that it owns. Allocation policy is free (it is not part of apply()); what
 * apply() does with the chosen blocks is not.
 *
 * Three streams, data, metadata and whole clusters, fill groups front to back, so that redirected writes reach the
 * device as a sequential stream; in a cell of few groups, or a pool that is nearly full, they share groups. A nearly
 * full pool also fills the fullest groups first, so that others become empty and can be given back.
 */
import { assert } from '@varve/common/assert';

import type { DeallocateQueue } from './deallocate-queue.ts';
import { clusterSizeBlocks } from '../units.ts';
import { GroupBitmap, type BlockRun } from './group-bitmap.ts';
import type { GroupOwners } from './group-owners.ts';
import type { IoTracker } from './io-tracker.ts';
import { Quarantine, type Durability } from './quarantine.ts';

/** In a cell with fewer groups data and metadata share one stream. */
const streamsGroupsMin = 8;

type Stream = 'data' | 'meta' | 'natural';

interface Cursor {
  group: GroupBitmap | undefined;
  next: number;
}

/** Allocates, frees, counts. */
export class CellAllocator {
  readonly groupBlocks: number;
  readonly quarantine: Quarantine;
  /** Where long freed runs go first; undefined where the devices are not told of them. */
  deallocation: DeallocateQueue | undefined;
  readonly #groups = new Map<number, GroupBitmap>();
  readonly #cursors: Record<Stream, Cursor> = {
    data: { group: undefined, next: 0 },
    meta: { group: undefined, next: 0 },
    natural: { group: undefined, next: 0 },
  };
  #availableCount = 0;
  #allocatedCount = 0;
  #metadataCount = 0;

  readonly #owners: GroupOwners;

  constructor(
    options: { groupBlocks: number },
    dependencies: { tracker: IoTracker; owners: GroupOwners },
  ) {
    this.groupBlocks = options.groupBlocks;
    this.#owners = dependencies.owners;
    this.quarantine = new Quarantine(dependencies.tracker);
  }

  /** Groups in the order of their acquisition: the order of the group list. */
  get groups(): readonly GroupBitmap[] {
    return [...this.#groups.values()];
  }

  get groupCount(): number {
    return this.#groups.size;
  }

  /** Blocks that can be handed out now. */
  get availableCount(): number {
    return this.#availableCount;
  }

  /** Allocated blocks, bitmap slots included. */
  get allocatedCount(): number {
    return this.#allocatedCount;
  }

  /** Of these, metadata. */
  get metadataCount(): number {
    return this.#metadataCount;
  }

  /** Adds a group; its bitmap is empty, or loaded from disk. */
  addGroup(bitmap: GroupBitmap): void {
    assert(!this.#groups.has(bitmap.group), `group ${bitmap.group} is owned already`);
    this.#groups.set(bitmap.group, bitmap);
    this.#availableCount += bitmap.availableCount;
    this.#allocatedCount += bitmap.allocatedCount;
  }

  /** Groups of which nothing is in use: no block is allocated, reserved or in quarantine. */
  emptyGroups(): GroupBitmap[] {
    return this.groups.filter(({ isEmpty }) => isEmpty);
  }

  /** Gives up an empty group. */
  removeGroup(group: number): void {
    const bitmap = this.#groups.get(group);
    assert(bitmap?.isEmpty === true, `group ${group} is given back in use`);
    for (const cursor of Object.values(this.#cursors)) {
      if (cursor.group === bitmap) cursor.group = undefined;
    }
    this.#groups.delete(group);
    this.#availableCount -= bitmap.availableCount;
    this.#allocatedCount -= bitmap.allocatedCount;
  }

  /** Sets the count of metadata blocks that the root carries. */
  loadMetadataCount(count: number): void {
    this.#metadataCount = count;
  }

  /** Counts the bitmap slots of a group that comes or goes. */
  countMetadata(count: number): void {
    this.#metadataCount += count;
  }

  /**
   * Takes `count` blocks for a data write (R10: volatile until apply()); undefined and nothing taken if there are too
   * few.
   */
  reserveData(count: number): BlockRun[] | undefined {
    return this.#take('data', count);
  }

  /**
   * Takes `count` physical clusters for a data write, in runs inside groups; undefined and nothing taken if there are
   * too few.
   */
  reserveClusters(count: number): BlockRun[] | undefined {
    // Else clusters would not stand at multiples of 16 in every group.
    if (this.groupBlocks % clusterSizeBlocks !== 0) return undefined;
    const runs: BlockRun[] = [];
    for (let left = count; left > 0;) {
      const run = this.#nextClusters(left);
      if (!run) {
        for (const each of runs) this.releaseReservation(each);
        return undefined;
      }
      runs.push(run);
      left -= run.count / clusterSizeBlocks;
    }
    return runs;
  }

  /** Gives back a run that is taken and that no record will name. */
  releaseReservation(run: BlockRun): void {
    for (let pbn = run.pbn; pbn < run.pbn + run.count; pbn++) this.#giveBack(pbn);
  }

  /** A data block becomes allocated: by apply() only. */
  commitData(pbn: number): void {
    const bitmap = this.#bitmapOf(pbn);
    const before = bitmap.availableCount;
    bitmap.allocate(pbn % this.groupBlocks);
    this.#availableCount += bitmap.availableCount - before;
    this.#allocatedCount++;
  }

  /**
   * Allocates pages for a checkpoint. @throws InvariantError if there are too few: admission keeps a reserve for
   * them.
   */
  allocateMeta(count: number): number[] {
    const runs = this.#take('meta', count);
    assert(
      runs !== undefined,
      `a checkpoint needs ${count} pages, ${this.#availableCount} are left`,
    );
    const pbns: number[] = [];
    for (const run of runs) {
      for (let pbn = run.pbn; pbn < run.pbn + run.count; pbn++) {
        this.#bitmapOf(pbn).allocate(pbn % this.groupBlocks);
        pbns.push(pbn);
      }
    }
    this.#allocatedCount += count;
    this.#metadataCount += count;
    return pbns;
  }

  /** Clears the block's bit and puts it into quarantine. */
  free(pbn: number, freed: { isMeta: boolean; record: number; checkpoint: number }): void {
    this.#bitmapOf(pbn).free(pbn % this.groupBlocks);
    this.#allocatedCount--;
    if (freed.isMeta) this.#metadataCount--;
    this.quarantine.add({ pbn, ...freed });
  }

  /** Makes available what the quarantine no longer needs to hold; returns how much. */
  releaseQuarantine(durability: Durability): number {
    const released = this.quarantine.release(durability);
    const available = this.deallocation?.accept(released) ?? released; // R4
    for (const pbn of available) this.#giveBack(pbn);
    return released.length;
  }

  /** Makes available what waits to be deallocated; returns how much. */
  withdrawDeallocations(): number {
    const runs = this.deallocation?.withdraw() ?? [];
    let count = 0;
    for (const run of runs) {
      this.releaseReservation(run);
      count += run.count;
    }
    return count;
  }

  /** Makes available what the device was told of. */
  endDeallocation(run: BlockRun): void {
    this.releaseReservation(run);
    this.deallocation?.ended(run);
  }

  isAllocated(pbn: number): boolean {
    return (
      this.#groups.get(Math.floor(pbn / this.groupBlocks))?.isAllocated(pbn % this.groupBlocks) ??
      false
    );
  }

  #giveBack(pbn: number): void {
    this.#bitmapOf(pbn).giveBack(pbn % this.groupBlocks);
    this.#availableCount++;
  }

  #bitmapOf(pbn: number): GroupBitmap {
    const bitmap = this.#groups.get(Math.floor(pbn / this.groupBlocks));
    assert(bitmap !== undefined, `block ${pbn} is in a group of another cell`);
    return bitmap;
  }

  #take(stream: Stream, count: number): BlockRun[] | undefined {
    if (count > this.#availableCount) return undefined;
    const shared = this.#isShared;
    const cursor = this.#cursors[shared ? 'data' : stream];
    const runs: BlockRun[] = [];
    let left = count;
    while (left > 0) {
      const run = this.#nextRun(cursor, left, shared ? undefined : stream);
      runs.push(run);
      left -= run.count;
    }
    return runs;
  }

  #nextRun(cursor: Cursor, countMax: number, stream: Stream | undefined): BlockRun {
    for (;;) {
      const group = cursor.group;
      const found = group?.findRun(cursor.next, countMax);
      if (!group || !found) {
        this.#moveOn(cursor, stream);
        continue;
      }
      return this.#takeRun(cursor, group, found);
    }
  }

  #nextClusters(countMax: number): BlockRun | undefined {
    const cursor = this.#cursors.natural;
    const next = cursor.group?.findClusters(cursor.next, countMax);
    if (cursor.group && next) return this.#takeRun(cursor, cursor.group, next);
    const others = this.#isShared ? [] : this.#groupsOfOthers('natural');
    let best: GroupBitmap | undefined;
    for (const group of this.#groups.values()) {
      const isBetter =
        best === undefined ||
        (others.includes(best) && !others.includes(group)) ||
        (!others.includes(group) && group.availableCount > best.availableCount);
      if (isBetter && group.findClusters(0, 1)) best = group;
    }
    const found = best?.findClusters(0, countMax);
    if (!best || !found) return undefined;
    cursor.group = best;
    return this.#takeRun(cursor, best, found);
  }

  #takeRun(
    cursor: Cursor,
    group: GroupBitmap,
    { index: first, count }: { readonly index: number; readonly count: number },
  ): BlockRun {
    for (let index = first; index < first + count; index++) group.take(index);
    this.#availableCount -= count;
    cursor.next = first + count;
    return { pbn: group.group * this.groupBlocks + first, count };
  }

  #groupsOfOthers(stream: Stream): (GroupBitmap | undefined)[] {
    const names: readonly Stream[] = ['data', 'meta', 'natural'];
    return names.filter((name) => name !== stream).map((name) => this.#cursors[name].group);
  }

  /** A cell of few groups has no group for each stream, nor has a pool that is nearly full. */
  get #isShared(): boolean {
    return this.#groups.size < streamsGroupsMin || this.#owners.isScarce;
  }

  /** To the emptiest group that no other stream fills now; in a nearly full pool to the fullest. */
  #moveOn(cursor: Cursor, stream: Stream | undefined): void {
    const sign = this.#owners.isScarce ? -1 : 1;
    const others = stream ? this.#groupsOfOthers(stream) : [];
    let best: GroupBitmap | undefined;
    for (const group of this.#groups.values()) {
      if (group.availableCount === 0) continue;
      const isBetter =
        best === undefined ||
        (others.includes(best) && !others.includes(group)) ||
        (!others.includes(group) && sign * (group.availableCount - best.availableCount) > 0);
      if (isBetter) best = group;
    }
    assert(best !== undefined, 'available blocks are in no group');
    cursor.group = best;
    cursor.next = 0;
  }
}
