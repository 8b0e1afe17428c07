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
} from '../../format/stream-page.ts';
import type { ReadPage } from '../../map/map-pages.ts';
import { blockSizeBytes } from '../../units.ts';
import type { IoTracker } from '../../allocator/io-tracker.ts';
import { ioFailure, type PoolDevices } from '../pool-devices.ts';
import { StoreError } from '../store-error.ts';

/** Pages read at once while opening. */
const readsMax = 64;

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

/** Promises instead of callbacks, for opening. */
export class PageSource {
  readonly #cell: number;
  readonly #readPage: ReadPage;

  constructor(options: { cell: number }, dependencies: { readPage: ReadPage }) {
    this.#cell = options.cell;
    this.#readPage = dependencies.readPage;
  }

  page(pointer: { readonly pbn: number; readonly crc: number }): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#readPage(pointer, (error, page) => {
        if (error) reject(error);
        else resolve(page);
      });
    });
  }

  /** A byte string and all its pages. */
  async stream(
    pointer: MetadataPointer,
    owner: StreamOwner,
  ): Promise<{ bytes: Uint8Array; pbns: number[] }> {
    if (pointer.pbn === 0) return { bytes: new Uint8Array(0), pbns: [] };
    const root = await this.page(pointer);
    const parts: Uint8Array[] = [];
    const pbns: number[] = [];
    await this.#collect(root, { ...owner, level: streamLevelOf(root), index: 0 }, { parts, pbns });
    pbns.push(pointer.pbn);
    return { bytes: concatenate(parts), pbns };
  }

  async #collect(
    page: Uint8Array,
    place: StreamOwner & { level: number; index: number },
    found: { parts: Uint8Array[]; pbns: number[] },
  ): Promise<void> {
    const payload = this.decode(`a list of cell ${this.#cell}`, () =>
      decodeStreamPage(page, place),
    );
    if (place.level === 0) {
      found.parts.push(payload);
      return;
    }
    const view = viewOf(payload);
    const count = Math.floor(payload.length / metadataPointerBytes);
    for (let child = 0; child < count; child++) {
      const pointer = decodePointer(view, child * metadataPointerBytes);
      const index = place.index * streamPagePointers + child;
      found.pbns.push(pointer.pbn);
      const below = await this.page(pointer);
      await this.#collect(below, { ...place, level: place.level - 1, index }, found);
    }
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
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      await work(items[index]!, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(readsMax, items.length) }, worker));
}
