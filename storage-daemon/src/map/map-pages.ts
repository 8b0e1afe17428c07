/**
 * The map pages of a cell that are in memory, by block, and how others are read. A page that several nodes reach is
 * loaded once.
 *
 * Memory has a budget, in pages. Dirty frames count, and stay; clean ones are evicted by a clock while there are too
 * many, except those that are held. Frames are evicted in turns of their own (when a page was read, when a checkpoint
 * has ended, and soon after frames became dirty), never in the middle of somebody's turn: what was found resident
 * stays so until the finder returns. Across turns nothing stays but what is held.
 */
import { assert, assertNever } from '@varve/common/assert';

import { StoreError } from '../store/store-error.ts';
import { CorruptionError } from '../format/corruption-error.ts';
import { decodeMapExtension, decodeMapLeaf } from '../format/map-leaf.ts';
import { PageType } from '../format/page-header.ts';
import { decodeTablePage } from '../format/table-page.ts';
import { FrameClock } from './frame-clock.ts';
import { LeafMemory } from './leaf-memory.ts';
import {
  dropContent,
  newResidence,
  type ExtensionFrame,
  type LeafFrame,
  type MapFrame,
  type TableFrame,
} from './map-frame.ts';
import type { MissingPage } from './map-residency.ts';

/** Called once, with an error, or with the frame: undefined if the page was freed while it was read. */
type LoadCompletion = (error: StoreError | null, frame: MapFrame | undefined) => void;

/** Reads one page and compares it with its pointer's checksum. */
export type ReadPage = (
  pointer: { readonly pbn: number; readonly crc: number },
  done: (error: StoreError | null, page: Uint8Array) => void,
) => void;

/** Steps of the clock's hand per frame to be evicted, at most: a turn must end, though all frames were used. */
const stepsPerEviction = 16;

/** What became of look-ups, and the memory in use. */
export interface PageCounters {
  /** Operations that found all pages that they needed in memory. */
  readonly hits: number;
  /** Pages that were read. */
  readonly misses: number;
  readonly evictions: number;
  readonly residentPages: number;
}

/** Loads, keeps and evicts frames. */
export class MapPages {
  readonly leaves = new LeafMemory();
  readonly #cell: number;
  readonly #pagesMax: number;
  readonly #readPage: ReadPage;
  readonly #isAllocated: (pbn: number) => boolean;
  readonly #dirtyCount: () => number;
  readonly #frames = new Map<number, MapFrame>();
  readonly #clock = new FrameClock();
  readonly #loading = new Map<number, LoadCompletion[]>();
  #isEvictionDue = false;
  #hits = 0;
  #misses = 0;
  #evictions = 0;

  constructor(
    options: { cell: number; pagesMax: number },
    dependencies: {
      readPage: ReadPage;
      isAllocated: (pbn: number) => boolean;
      dirtyCount: () => number;
    },
  ) {
    this.#cell = options.cell;
    this.#pagesMax = options.pagesMax;
    this.#readPage = dependencies.readPage;
    this.#isAllocated = dependencies.isAllocated;
    this.#dirtyCount = dependencies.dirtyCount;
  }

  /** Most pages that are kept in memory. */
  get pagesMax(): number {
    return this.#pagesMax;
  }

  get counters(): PageCounters {
    return {
      hits: this.#hits,
      misses: this.#misses,
      evictions: this.#evictions,
      residentPages: this.#frames.size + this.#dirtyCount(),
    };
  }

  countHit(): void {
    this.#hits++;
  }

  get(pbn: number): MapFrame | undefined {
    return this.#frames.get(pbn);
  }

  /** Keeps a frame whose bytes are at its pbn, or will be before its hold ends. */
  add(frame: MapFrame): void {
    assert(!this.#frames.has(frame.pbn), `block ${frame.pbn} holds two pages of the map`);
    this.#frames.set(frame.pbn, frame);
    this.#clock.add(frame);
  }

  /** The block no longer holds this page, or the frame has changed. */
  forget(pbn: number): void {
    const frame = this.#frames.get(pbn);
    if (!frame) return;
    this.#frames.delete(pbn);
    this.#clock.remove(frame);
  }

  /** Keeps a frame in memory until it is released as often as it was held. */
  hold(frame: MapFrame): void {
    frame.holdCount++;
  }

  /** Ends one hold of each frame. */
  release(frames: readonly MapFrame[]): void {
    for (const frame of frames) frame.holdCount--;
    this.#evictSoon();
  }

  /** There is one dirty frame more. */
  countDirtied(): void {
    this.#evictSoon();
  }

  /** Reads a page into memory. */
  load(missing: MissingPage, done: LoadCompletion): void {
    const { pbn } = missing.pointer;
    const waiting = this.#loading.get(pbn);
    if (waiting) {
      waiting.push(done);
      return;
    }
    this.#misses++;
    const waiters = [done];
    this.#loading.set(pbn, waiters);
    this.#readPage(missing.pointer, (error, page) => {
      this.#loading.delete(pbn);
      const { failure, frame } = error
        ? { failure: error, frame: undefined }
        : this.#decode(missing, page);
      for (const waiter of waiters) waiter(failure, frame);
    });
  }

  #decode(
    missing: MissingPage,
    page: Uint8Array,
  ): { failure: StoreError | null; frame: MapFrame | undefined } {
    try {
      const frame = decodeFrame(missing, page, { cell: this.#cell, leaves: this.leaves });
      // Freed while it was read: nobody will ask for it again.
      if (!this.#isAllocated(frame.pbn)) return { failure: null, frame: undefined };
      this.#evict(1);
      this.add(frame);
      return { failure: null, frame };
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      const { pbn } = missing.pointer;
      const failure = new StoreError(
        'data-loss',
        `Reading map page ${pbn} of cell ${this.#cell} failed: ${error.message}`,
        { cause: error },
      );
      return { failure, frame: undefined };
    }
  }

  /** In a turn of its own. */
  #evictSoon(): void {
    if (this.#isEvictionDue || this.#excess(0) <= 0) return;
    this.#isEvictionDue = true;
    queueMicrotask(() => {
      this.#isEvictionDue = false;
      this.#evict(0);
    });
  }

  /** Pages in memory beyond the budget once `added` more are there. */
  #excess(added: number): number {
    return this.#frames.size + this.#dirtyCount() + added - this.#pagesMax;
  }

  /** Evicts until `added` more fit, or until nothing else may go. */
  #evict(added: number): void {
    const excess = Math.min(this.#excess(added), this.#clock.size);
    if (excess <= 0) return;
    let left = excess;
    for (let steps = excess * stepsPerEviction; steps > 0 && left > 0; steps--) {
      const frame = this.#clock.step();
      if (!frame) continue;
      this.forget(frame.pbn);
      if (frame.kind === 'leaf') this.leaves.give(frame.leaf);
      dropContent(frame);
      this.#evictions++;
      left--;
    }
  }
}

function decodeFrame(
  missing: MissingPage,
  page: Uint8Array,
  { cell, leaves }: { cell: number; leaves: LeafMemory },
): MapFrame {
  const { pointer, place } = missing;
  const { pbn, crc } = pointer;
  const state = { ...newResidence, pbn, crc, isDirty: false, ...place };
  switch (missing.kind) {
    case 'table': {
      const pointers = decodeTablePage(page, { ...place, cell, type: PageType.mapTable });
      return { ...state, kind: 'table', pointers, children: [] } satisfies TableFrame;
    }
    case 'leaf': {
      const leaf = decodeMapLeaf(page, { ...place, cell, type: PageType.mapLeaf }, leaves.take());
      return { ...state, kind: 'leaf', leaf, extensions: [], lastRecord: 0 } satisfies LeafFrame;
    }
    case 'extension':
      return {
        ...state,
        kind: 'extension',
        records: decodeMapExtension(page),
      } satisfies ExtensionFrame;
    default:
      return assertNever(missing.kind, 'map page');
  }
}
