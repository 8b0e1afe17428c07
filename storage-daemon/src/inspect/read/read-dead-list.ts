/** Sequences of dead blocks: dead lists of nodes and items of the free queue. */
import {
  type DeadSegmentRecord,
  decodeDeadDirectory,
  decodeDeadPage,
} from '../../format/dead-list.ts';
import type { MetadataPointer } from '../../format/metadata-pointer.ts';
import type { StreamOwner } from '../../format/stream-page.ts';
import { BlockList } from './block-list.ts';
import type { PoolReader } from './pool-reader.ts';
import { readStream } from './read-stream.ts';

/** A sequence as it lies on disk. */
export interface DeadSequence {
  /** In order. */
  readonly blocks: BlockList;
  /** Pages of entries, and how many entries there are up to the end of each. */
  readonly pages: readonly { readonly pbn: number; readonly endIndex: number }[];
}

/** A bucket of a dead list: what it says of itself, and what is in it. */
export interface DeadBucket {
  readonly birthLow: number;
  readonly blockCount: number;
  readonly entryCount: number;
  /** Births of its entries; Infinity and 0 if there are none. */
  readonly lowest: number;
  readonly highest: number;
}

/** The dead list of a node, of data or of map pages. */
export interface DeadList {
  readonly buckets: readonly DeadBucket[];
  /** All blocks of all buckets, sorted. */
  readonly blocks: BlockList;
  /** Pages of the directory and of entries. */
  readonly pbns: readonly number[];
}

/**
 * Reads the entries of all segments.
 *
 * @throws CorruptionError
 */
export async function readSequence(
  reader: PoolReader,
  segments: readonly DeadSegmentRecord[],
): Promise<DeadSequence> {
  const blocks = new BlockList();
  const pages: { pbn: number; endIndex: number }[] = [];
  for (const segment of segments) {
    const { pbns, births } =
      segment.kind === 'page'
        ? decodeDeadPage(await reader.readPage(segment), segment.count)
        : segment;
    for (const [index, pbn] of pbns.entries()) blocks.add(pbn, births[index]!);
    if (segment.kind === 'page') pages.push({ pbn: segment.pbn, endIndex: blocks.length });
  }
  return { blocks, pages };
}

/**
 * Reads a dead list; a null pointer is an empty one.
 *
 * @throws CorruptionError
 */
export async function readDeadList(
  reader: PoolReader,
  pointer: MetadataPointer,
  owner: StreamOwner,
): Promise<DeadList> {
  const stream = await readStream(reader, pointer, owner);
  const pbns = [...stream.pbns];
  const blocks = new BlockList();
  const buckets: DeadBucket[] = [];
  for (const { segments, ...bucket } of decodeDeadDirectory(stream.bytes)) {
    const { blocks: entries, pages } = await readSequence(reader, segments);
    let lowest = Infinity;
    let highest = 0;
    for (let index = 0; index < entries.length; index++) {
      const birth = entries.birth(index);
      lowest = Math.min(lowest, birth);
      highest = Math.max(highest, birth);
      blocks.add(entries.pbn(index), birth);
    }
    buckets.push({ ...bucket, entryCount: entries.length, lowest, highest });
    for (const { pbn } of pages) pbns.push(pbn);
  }
  return { buckets, blocks: blocks.sort(), pbns };
}
