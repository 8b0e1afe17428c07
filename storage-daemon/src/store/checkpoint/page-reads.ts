/**
 * Reads pages of metadata and compares each with the pointer that names it: one at a time, or many with few requests.
 * A checkpoint lays its pages side by side, so opening a pool of ten thousand snapshots is a few hundred reads of a
 * mebibyte instead of tens of thousands of 4 KiB.
 */
import type { IoTracker } from '../../allocator/io-tracker.ts';
import { crc32c } from '../../format/checksum.ts';
import type { MetadataPointer } from '../../format/metadata-pointer.ts';
import type { ReadPage } from '../../map/map-pages.ts';
import { blockSizeBytes } from '../../units.ts';
import { ioFailure, type PoolDevices } from '../pool-devices.ts';
import { StoreError } from '../store-error.ts';
import { forEachConcurrently } from './for-each-concurrently.ts';

/** What a page is compared with. */
export type PagePointer = Pick<MetadataPointer, 'pbn' | 'crc'>;

/** Why this is not the page of the pointer: lost data, never an empty page instead. */
function findDamage(cell: number, pointer: PagePointer, page: Uint8Array): StoreError | null {
  if (crc32c(page) === pointer.crc) return null;
  const action = `Reading metadata block ${pointer.pbn} of cell ${cell}`;
  return new StoreError('data-loss', `${action} failed: its checksum is wrong`);
}

/** Reads one page at a time; its bytes are the caller's until `done` returns, and are used again then. */
export function createPageReader(
  cell: number,
  dependencies: { devices: PoolDevices; tracker: IoTracker },
): ReadPage {
  const { devices, tracker } = dependencies;
  const free: Uint8Array[] = [];
  return (pointer, done) => {
    const page = free.pop() ?? new Uint8Array(blockSizeBytes);
    const generation = tracker.begin();
    devices.read(pointer.pbn, page, (error) => {
      tracker.end(generation);
      if (error) {
        done(ioFailure(`Reading metadata block ${pointer.pbn} of cell ${cell}`, error), page);
      } else done(findDamage(cell, pointer, page), page);
      free.push(page);
    });
  };
}

/** Blocks of one read: 1 MiB. */
const runBlocksMax = 256;
/** Blocks between two pages that are read along: a request costs more than they do. */
const gapBlocksMax = 16;
/** Reads under way at once: what fills a drive's queues while their buffers stay below 16 MiB. */
const runReadsMax = 16;

/** Calls `visit` once for each pointer, in any order; the page's bytes are the visitor's until it returns. */
export type ReadPages = (
  pointers: readonly PagePointer[],
  visit: (index: number, page: Uint8Array) => void,
) => Promise<void>;

/** Reads pages in runs; each is compared with its pointer. */
export function createRunReader(
  options: { cell: number; groupBlocks: number },
  dependencies: { devices: PoolDevices; tracker: IoTracker },
): ReadPages {
  const { cell, groupBlocks } = options;
  const { devices, tracker } = dependencies;
  const read = (pbn: number, target: Uint8Array): Promise<Error | null> =>
    new Promise((resolve) => {
      const generation = tracker.begin();
      devices.read(pbn, target, (error) => {
        tracker.end(generation);
        const action = `Reading ${target.length / blockSizeBytes} metadata blocks at ${pbn} of cell ${cell}`;
        resolve(error && ioFailure(action, error));
      });
    });
  return async (pointers, visit) => {
    const runs = findRuns(pointers, groupBlocks);
    await forEachConcurrently(
      runs,
      async ({ pbn, count, indexes }) => {
        const bytes = new Uint8Array(count * blockSizeBytes);
        const failure = await read(pbn, bytes);
        if (failure && count === 1) throw failure;
        // What could not be read may be a block between the pages, of which nobody asked.
        const isWhole = failure === null;
        for (const index of indexes) {
          const pointer = pointers[index]!;
          const start = (pointer.pbn - pbn) * blockSizeBytes;
          const page = bytes.subarray(start, start + blockSizeBytes);
          const pageFailure = isWhole ? null : await read(pointer.pbn, page);
          const damage = pageFailure ?? findDamage(cell, pointer, page);
          if (damage) throw damage;
          visit(index, page);
        }
      },
      runReadsMax,
    );
  };
}

interface Run {
  readonly pbn: number;
  count: number;
  /** Of the pointers in it. */
  readonly indexes: number[];
}

/** Pages by block, in runs that stay within a group. */
function findRuns(pointers: readonly PagePointer[], groupBlocks: number): Run[] {
  const order = Uint32Array.from(pointers.keys());
  order.sort((a, b) => pointers[a]!.pbn - pointers[b]!.pbn);
  const runs: Run[] = [];
  for (const index of order) {
    const { pbn } = pointers[index]!;
    const last = runs.at(-1);
    const isNear =
      last &&
      pbn - (last.pbn + last.count) <= gapBlocksMax &&
      pbn - last.pbn < runBlocksMax &&
      Math.floor(pbn / groupBlocks) === Math.floor(last.pbn / groupBlocks);
    if (isNear) {
      last.count = Math.max(last.count, pbn - last.pbn + 1);
      last.indexes.push(index);
    } else runs.push({ pbn, count: 1, indexes: [index] });
  }
  return runs;
}
