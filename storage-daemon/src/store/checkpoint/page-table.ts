/**
 * Numbered pages below two levels of table pages: the catalog and the group list of a cell. Page p hangs in slot p
 * mod fan-out of table floor(p / fan-out).
 */
import { assert } from '@varve/common/assert';

import type { CountedPointer } from '../../format/cell-root.ts';
import { nullPointer, type MetadataPointer } from '../../format/metadata-pointer.ts';
import type { PageType } from '../../format/page-header.ts';
import { decodeTablePage, emptyTable, encodeTablePage } from '../../format/table-page.ts';
import type { PageSink } from './page-sink.ts';
import { forEachConcurrently } from './for-each-concurrently.ts';
import type { PageSource } from './page-source.ts';

/** Fixed properties of a table of pages. */
interface PageTableOptions {
  readonly cell: number;
  readonly type: PageType;
  readonly fanOut: number;
}

type PagePointer = Pick<MetadataPointer, 'pbn' | 'crc'>;
type EncodePage = (page: Uint8Array) => void;

/** Pointers to numbered pages. */
export class PageTable {
  readonly #options: PageTableOptions;
  readonly #pages: (PagePointer | undefined)[] = [];
  readonly #tables: (PagePointer | undefined)[] = [];
  readonly #dirtyTables = new Set<number>();
  readonly #unfilled = new Map<number, EncodePage>();
  #root: PagePointer | undefined;

  constructor(options: PageTableOptions) {
    this.#options = options;
  }

  /** Most pages. */
  get pagesMax(): number {
    return this.#options.fanOut ** 2;
  }

  /** Numbers from 0 to here may be in use. */
  get pageCount(): number {
    return this.#pages.length;
  }

  /** Numbers of the pages that are there. */
  get present(): number[] {
    return [...this.#pages.entries()].flatMap(([index, page]) => (page ? [index] : []));
  }

  pointer(index: number): PagePointer | undefined {
    return this.#pages[index];
  }

  /** The most pages that writing these numbers changes, themselves and their tables. */
  demandPages(changed: Iterable<number>): number {
    const tables = new Set<number>();
    let count = 0;
    for (const index of changed) {
      tables.add(Math.floor(index / this.#options.fanOut));
      count++;
    }
    return count === 0 ? 0 : count + tables.size + 1;
  }

  /** Allocates a page that `finish` fills, or takes it out. */
  put(index: number, encode: EncodePage | undefined, sink: PageSink): void {
    assert(index < this.pagesMax, `page ${index} of ${this.pagesMax}`);
    const former = this.#pages[index];
    if (former) sink.supersede(former.pbn);
    this.#pages[index] = encode && { pbn: sink.allocate(), crc: 0 };
    if (encode) this.#unfilled.set(index, encode);
    this.#dirtyTables.add(Math.floor(index / this.#options.fanOut));
  }

  /** Allocates the tables above the pages that were put. Nothing is allocated after this. */
  allocateTables(sink: PageSink): void {
    if (this.#dirtyTables.size === 0) return;
    for (const table of this.#dirtyTables) {
      const former = this.#tables[table];
      if (former) sink.supersede(former.pbn);
      const isEmpty = this.#pagesOf(table).every((page) => page === undefined);
      this.#tables[table] = isEmpty ? undefined : { pbn: sink.allocate(), crc: 0 };
    }
    if (this.#root) sink.supersede(this.#root.pbn);
    const hasTables = this.#tables.some((table) => table !== undefined);
    this.#root = hasTables ? { pbn: sink.allocate(), crc: 0 } : undefined;
  }

  /** Fills pages and tables, and returns what the root is to hold. */
  finish(sink: PageSink): CountedPointer {
    for (const [index, encode] of this.#unfilled) {
      this.#pages[index] = sink.fill(this.#pages[index]!.pbn, encode);
    }
    this.#unfilled.clear();
    for (const table of this.#dirtyTables) {
      const place = { level: 1, index: table };
      const former = this.#tables[table];
      if (former) this.#tables[table] = this.#fill(former.pbn, place, sink);
    }
    if (this.#dirtyTables.size > 0 && this.#root) {
      this.#root = this.#fill(this.#root.pbn, { level: 2, index: 0 }, sink);
    }
    this.#dirtyTables.clear();
    return {
      pointer: this.#root ? { ...this.#root, birth: 0 } : nullPointer,
      count: this.#pages.length,
    };
  }

  /** Reads the tables. */
  async load(stored: CountedPointer, source: PageSource): Promise<void> {
    if (stored.pointer.pbn === 0) return;
    this.#root = stored.pointer;
    const tables = await this.#read(stored.pointer, { level: 2, index: 0 }, source);
    await forEachConcurrently(tables, async (table, index) => {
      this.#tables[index] = table;
      if (!table) return;
      const pages = await this.#read(table, { level: 1, index }, source);
      for (const [slot, page] of pages.entries()) {
        if (page) this.#pages[index * this.#options.fanOut + slot] = page;
      }
    });
    for (let index = 0; index < stored.count; index++) this.#pages[index] ??= undefined;
  }

  async #read(
    pointer: PagePointer,
    place: { level: number; index: number },
    source: PageSource,
  ): Promise<(PagePointer | undefined)[]> {
    const { cell, type, fanOut } = this.#options;
    const page = await source.page(pointer);
    const pointers = source.decode(`a table of cell ${cell}`, () =>
      decodeTablePage(page, { ...place, cell, type, family: 0 }),
    );
    return Array.from({ length: fanOut }, (_, slot) => {
      const pbn = pointers.pbn[slot]!;
      return pbn === 0 ? undefined : { pbn, crc: pointers.crc[slot]! };
    });
  }

  #pagesOf(table: number): (PagePointer | undefined)[] {
    const { fanOut } = this.#options;
    return Array.from({ length: fanOut }, (_, slot) => this.#pages[table * fanOut + slot]);
  }

  #fill(pbn: number, place: { level: number; index: number }, sink: PageSink): PagePointer {
    const { cell, type } = this.#options;
    const children = place.level === 2 ? this.#tables : this.#pagesOf(place.index);
    const pointers = emptyTable();
    for (const [slot, child] of children.entries()) {
      pointers.pbn[slot] = child?.pbn ?? 0;
      pointers.crc[slot] = child?.crc ?? 0;
    }
    const position = { ...place, type, cell, family: 0 };
    return sink.fill(pbn, (page) =>
      encodeTablePage(pointers, { position, generation: sink.generation }, page),
    );
  }
}
