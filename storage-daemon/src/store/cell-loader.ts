/**
 * Loads what a durable root holds into memory: groups, catalog, dead lists, free queue. Maps are read when they are
 * used.
 */
import { GroupBitmap } from '../allocator/group-bitmap.ts';
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
import type { MetadataPointer } from '../format/metadata-pointer.ts';
import { PageType } from '../format/page-header.ts';
import { bitmapSlots } from '../format/pool-layout.ts';
import type { ReadPage } from '../map/map-pages.ts';
import { DeadList } from '../reclaim/dead-list.ts';
import { CellState, type CellOptions } from './cell-state.ts';
import type { CellTables } from './checkpoint/checkpoint-image.ts';
import { PageSource, forEachConcurrently } from './checkpoint/page-source.ts';
import { PageTable } from './checkpoint/page-table.ts';
import { StoreError } from './store-error.ts';
import { TreeNode } from './tree-node.ts';

/** What loading works with. */
export interface LoadDependencies {
  readonly owners: GroupOwners;
  readonly tracker: IoTracker;
  readonly readPage: ReadPage;
}

/** A cell in memory. */
export interface LoadedCell {
  readonly state: CellState;
  readonly tables: CellTables;
}

/** A cell that holds nothing: what a root is loaded into, and what format begins with. */
export function createEmptyCell(options: CellOptions, dependencies: LoadDependencies): LoadedCell {
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
  const entries: GroupEntry[] = [];
  for (const index of tables.groupList.present) {
    const page = await source.page(tables.groupList.pointer(index)!);
    const count = Math.min(groupEntriesPerPage, root.groupList.count - index * groupEntriesPerPage);
    entries.push(
      ...source.decode(`the group list of cell ${root.cell}`, () =>
        decodeGroupListPage(page, count),
      ),
    );
  }
  const bitmaps: GroupBitmap[] = [];
  await forEachConcurrently(entries, async (entry, index) => {
    bitmaps[index] = await loadBitmap(entry, state, source);
  });
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

async function loadBitmap(
  entry: GroupEntry,
  state: CellState,
  source: PageSource,
): Promise<GroupBitmap> {
  const { groupBlocks } = state.geometry;
  const pbn = entry.group * groupBlocks + (entry.slotGeneration % bitmapSlots);
  const page = await source.page({ pbn, crc: entry.bitmapCrc });
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
  await forEachConcurrently(tables.catalog.present, async (index) => {
    const page = await source.page(tables.catalog.pointer(index)!);
    for (let slot = 0; slot < catalogRecordsPerPage; slot++) {
      const bytes = page.subarray(slot * catalogRecordBytes, (slot + 1) * catalogRecordBytes);
      const record = source.decode(`the catalog of cell ${root.cell}`, () =>
        decodeCatalogRecord(bytes),
      );
      if (record) records.push(record);
    }
  });
  records.sort((a, b) => a.id - b.id);
  const nodes: TreeNode[] = [];
  await forEachConcurrently(records, async (record, index) => {
    nodes[index] = await loadNode(record, root.cell, source);
  });
  for (const node of nodes) state.addNode(node);
  for (const { id, parent } of records) {
    if (parent === undefined) continue;
    const [child, above] = [state.nodes.get(id)!, state.nodes.get(parent)];
    if (!above) throw lost(root.cell, `node ${id} has a parent ${parent} that does not exist`);
    child.parent = above;
    above.children.add(child);
  }
}

async function loadNode(
  record: CatalogRecord,
  cell: number,
  source: PageSource,
): Promise<TreeNode> {
  const owner = { cell, family: record.family };
  const attributes = await source.stream(record.attributes, owner);
  const node = TreeNode.fromRecord(record, decodeText(attributes.bytes));
  node.deadData = await loadList(record.deadData, owner, source);
  node.deadMeta = await loadList(record.deadMeta, owner, source);
  return node;
}

async function loadList(
  pointer: MetadataPointer,
  owner: { cell: number; family: number },
  source: PageSource,
): Promise<DeadList> {
  const { bytes, pbns } = await source.stream(pointer, owner);
  const buckets = source.decode(`a dead list of cell ${owner.cell}`, () =>
    decodeDeadDirectory(bytes),
  );
  return DeadList.load(buckets, { family: owner.family, directoryPages: pbns, pointer });
}

function lost(cell: number, reason: string): StoreError {
  return new StoreError('data-loss', `Opening cell ${cell} failed: ${reason}`);
}
