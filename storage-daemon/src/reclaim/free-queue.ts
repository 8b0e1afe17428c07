/**
 * Blocks that nobody references any more and that background work frees step by step: what a merge of a deleted
 * snapshot into its last child left over. Items are freed in order of their ids.
 */
import { assert } from '@varve/common/assert';

import { deadPageEntries, type FreeQueueItemRecord } from '../format/dead-list.ts';
import { nullPointer, type MetadataPointer } from '../format/metadata-pointer.ts';
import { streamPageCounts } from '../format/stream-page.ts';
import { DeadSequence, type DeadEntry, type SpillPage } from './dead-sequence.ts';

interface Item {
  readonly id: number;
  readonly isMeta: boolean;
  done: number;
  readonly sequence: DeadSequence;
}

/** The queue of a cell. */
export class FreeQueue {
  readonly #items: Item[] = [];
  #nextId = 1;
  #pendingCount = 0;
  isDirty = false;
  /** Pages of the queue's stream on disk. */
  streamPages: number[] = [];
  pointer: MetadataPointer = nullPointer;

  /** Takes over a stored queue. */
  load(
    records: readonly FreeQueueItemRecord[],
    state: { nextId: number; streamPages: number[]; pointer: FreeQueue['pointer'] },
  ): void {
    for (const { id, isMeta, done, segments } of records) {
      const sequence = DeadSequence.load(segments);
      this.#items.push({ id, isMeta, done, sequence });
      this.#pendingCount += sequence.entryCount - done;
    }
    this.#nextId = state.nextId;
    this.streamPages = state.streamPages;
    this.pointer = state.pointer;
  }

  get nextId(): number {
    return this.#nextId;
  }

  get itemCount(): number {
    return this.#items.length;
  }

  /** Entries that wait to be freed. */
  get pendingCount(): number {
    return this.#pendingCount;
  }

  /** The most pages that a checkpoint writes for it now. */
  get demandPages(): number {
    if (!this.isDirty) return 0;
    let bytes = 4;
    let pages = 0;
    for (const { sequence } of this.#items) {
      bytes += 20 + sequence.encodedBytes;
      pages += Math.floor(sequence.memoryEntries / deadPageEntries);
    }
    return pages + streamPageCounts(bytes).reduce((sum, count) => sum + count, 0);
  }

  /** Adds what a merge left over, if anything. */
  add(sequence: DeadSequence, isMeta: boolean): void {
    if (sequence.entryCount === 0) return;
    this.#items.push({ id: this.#nextId++, isMeta, done: 0, sequence });
    this.#pendingCount += sequence.entryCount;
    this.isDirty = true;
  }

  /** The next step of at most `countMax` entries; undefined if the queue is empty. */
  nextStep(countMax: number): { item: number; done: number } | undefined {
    const [item] = this.#items;
    if (!item) return undefined;
    return { item: item.id, done: Math.min(item.sequence.entryCount, item.done + countMax) };
  }

  /** A page of entries that a step needs and that was not read yet. */
  findMissing(itemId: number, done: number) {
    const item = this.#itemOf(itemId);
    return item.sequence.findMissing(item.done, done);
  }

  /** Takes out the entries of a step; the pages that held them and are used up are freed with them. */
  advance(
    itemId: number,
    done: number,
  ): { isMeta: boolean; entries: DeadEntry[]; finishedPages: number[] } {
    const item = this.#itemOf(itemId);
    assert(done > item.done && done <= item.sequence.entryCount, `FREED up to ${done}`);
    const taken = item.sequence.take(item.done, done);
    this.#pendingCount -= done - item.done;
    item.done = done;
    if (done === item.sequence.entryCount) this.#items.splice(this.#items.indexOf(item), 1);
    this.isDirty = true;
    return { isMeta: item.isMeta, ...taken };
  }

  /** Writes full pages of entries, and returns what the stream is to hold. */
  spill(spillPage: SpillPage): FreeQueueItemRecord[] {
    for (const { sequence, done } of this.#items) {
      sequence.resolveFrames();
      sequence.spill(spillPage, done);
    }
    return this.records();
  }

  records(): FreeQueueItemRecord[] {
    return this.#items.map(({ id, isMeta, done, sequence }) => ({
      id,
      isMeta,
      done,
      blockCount: sequence.entryCount,
      segments: sequence.records(),
    }));
  }

  #itemOf(id: number): Item {
    const item = this.#items.find((each) => each.id === id);
    assert(item !== undefined, `free queue item ${id} does not exist`);
    return item;
  }
}
