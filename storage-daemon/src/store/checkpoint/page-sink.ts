/**
 * The pages of one checkpoint: allocated and encoded at its cut, written afterwards. What they supersede stays
 * readable until the new root is durable (R3).
 */
import { crc32c } from '../../format/checksum.ts';
import {
  encodePointer,
  metadataPointerBytes,
  nullPointer,
  type MetadataPointer,
} from '../../format/metadata-pointer.ts';
import {
  encodeStreamPage,
  streamPageBytes,
  streamPagePointers,
  type StreamOwner,
} from '../../format/stream-page.ts';
import { viewOf } from '../../format/byte-fields.ts';
import { blockSizeBytes } from '../../units.ts';
import type { CellState } from '../cell-state.ts';

/** A page to write. */
export interface PlacedPage {
  readonly pbn: number;
  readonly page: Uint8Array;
}

/** Pages of one piece of memory: pages that lie in a row there can be written together as they are. */
const slabPages = 256;

/** Places pages for one checkpoint. */
export class PageSink {
  readonly generation: number;
  readonly pages: PlacedPage[] = [];
  readonly #state: CellState;
  #slab = new Uint8Array(0);

  constructor(options: { generation: number }, dependencies: { state: CellState }) {
    this.generation = options.generation;
    this.#state = dependencies.state;
  }

  /** Allocates a page to fill later. */
  allocate(): number {
    return this.#state.allocator.allocateMeta(1)[0]!;
  }

  /** Allocates a page and has `encode` fill it. */
  place(encode: (page: Uint8Array) => void): { pbn: number; crc: number } {
    return this.fill(this.allocate(), encode);
  }

  /** Fills a page that is allocated already. */
  fill(pbn: number, encode: (page: Uint8Array) => void): { pbn: number; crc: number } {
    const page = this.#takePage();
    encode(page);
    this.pages.push({ pbn, page });
    return { pbn, crc: crc32c(page) };
  }

  #takePage(): Uint8Array {
    if (this.#slab.length === 0) this.#slab = new Uint8Array(slabPages * blockSizeBytes);
    const page = this.#slab.subarray(0, blockSizeBytes);
    this.#slab = this.#slab.subarray(blockSizeBytes);
    return page;
  }

  /** This checkpoint's root needs the page no more. */
  supersede(pbn: number): void {
    this.#state.freeMetaPage(pbn, this.#state.checkpointNumber);
  }

  /** Places a byte string; returns where it begins, and all its pages. */
  placeStream(bytes: Uint8Array, owner: StreamOwner): { pointer: MetadataPointer; pbns: number[] } {
    if (bytes.length === 0) return { pointer: nullPointer, pbns: [] };
    const pbns: number[] = [];
    let payloads = split(bytes, streamPageBytes);
    for (let level = 0; ; level++) {
      const pointers = payloads.map((payload, index) => {
        const place = { ...owner, level, index, generation: this.generation };
        const pointer = this.place((page) => encodeStreamPage(payload, place, page));
        pbns.push(pointer.pbn);
        return { ...pointer, birth: 0 };
      });
      if (pointers.length === 1) return { pointer: pointers[0]!, pbns };
      payloads = split(encodePointers(pointers), streamPagePointers * metadataPointerBytes);
    }
  }
}

function split(bytes: Uint8Array, partBytes: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; start += partBytes) {
    parts.push(bytes.subarray(start, start + partBytes));
  }
  return parts;
}

function encodePointers(pointers: readonly MetadataPointer[]): Uint8Array {
  const bytes = new Uint8Array(pointers.length * metadataPointerBytes);
  const view = viewOf(bytes);
  for (const [index, pointer] of pointers.entries()) {
    encodePointer(view, index * metadataPointerBytes, pointer);
  }
  return bytes;
}
