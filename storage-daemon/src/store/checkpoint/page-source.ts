/** Reads metadata while a cell is opened: pages by pointer, streams and tables. */
import { crc32c } from '../../format/checksum.ts';
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
import type { ReadPage } from '../../map/map-pages.ts';
import { blockSizeBytes } from '../../units.ts';
import type { IoTracker } from '../../allocator/io-tracker.ts';
import { ioFailure, type PoolDevices } from '../pool-devices.ts';
import type { ReadPages } from './page-runs.ts';
import { StoreError } from '../store-error.ts';

/** Requests under way at once while opening, unless said otherwise: what a drive's queues take well. */
const requestsMax = 128;

/** What a page is compared with. */
export type PagePointer = Pick<MetadataPointer, 'pbn' | 'crc'>;

/** @throws StoreError `data-loss` for a page that differs from its pointer: never an empty one instead */
export function checkPage(cell: number, pointer: PagePointer, page: Uint8Array): void {
  if (crc32c(page) === pointer.crc) return;
  const action = `Reading metadata block ${pointer.pbn} of cell ${cell}`;
  throw new StoreError('data-loss', `${action} failed: its checksum is wrong`);
}

/** Reads a page and compares it with its pointer; a page that differs is lost data, never an empty one. */
export function createPageReader(
  cell: number,
  dependencies: { devices: PoolDevices; tracker: IoTracker },
): ReadPage {
  const { devices, tracker } = dependencies;
  return (pointer, done) => {
    const page = new Uint8Array(blockSizeBytes);
    const generation = tracker.begin();
    devices.read(pointer.pbn, page, (error) => {
      tracker.end(generation);
      const action = `Reading metadata block ${pointer.pbn} of cell ${cell}`;
      if (error) done(ioFailure(action, error), page);
      else if (crc32c(page) !== pointer.crc) {
        done(new StoreError('data-loss', `${action} failed: its checksum is wrong`), page);
      } else done(null, page);
    });
  };
}

/** A byte string to read. */
export interface StreamRequest {
  readonly pointer: MetadataPointer;
  readonly owner: StreamOwner;
}

/** A byte string, and all its pages. */
export interface StreamContent {
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

/** Does something for each of many, a bounded number at once; rejects with the first failure. */
export async function forEachConcurrently<T>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<void>,
  countMax = requestsMax,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      await work(items[index]!, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(countMax, items.length) }, worker));
}
