/** Reads metadata while a cell is opened: pages by pointer, streams and tables. */
import { CorruptionError } from '../../format/corruption-error.ts';
import { viewOf } from '../../format/byte-fields.ts';
import { decodePointer, metadataPointerBytes } from '../../format/metadata-pointer.ts';
import type { MetadataPointer } from '../../format/metadata-pointer.ts';
import {
  decodeStreamPage,
  streamLevelOf,
  streamPagePointers,
  type StreamOwner,
  type StreamPlace,
} from '../../format/stream-page.ts';
import type { PagePointer, ReadPages } from './page-reads.ts';
import { StoreError } from '../store-error.ts';

/** A byte string to read. */
interface StreamRequest {
  readonly pointer: MetadataPointer;
  readonly owner: StreamOwner;
}

/** A byte string, and all its pages. */
interface StreamContent {
  readonly bytes: Uint8Array;
  readonly pbns: number[];
}

/** Promises instead of callbacks, for opening. */
export class PageSource {
  readonly #cell: number;
  readonly #readPages: ReadPages;

  constructor(options: { cell: number }, dependencies: { readPages: ReadPages }) {
    this.#cell = options.cell;
    this.#readPages = dependencies.readPages;
  }

  async page(pointer: PagePointer): Promise<Uint8Array> {
    let found = new Uint8Array(0);
    await this.#readPages([pointer], (_, page) => {
      found = page.slice();
    });
    return found;
  }

  /** Calls `visit` once for each pointer, in any order; the page's bytes are the visitor's until it returns. */
  pages(
    pointers: readonly PagePointer[],
    visit: (index: number, page: Uint8Array) => void,
  ): Promise<void> {
    return this.#readPages(pointers, visit);
  }

  /** A byte string and all its pages. */
  async stream(pointer: MetadataPointer, owner: StreamOwner): Promise<StreamContent> {
    let content: StreamContent = { bytes: new Uint8Array(0), pbns: [] };
    if (pointer.pbn === 0) return content;
    await this.streams([{ pointer, owner }], (_, found) => {
      content = found;
    });
    return content;
  }

  /** Reads byte strings, none of them empty; calls `visit` once for each. */
  async streams(
    requests: readonly StreamRequest[],
    visit: (index: number, content: StreamContent) => void,
  ): Promise<void> {
    const deep: { index: number; level: number; payload: Uint8Array }[] = [];
    await this.#readPages(
      requests.map(({ pointer }) => pointer),
      (index, page) => {
        const { owner, pointer } = requests[index]!;
        const level = streamLevelOf(page);
        const payload = this.#decodePage(page, { ...owner, level, index: 0 });
        if (level === 0) visit(index, { bytes: payload, pbns: [pointer.pbn] });
        else deep.push({ index, level, payload });
      },
    );
    for (const { index, level, payload } of deep) {
      const { owner, pointer } = requests[index]!;
      const pbns = [pointer.pbn];
      let payloads = [payload];
      for (let below = level - 1; below >= 0; below--) {
        payloads = await this.#readBelow(payloads, { owner, level: below, pbns });
      }
      visit(index, { bytes: concatenate(payloads), pbns });
    }
  }

  /** The pages that a level's pages of pointers name, in order. */
  async #readBelow(
    above: readonly Uint8Array[],
    { owner, level, pbns }: { owner: StreamOwner; level: number; pbns: number[] },
  ): Promise<Uint8Array[]> {
    const pointers: MetadataPointer[] = [];
    const indexes: number[] = [];
    for (const [place, payload] of above.entries()) {
      const view = viewOf(payload);
      const count = Math.floor(payload.length / metadataPointerBytes);
      for (let child = 0; child < count; child++) {
        pointers.push(decodePointer(view, child * metadataPointerBytes));
        indexes.push(place * streamPagePointers + child);
      }
    }
    const payloads: Uint8Array[] = [];
    await this.#readPages(pointers, (index, page) => {
      payloads[index] = this.#decodePage(page, { ...owner, level, index: indexes[index]! });
    });
    for (const { pbn } of pointers) pbns.push(pbn);
    return payloads;
  }

  #decodePage(page: Uint8Array, place: StreamPlace): Uint8Array {
    return this.decode(`a list of cell ${this.#cell}`, () => decodeStreamPage(page, place));
  }

  /** Runs a decoder; what it finds wrong is lost data. */
  decode<T>(what: string, decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      throw new StoreError('data-loss', `Reading ${what} failed: ${error.message}`, {
        cause: error,
      });
    }
  }
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
