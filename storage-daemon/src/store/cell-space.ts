/**
 * Admission: what may still be allocated in a cell. A checkpoint writes beside the old pages, so pages that it will
 * need are kept free; and a reserve is kept that only deletes, background frees and checkpoints use, so that deletes
 * work in a full pool. Groups are taken from the pool when they are needed, and given back when they are empty.
 */
import type { GroupOwners } from '../allocator/group-owners.ts';
import { demandPages, type CellTables } from './checkpoint/checkpoint-image.ts';
import type { CellState } from './cell-state.ts';

/** Slack for what one change dirties beyond what it was counted for. */
const slackPages = 8;
/**
 * The most pages that one record can add to a checkpoint besides map pages and what its lists have on disk: catalog
 * pages and their tables, new lists.
 */
const recordPagesMax = 6;
/** The next group is taken when so much of one is left. */
const fetchShare = 0.25;
/** Groups given back at a time: their records go into one checkpoint. */
const groupsReturnedMax = 64;

/** Counts what is promised. */
export class CellSpace {
  readonly #state: CellState;
  readonly #tables: CellTables;
  readonly #owners: GroupOwners;
  readonly #takeGroup: (group: number) => void;
  readonly #returnGroup: (group: number) => void;
  /** Pages that changes under way will dirty. */
  #promisedPages = 0;
  #countedPages = 0;
  #countedAtRecord = -1;
  #countedListPages = 0;
  /** Groups taken from the pool so far, and given back. */
  groupsTaken = 0;
  groupsReturned = 0;

  constructor(dependencies: {
    state: CellState;
    tables: CellTables;
    owners: GroupOwners;
    /** Records that the cell owns the group from now on. */
    takeGroup: (group: number) => void;
    /** Records that the cell has given the group back. */
    returnGroup: (group: number) => void;
  }) {
    this.#state = dependencies.state;
    this.#tables = dependencies.tables;
    this.#owners = dependencies.owners;
    this.#takeGroup = dependencies.takeGroup;
    this.#returnGroup = dependencies.returnGroup;
  }

  get reserveBlocks(): number {
    return this.#state.geometry.reserveBlocks;
  }

  /** Of the blocks that the cell has or could take now, the share that is in use. */
  get usedShare(): number {
    const { allocator, geometry } = this.#state;
    const unowned = this.#owners.unownedCount * geometry.groupBlocks;
    const free = allocator.availableCount + unowned;
    return 1 - free / (allocator.groupCount * geometry.groupBlocks + unowned);
  }

  /** Pages that a checkpoint would write now: an upper bound. */
  get demandPages(): number {
    const { recordNumber, dirtyFrames, listPagesChanged } = this.#state;
    const records = recordNumber - this.#countedAtRecord;
    const listPages = Math.ceil(listPagesChanged - this.#countedListPages);
    return this.#countedPages + dirtyFrames.size + records * recordPagesMax + listPages;
  }

  /** As `demandPages`, counted anew. */
  countDemand(): number {
    const { dirtyFrames, recordNumber } = this.#state;
    const pages = demandPages(this.#state, this.#tables);
    this.#countedPages = pages - dirtyFrames.size;
    this.#countedAtRecord = recordNumber;
    this.#countedListPages = this.#state.listPagesChanged;
    return pages;
  }

  /**
   * True if `blocks` more blocks and `pages` more dirty pages leave the reserve untouched; takes groups if it must.
   */
  admits(blocks: number, pages: number): boolean {
    const wanted = blocks + pages;
    if (!this.#leaves(wanted, this.reserveBlocks)) return false;
    this.#fetchNext(wanted);
    return true;
  }

  /** As `admits`, for changes that free more than they take: down to half the reserve. */
  admitsFreeing(pages: number): boolean {
    return this.#leaves(pages, Math.floor(this.reserveBlocks / 2));
  }

  /** As `admits`, for deletes: they may use all of the reserve. */
  admitsDelete(pages: number): boolean {
    return this.#leaves(pages, 0);
  }

  /** Counts pages that a change under way will dirty, until `keep` is called. */
  promise(pages: number): { keep: () => void } {
    this.#promisedPages += pages;
    let isOpen = true;
    return {
      keep: () => {
        if (isOpen) this.#promisedPages -= pages;
        isOpen = false;
      },
    };
  }

  /** Takes groups until a checkpoint of `pages` pages fits (J10: their records come before the cut). */
  prepareCheckpoint(): void {
    this.#leaves(0, 0);
  }

  /**
   * Gives back groups that are empty, as far as the reserve and a group of room stay; if others are in need, as far as
   * the reserve stays. Returns how many.
   */
  returnGroups(isOtherInNeed = false): number {
    const { allocator, geometry } = this.#state;
    const empty = allocator.emptyGroups();
    if (empty.length === 0) return 0;
    const room = isOtherInNeed ? fetchShare * geometry.groupBlocks : geometry.groupBlocks;
    let spare = this.#free(0, this.countDemand()) - this.reserveBlocks - room;
    let count = 0;
    for (const { group, availableCount } of empty) {
      // Each record may add pages to the checkpoint.
      spare -= availableCount + recordPagesMax;
      if (spare < 0 || count === groupsReturnedMax) break;
      this.#returnGroup(group);
      count++;
    }
    this.groupsReturned += count;
    return count;
  }

  /** True if the cell could do without a group, were its blocks together. */
  get hasGroupToSpare(): boolean {
    const { allocator, geometry } = this.#state;
    const freeBlocks = allocator.groupCount * geometry.groupBlocks - allocator.allocatedCount;
    const { reserveBlocks, demandPages: demand } = this;
    return freeBlocks - reserveBlocks - demand - this.#promisedPages >= geometry.groupBlocks;
  }

  /** Takes the next group before this one is full, if the pool has plenty. */
  #fetchNext(wanted: number): void {
    const left = this.#free(wanted, this.demandPages) - this.reserveBlocks;
    if (left >= fetchShare * this.#state.geometry.groupBlocks || this.#owners.isScarce) return;
    this.#takeAny();
  }

  #takeAny(): boolean {
    const group = this.#owners.claimAny(this.#state.cell);
    if (group === undefined) return false;
    this.groupsTaken++;
    this.#takeGroup(group);
    return true;
  }

  #leaves(wanted: number, reserve: number): boolean {
    if (this.#free(wanted, this.demandPages) >= reserve) return true;
    const demand = this.countDemand();
    if (this.#free(wanted, demand) < reserve) this.#state.allocator.withdrawDeallocations();
    while (this.#free(wanted, demand) < reserve) {
      if (!this.#takeAny()) return false;
    }
    return true;
  }

  #free(wanted: number, demand: number): number {
    const { availableCount } = this.#state.allocator;
    return availableCount - wanted - demand - this.#promisedPages - slackPages;
  }
}
