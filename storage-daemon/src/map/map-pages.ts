/**
 * The map pages of a cell that are in memory, by block, and how others are read. A page that several nodes reach is
 * loaded once. Pages stay until they are freed; a memory budget comes with the paged map.
 */
import { assertNever } from '@varve/common/assert';

import { StoreError } from '../store/store-error.ts';
import { CorruptionError } from '../format/corruption-error.ts';
import { decodeMapExtension, decodeMapLeaf } from '../format/map-leaf.ts';
import { PageType } from '../format/page-header.ts';
import { decodeTablePage } from '../format/table-page.ts';
import type { ExtensionFrame, LeafFrame, MapFrame, TableFrame } from './map-frame.ts';
import type { MissingPage } from './map-residency.ts';

/** Called once, with an error or null. */
type LoadCompletion = (error: StoreError | null) => void;

/** Reads one page and compares it with its pointer's checksum. */
export type ReadPage = (
  pointer: { readonly pbn: number; readonly crc: number },
  done: (error: StoreError | null, page: Uint8Array) => void,
) => void;

/** Loads and keeps frames. */
export class MapPages {
  readonly #cell: number;
  readonly #readPage: ReadPage;
  readonly #isAllocated: (pbn: number) => boolean;
  readonly #frames = new Map<number, MapFrame>();
  readonly #loading = new Map<number, LoadCompletion[]>();

  constructor(
    options: { cell: number },
    dependencies: { readPage: ReadPage; isAllocated: (pbn: number) => boolean },
  ) {
    this.#cell = options.cell;
    this.#readPage = dependencies.readPage;
    this.#isAllocated = dependencies.isAllocated;
  }

  get(pbn: number): MapFrame | undefined {
    return this.#frames.get(pbn);
  }

  /** Keeps a frame whose bytes are at its pbn. */
  add(frame: MapFrame): void {
    this.#frames.set(frame.pbn, frame);
  }

  /** The block no longer holds this page, or the frame has changed. */
  forget(pbn: number): void {
    this.#frames.delete(pbn);
  }

  /** Reads a page into memory. */
  load(missing: MissingPage, done: LoadCompletion): void {
    const { pbn } = missing.pointer;
    const waiting = this.#loading.get(pbn);
    if (waiting) {
      waiting.push(done);
      return;
    }
    const waiters = [done];
    this.#loading.set(pbn, waiters);
    this.#readPage(missing.pointer, (error, page) => {
      this.#loading.delete(pbn);
      const failure = error ?? this.#decode(missing, page);
      for (const waiter of waiters) waiter(failure);
    });
  }

  #decode(missing: MissingPage, page: Uint8Array): StoreError | null {
    try {
      const frame = decodeFrame(missing, page, this.#cell);
      // Freed while it was read: nobody will ask for it again.
      if (this.#isAllocated(frame.pbn)) this.add(frame);
      return null;
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      const { pbn } = missing.pointer;
      return new StoreError(
        'data-loss',
        `Reading map page ${pbn} of cell ${this.#cell} failed: ${error.message}`,
        { cause: error },
      );
    }
  }
}

function decodeFrame(missing: MissingPage, page: Uint8Array, cell: number): MapFrame {
  const { pointer, place } = missing;
  const state = { pbn: pointer.pbn, crc: pointer.crc, isDirty: false, ...place };
  switch (missing.kind) {
    case 'table': {
      const pointers = decodeTablePage(page, { ...place, cell, type: PageType.mapTable });
      return { ...state, kind: 'table', pointers, children: [] } satisfies TableFrame;
    }
    case 'leaf': {
      const leaf = decodeMapLeaf(page, { ...place, cell, type: PageType.mapLeaf });
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
