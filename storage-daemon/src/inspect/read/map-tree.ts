/** The map of one node: tables above leaves, leaves with extensions. */
import { checkFormat } from '../../format/corruption-error.ts';
import {
  decodeMapExtension,
  decodeMapLeaf,
  emptySplitRecord,
  extensionRecords,
  extensionsMax,
  inlineRecords,
  wholeMask,
  type MapLeaf,
  type SplitRecord,
} from '../../format/map-leaf.ts';
import type { MetadataPointer } from '../../format/metadata-pointer.ts';
import { PageType } from '../../format/page-header.ts';
import { decodeTablePage } from '../../format/table-page.ts';
import { clusterSizeBlocks } from '../../units.ts';
import type { PoolReader } from './pool-reader.ts';

/** Which tree a page belongs to. */
export interface MapOwner {
  readonly cell: number;
  readonly family: number;
}

/** Where a page stands in a map: height above the leaves, and its number at this height. */
export interface MapPosition {
  readonly level: number;
  readonly index: number;
}

/** A leaf with all that belongs to it. */
export interface LoadedLeaf {
  /** Pointers to its extensions; null where there is none. */
  readonly extensions: readonly MetadataPointer[];
  /**
   * Per cluster its record; undefined for a hole, or if the record is in an extension that was left out. A natural
   * cluster has one as well, with all of its 16 blocks.
   */
  readonly records: readonly (SplitRecord | undefined)[];
  /** Per cluster the birth of the page that holds the record. */
  readonly pageBirths: readonly number[];
  /** Per cluster the blocks of its record that hold no data, as a mask: of natural clusters only. */
  readonly slackMasks: readonly number[];
}

/**
 * The children of a table.
 *
 * @throws CorruptionError
 */
export async function loadTable(
  reader: PoolReader,
  { cell, family }: MapOwner,
  pointer: MetadataPointer,
  { level, index }: MapPosition,
): Promise<readonly MetadataPointer[]> {
  const page = await reader.readPage(pointer);
  const table = decodeTablePage(page, { type: PageType.mapTable, cell, family, level, index });
  const fanOut = reader.geometry.tableFanOut;
  const hasMore = table.pbn.some((pbn, child) => child >= fanOut && pbn !== 0);
  checkFormat(!hasMore, 'range', () => `a table has more than ${fanOut} pointers`, 128);
  return Array.from({ length: fanOut }, (_, child) => ({
    pbn: table.pbn[child]!,
    crc: table.crc[child]!,
    birth: table.birth[child]!,
  }));
}

/**
 * A leaf and those of its extensions that were born after `above`.
 *
 * @throws CorruptionError
 */
export async function loadLeaf(
  reader: PoolReader,
  { cell, family }: MapOwner,
  pointer: MetadataPointer,
  { index, above }: { index: number; above: number },
): Promise<LoadedLeaf> {
  const page = await reader.readPage(pointer);
  const leaf = decodeMapLeaf(page, { type: PageType.mapLeaf, level: 0, cell, family, index });
  const { leafClusters } = reader.geometry;
  const hasMore =
    leaf.splitIndex.some((split, cluster) => cluster >= leafClusters && split >= 0) ||
    leaf.base.some((base, cluster) => cluster >= leafClusters && base !== 0);
  checkFormat(!hasMore, 'range', () => `a leaf has more than ${leafClusters} clusters`, 128);
  const extensions = Array.from({ length: extensionsMax }, (_, extension) => ({
    pbn: leaf.extPbn[extension]!,
    crc: leaf.extCrc[extension]!,
    birth: leaf.extBirth[extension]!,
  }));
  await reader.fetchAhead(extensions.filter(({ birth }) => birth > above).map(({ pbn }) => pbn));
  const pages: (readonly (SplitRecord | undefined)[] | undefined)[] = [];
  for (const each of extensions) {
    const isWanted = each.pbn !== 0 && each.birth > above;
    pages.push(isWanted ? decodeMapExtension(await reader.readPage(each)) : undefined);
  }
  checkUse(leaf, pages);
  const records: (SplitRecord | undefined)[] = [];
  const pageBirths: number[] = [];
  const slackMasks: number[] = [];
  for (let cluster = 0; cluster < leafClusters; cluster++) {
    if (leaf.base[cluster] !== 0) {
      checkGroup(leaf.base[cluster]!, reader.geometry.groupBlocks, cluster);
      records.push(naturalRecord(leaf, cluster));
      pageBirths.push(pointer.birth);
      slackMasks.push(wholeMask & ~leaf.validMask[cluster]!);
      continue;
    }
    slackMasks.push(0);
    const split = leaf.splitIndex[cluster]!;
    const extension = Math.floor((split - inlineRecords) / extensionRecords);
    const isInline = split < inlineRecords;
    records.push(
      isInline
        ? leaf.inline[split]
        : pages[extension]?.[(split - inlineRecords) % extensionRecords],
    );
    pageBirths.push(isInline ? pointer.birth : extensions[extension]!.birth);
  }
  return { extensions, records, pageBirths, slackMasks };
}

function checkGroup(base: number, groupBlocks: number, cluster: number): void {
  const first = base * clusterSizeBlocks;
  const last = first + clusterSizeBlocks - 1;
  checkFormat(
    Math.floor(first / groupBlocks) === Math.floor(last / groupBlocks),
    'range',
    () => `natural cluster ${cluster}, blocks ${first} to ${last}, lies in two groups`,
    128 + 8 * cluster,
  );
}

/** The 16 blocks of a natural cluster as a split record. */
function naturalRecord(leaf: MapLeaf, cluster: number): SplitRecord {
  const record = emptySplitRecord();
  for (let block = 0; block < clusterSizeBlocks; block++) {
    record[block] = leaf.base[cluster]! * clusterSizeBlocks + block;
    record[clusterSizeBlocks + block] = leaf.birth[cluster]!;
  }
  return record;
}

/** Each record of an extension belongs to one cluster, and no cluster has an empty one. */
function checkUse(
  leaf: MapLeaf,
  pages: readonly (readonly (SplitRecord | undefined)[] | undefined)[],
): void {
  const used = new Set(leaf.splitIndex);
  for (const [extension, records] of pages.entries()) {
    for (const [position, record] of (records ?? []).entries()) {
      const index = inlineRecords + extension * extensionRecords + position;
      checkFormat(
        used.has(index) === (record !== undefined),
        'range',
        () => `split record ${index} is ${record ? 'there without use' : 'used and empty'}`,
        128 * position,
      );
    }
  }
}
