/**
 * The cut of a checkpoint: in one go, between two records, every dirty thing gets its block and its bytes (J11),
 * parents after children, bitmaps last. The image is the state at the cut, less the pages that this very checkpoint
 * supersedes, plus those that it writes. Afterwards records go on changing the state; the bytes are taken.
 */
import { assert } from '@varve/common/assert';

import { bitmapSlots } from '../../format/pool-layout.ts';
import {
  catalogRecordBytes,
  catalogRecordsPerPage,
  encodeCatalogRecord,
} from '../../format/catalog-record.ts';
import type { CellRoot, JournalStart } from '../../format/cell-root.ts';
import { encodeText } from '../../format/byte-fields.ts';
import {
  encodeDeadDirectory,
  encodeDeadPage,
  encodeFreeQueue,
  type DeadEntries,
} from '../../format/dead-list.ts';
import {
  encodeGroupListPage,
  groupEntriesPerPage,
  type GroupEntry,
} from '../../format/group-list.ts';
import { encodeMapExtension, encodeMapLeaf, extensionsMax } from '../../format/map-leaf.ts';
import { PageType } from '../../format/page-header.ts';
import { encodeTablePage } from '../../format/table-page.ts';
import type { GroupBitmap } from '../../allocator/group-bitmap.ts';
import type { LeafFrame, MapFrame, TableFrame } from '../../map/map-frame.ts';
import { removeChild, removeExtension } from '../../map/map-tree.ts';
import type { CellState } from '../cell-state.ts';
import { PageSink, type PlacedPage } from './page-sink.ts';
import type { PageTable } from './page-table.ts';

/** What a checkpoint writes. */
export interface CheckpointImage {
  readonly root: CellRoot;
  readonly pages: readonly PlacedPage[];
  /** Pages of maps among them: held in memory until the root is durable. */
  readonly frames: readonly MapFrame[];
}

/** What the cut needs to know besides the state. */
export interface CutOptions {
  readonly poolUuid: Uint8Array;
  readonly rootGeneration: number;
  readonly openGeneration: number;
  readonly journalStart: JournalStart;
}

/** The tables of pages of a cell. */
export interface CellTables {
  readonly catalog: PageTable;
  readonly groupList: PageTable;
}

/** Pages that a cut would allocate now, at most. */
export function demandPages(state: CellState, tables: CellTables): number {
  let pages = state.dirtyFrames.size + state.dirtyAttributes.size + state.queue.demandPages;
  for (const list of state.dirtyLists) pages += list.demandPages;
  pages += tables.catalog.demandPages(state.dirtyCatalogPages);
  const groupPages = Math.ceil(state.allocator.groupCount / groupEntriesPerPage);
  return (
    pages + tables.groupList.demandPages(Array.from({ length: groupPages }, (_, index) => index))
  );
}

/** Cuts: the state is clean afterwards. */
export function cutCheckpoint(
  state: CellState,
  tables: CellTables,
  options: CutOptions,
): CheckpointImage {
  state.checkpointNumber++;
  const sink = new PageSink({ generation: options.rootGeneration }, { state });
  const frames = placeFrames(state, sink);
  placeLists(state, sink);
  placeAttributes(state, sink);
  const catalog = placeCatalog(state, tables, sink);
  placeQueue(state, sink);
  const groupList = placeGroups(state, tables, sink);
  const { queue, allocator } = state;
  const root: CellRoot = {
    cell: state.cell,
    poolUuid: options.poolUuid,
    rootGeneration: options.rootGeneration,
    openGeneration: options.openGeneration,
    journalStart: options.journalStart,
    nextFamilyId: state.nextFamilyId,
    nextQueueItemId: queue.nextId,
    catalog,
    groupList,
    freeQueue: { pointer: queue.pointer, count: queue.itemCount },
    allocatedBlocks: allocator.allocatedCount,
    metadataBlocks: allocator.metadataCount,
    reservedBlocks: state.geometry.reserveBlocks,
    slackBlocks: state.slackBlocks,
  };
  return { root, pages: sink.pages, frames };
}

/** Extensions before leaves, leaves before tables, lower tables before higher ones. */
function placeFrames(state: CellState, sink: PageSink): MapFrame[] {
  const rank = (frame: MapFrame) => (frame.kind === 'extension' ? -1 : frame.level);
  const frames = [...state.dirtyFrames].sort((a, b) => rank(a) - rank(b) || a.index - b.index);
  for (const frame of frames) {
    if (frame.pbn !== 0) sink.supersede(frame.pbn);
    const { pbn, crc } = sink.place((page) => encodeFrame(state, frame, { sink, page }));
    frame.pbn = pbn;
    frame.crc = crc;
    frame.isDirty = false;
    state.pages.add(frame);
    state.pages.hold(frame);
  }
  state.dirtyFrames.clear();
  return frames;
}

function encodeFrame(
  state: CellState,
  frame: MapFrame,
  { sink, page }: { sink: PageSink; page: Uint8Array },
): void {
  const { family, level, index } = frame;
  const place = (type: PageType) => ({
    position: { type, level, cell: state.cell, family, index },
    generation: sink.generation,
  });
  switch (frame.kind) {
    case 'extension':
      return encodeMapExtension(frame.records, page);
    case 'leaf':
      pointAtExtensions(frame);
      return encodeMapLeaf(frame.leaf, place(PageType.mapLeaf), page);
    case 'table':
      pointAtChildren(frame);
      return encodeTablePage(frame.pointers, place(PageType.mapTable), page);
  }
}

function pointAtExtensions(leaf: LeafFrame): void {
  for (let page = 0; page < extensionsMax; page++) {
    const extension = leaf.extensions[page];
    if (!extension) continue;
    if (isFreed(extension)) {
      removeExtension(leaf, page);
      continue;
    }
    leaf.leaf.extPbn[page] = extension.pbn;
    leaf.leaf.extCrc[page] = extension.crc;
    if (extension.isEvicted) leaf.extensions[page] = undefined;
  }
}

function pointAtChildren(table: TableFrame): void {
  for (const [position, child] of table.children.entries()) {
    if (!child) continue;
    if (isFreed(child)) {
      removeChild(table, position);
      continue;
    }
    table.pointers.pbn[position] = child.pbn;
    table.pointers.crc[position] = child.crc;
    if (child.isEvicted) table.children[position] = undefined;
  }
}

/** True for a page that others have freed: what points to it belongs to a dying node, which never asks for it. */
function isFreed(frame: MapFrame): boolean {
  assert(frame.pbn !== 0 || !frame.isDirty, 'a page is to be stored before what it points to');
  return frame.pbn === 0;
}

function placeEntries(sink: PageSink): (entries: DeadEntries) => { pbn: number; crc: number } {
  return (entries) => sink.place((page) => encodeDeadPage(entries, page));
}

function placeLists(state: CellState, sink: PageSink): void {
  for (const list of state.dirtyLists) {
    list.resolveFrames();
    const buckets = list.spill(placeEntries(sink));
    for (const pbn of list.directoryPages) sink.supersede(pbn);
    const owner = { cell: state.cell, family: list.family };
    const { pointer, pbns } = sink.placeStream(encodeDeadDirectory(buckets), owner);
    list.pointer = pointer;
    list.directoryPages = pbns;
    list.isDirty = false;
  }
  state.dirtyLists.clear();
}

function placeAttributes(state: CellState, sink: PageSink): void {
  for (const node of state.dirtyAttributes) {
    if (node.attributesPage.pbn !== 0) sink.supersede(node.attributesPage.pbn);
    const owner = { cell: state.cell, family: node.family };
    node.attributesPage = sink.placeStream(encodeText(node.attributes), owner).pointer;
  }
  state.dirtyAttributes.clear();
}

function placeCatalog(state: CellState, tables: CellTables, sink: PageSink) {
  for (const index of state.dirtyCatalogPages) {
    const first = index * catalogRecordsPerPage;
    const nodes = Array.from({ length: catalogRecordsPerPage }, (_, slot) =>
      state.nodes.get(first + slot),
    );
    const encode = (page: Uint8Array) => {
      for (const [slot, node] of nodes.entries()) {
        const start = slot * catalogRecordBytes;
        const target = page.subarray(start, start + catalogRecordBytes);
        if (node) encodeCatalogRecord(node.toRecord(), target);
      }
    };
    const isEmpty = nodes.every((node) => node === undefined);
    tables.catalog.put(index, isEmpty ? undefined : encode, sink);
  }
  state.dirtyCatalogPages.clear();
  tables.catalog.allocateTables(sink);
  return tables.catalog.finish(sink);
}

function placeQueue(state: CellState, sink: PageSink): void {
  const { queue } = state;
  if (!queue.isDirty) return;
  const items = queue.spill(placeEntries(sink));
  for (const pbn of queue.streamPages) sink.supersede(pbn);
  const { pointer, pbns } = sink.placeStream(encodeFreeQueue(items), {
    cell: state.cell,
    family: 0,
  });
  queue.pointer = pointer;
  queue.streamPages = pbns;
  queue.isDirty = false;
}

/** Allocates the pages of the group list first, and only then takes the bitmaps, which they change. */
function placeGroups(state: CellState, tables: CellTables, sink: PageSink) {
  const { groups } = state.allocator;
  for (let start = 0; start < groups.length; start += groupEntriesPerPage) {
    const described = groups.slice(start, start + groupEntriesPerPage);
    tables.groupList.put(
      start / groupEntriesPerPage,
      (page) => encodeGroupListPage(described.map(describeGroup), page),
      sink,
    );
  }
  const pageCount = Math.ceil(groups.length / groupEntriesPerPage);
  for (const index of tables.groupList.present) {
    if (index >= pageCount) tables.groupList.put(index, undefined, sink);
  }
  tables.groupList.allocateTables(sink);
  for (const bitmap of groups) if (bitmap.isDirty) placeBitmap(state, bitmap, sink);
  return { ...tables.groupList.finish(sink), count: groups.length };
}

/** To the slot that the last root does not need. */
function placeBitmap(state: CellState, bitmap: GroupBitmap, sink: PageSink): void {
  bitmap.slotGeneration++;
  const slot = bitmap.slotGeneration % bitmapSlots;
  const pbn = bitmap.group * state.geometry.groupBlocks + slot;
  bitmap.bitmapCrc = sink.fill(pbn, (page) => bitmap.encode(page)).crc;
  bitmap.isDirty = false;
}

function describeGroup(bitmap: GroupBitmap): GroupEntry {
  const { group, blockCount, allocatedCount, bitmapCrc, slotGeneration } = bitmap;
  return { group, freeBlocks: blockCount - allocatedCount, bitmapCrc, slotGeneration };
}
