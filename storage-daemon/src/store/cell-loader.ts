/**
 * Loads what a durable root holds into memory: groups, catalog, dead lists, free queue. Maps are read when they are
 * used.
 */
import { GroupBitmap } from '../allocator/group-bitmap.ts';
import { KnownBitmaps } from '../allocator/known-bitmaps.ts';
import type { GroupOwners } from '../allocator/group-owners.ts';
import type { IoTracker } from '../allocator/io-tracker.ts';
import { decodeText } from '../format/byte-fields.ts';
import {
  catalogRecordBytes,
  catalogRecordsPerPage,
  decodeCatalogRecord,
  type CatalogRecord,
} from '../format/catalog-record.ts';
import type { CellRoot } from '../format/cell-root.ts';
import { decodeDeadDirectory, decodeFreeQueue } from '../format/dead-list.ts';
import { decodeGroupListPage, groupEntriesPerPage, type GroupEntry } from '../format/group-list.ts';
import { PageType } from '../format/page-header.ts';
import { bitmapSlots } from '../format/pool-layout.ts';
import type { ReadPage } from '../map/map-pages.ts';
import { DeadList } from '../reclaim/dead-list.ts';
import { CellState, type CellOptions } from './cell-state.ts';
import type { CellTables } from './checkpoint/checkpoint-image.ts';
import type { ReadPages } from './checkpoint/page-reads.ts';
import { PageSource } from './checkpoint/page-source.ts';
import { PageTable } from './checkpoint/page-table.ts';
import { StoreError } from './store-error.ts';
import { TreeNode } from './tree-node.ts';

/** What loading works with. */
export interface LoadDependencies {
  readonly owners: GroupOwners;
  readonly tracker: IoTracker;
  readonly readPage: ReadPage;
  readonly readPages: ReadPages;
}

/** A cell in memory. */
export interface LoadedCell {
  readonly state: CellState;
  readonly tables: CellTables;
}

/** A cell that holds nothing: what a root is loaded into, and what format begins with. */
export function createEmptyCell(
  options: CellOptions,
  dependencies: Omit<LoadDependencies, 'readPages'>,
): LoadedCell {
  const { cell, geometry } = options;
  const table = { cell, fanOut: geometry.tableFanOut };
  return {
    state: new CellState(options, dependencies),
    tables: {
      catalog: new PageTable({ ...table, type: PageType.catalogTable }),
      groupList: new PageTable({ ...table, type: PageType.groupListTable }),
    },
  };
}

/** Loads a cell. @throws StoreError `data-loss` for anything that is not as its checksum or the format says */
export async function loadCell(
  root: CellRoot,
  options: CellOptions,
  dependencies: LoadDependencies,
): Promise<LoadedCell> {
  const loaded = createEmptyCell(options, dependencies);
  const source = new PageSource(root, dependencies);
  await loadGroups(root, loaded, { source, owners: dependencies.owners });
  await loadCatalog(root, loaded, source);
  const { state } = loaded;
  const { pointer } = root.freeQueue;
  const { bytes, pbns } = await source.stream(pointer, { cell: root.cell, family: 0 });
  const items = source.decode(`the free queue of cell ${root.cell}`, () => decodeFreeQueue(bytes));
  state.queue.load(items, { nextId: root.nextQueueItemId, streamPages: pbns, pointer });
  state.nextFamilyId = root.nextFamilyId;
  return loaded;
}

async function loadGroups(
  root: CellRoot,
  { state, tables }: LoadedCell,
  { source, owners }: { source: PageSource; owners: GroupOwners },
): Promise<void> {
  await tables.groupList.load(root.groupList, source);
  const entries: GroupEntry[][] = [];
  const { present } = tables.groupList;
  await source.pages(
    present.map((index) => tables.groupList.pointer(index)!),
    (at, page) => {
      const left = root.groupList.count - present[at]! * groupEntriesPerPage;
      entries[at] = source.decode(`the group list of cell ${root.cell}`, () =>
        decodeGroupListPage(page, Math.min(groupEntriesPerPage, left)),
      );
    },
  );
  const bitmaps = await loadBitmaps(entries.flat(), state, source);
  for (const bitmap of bitmaps) {
    if (!owners.claim(bitmap.group, root.cell)) {
      throw lost(root.cell, `group ${bitmap.group} is listed twice`);
    }
    state.allocator.addGroup(bitmap);
  }
  state.allocator.loadMetadataCount(root.metadataBlocks);
  const { allocatedCount } = state.allocator;
  if (allocatedCount !== root.allocatedBlocks) {
    throw lost(root.cell, `${allocatedCount} blocks are allocated, not ${root.allocatedBlocks}`);
  }
}

/**
 * Reads the bitmaps of the groups that are partly used. Of a full or an empty one the bits are known: where the
 * checksum in the list is theirs, nothing has to be read, so opening a pool that is full of data reads few.
 */
async function loadBitmaps(
  entries: readonly GroupEntry[],
  state: CellState,
  source: PageSource,
): Promise<GroupBitmap[]> {
  const { groupBlocks } = state.geometry;
  const known = new KnownBitmaps(groupBlocks);
  const bitmaps = entries.map((entry) => known.create(entry));
  const missing = [...bitmaps.keys()].filter((index) => bitmaps[index] === undefined);
  const pointers = missing.map((index) => {
    const { group, slotGeneration, bitmapCrc } = entries[index]!;
    return { pbn: group * groupBlocks + (slotGeneration % bitmapSlots), crc: bitmapCrc };
  });
  await source.pages(pointers, (at, page) => {
    const index = missing[at]!;
    bitmaps[index] = createBitmap(entries[index]!, page, state);
  });
  return bitmaps.map((bitmap) => bitmap!);
}

function createBitmap(entry: GroupEntry, page: Uint8Array, state: CellState): GroupBitmap {
  const { groupBlocks } = state.geometry;
  const bitmap = new GroupBitmap(entry.group, groupBlocks);
  bitmap.load(page);
  bitmap.slotGeneration = entry.slotGeneration;
  bitmap.bitmapCrc = entry.bitmapCrc;
  const freeCount = groupBlocks - bitmap.allocatedCount;
  if (freeCount !== entry.freeBlocks) {
    throw lost(
      state.cell,
      `group ${entry.group} has ${freeCount} free blocks, not ${entry.freeBlocks}`,
    );
  }
  return bitmap;
}

async function loadCatalog(
  root: CellRoot,
  { state, tables }: LoadedCell,
  source: PageSource,
): Promise<void> {
  await tables.catalog.load(root.catalog, source);
  const records: CatalogRecord[] = [];
  await source.pages(
    tables.catalog.present.map((index) => tables.catalog.pointer(index)!),
    (_, page) => {
      for (let slot = 0; slot < catalogRecordsPerPage; slot++) {
        const bytes = page.subarray(slot * catalogRecordBytes, (slot + 1) * catalogRecordBytes);
        const record = source.decode(`the catalog of cell ${root.cell}`, () =>
          decodeCatalogRecord(bytes),
        );
        if (record) records.push(record);
      }
    },
  );
  records.sort((a, b) => a.id - b.id);
  for (const record of records) state.addNode(TreeNode.fromRecord(record, ''));
  for (const { id, parent } of records) {
    if (parent === undefined) continue;
    const [child, above] = [state.nodes.get(id)!, state.nodes.get(parent)];
    if (!above) throw lost(root.cell, `node ${id} has a parent ${parent} that does not exist`);
    child.parent = above;
    above.children.add(child);
  }
  await loadNodeStreams(records, state, source);
}

type NodeStream = 'attributes' | 'deadData' | 'deadMeta';

/** Attributes and dead lists of all nodes, in as few requests as their pages allow. */
async function loadNodeStreams(
  records: readonly CatalogRecord[],
  state: CellState,
  source: PageSource,
): Promise<void> {
  const streams: NodeStream[] = ['attributes', 'deadData', 'deadMeta'];
  const requests = records.flatMap((record) =>
    streams
      .filter((stream) => record[stream].pbn !== 0)
      .map((stream) => ({
        id: record.id,
        stream,
        pointer: record[stream],
        owner: { cell: state.cell, family: record.family },
      })),
  );
  await source.streams(requests, (index, { bytes, pbns }) => {
    const { id, stream, pointer, owner } = requests[index]!;
    const node = state.nodeOf(id);
    if (stream === 'attributes') {
      node.attributes = decodeText(bytes);
      return;
    }
    const buckets = source.decode(`a dead list of cell ${state.cell}`, () =>
      decodeDeadDirectory(bytes),
    );
    const place = { family: owner.family, directoryPages: pbns, pointer };
    node[stream] = DeadList.load(buckets, place);
  });
}

function lost(cell: number, reason: string): StoreError {
  return new StoreError('data-loss', `Opening cell ${cell} failed: ${reason}`);
}
