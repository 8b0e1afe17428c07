/**
 * Pages of a volume's map in memory. A frame is one page; nodes that share a page share the frame. The birth of a
 * page stands in the pointer to it, in the parent's frame or the node: never in the frame itself, which a sibling may
 * have changed in place since (a walk that read it there would free what others use).
 *
 * - clean: `pbn` holds these bytes. dirty: `pbn` is 0, or the page that the next checkpoint supersedes.
 * - freed: `pbn` is 0 and it is not dirty. Only the map of a dying node may still name such a page, and never reads it.
 * - evicted: it was clean, and its content was given up. Links to it may be left; whoever follows one finds that out,
 *   takes `pbn` and `crc` from it and looks for the page anew.
 * - A frame with a dirty child is dirty. A dirty frame belongs to the one node that may change it, or is frozen by
 *   snapshots.
 */
import { assertNever } from '@varve/common/assert';

import {
  copyLeaf,
  emptyLeaf,
  extensionRecords,
  inlineRecords,
  splitRecordWords,
  type MapLeaf,
  type SplitRecord,
} from '../format/map-leaf.ts';
import { emptyTable, type TablePointers } from '../format/table-page.ts';
import type { LeafMemory } from './leaf-memory.ts';

interface FrameState {
  pbn: number;
  crc: number;
  isDirty: boolean;
  readonly family: number;
  /** Height above the leaves; an extension has that of its leaf. */
  readonly level: number;
  /** Position among the pages of its level. */
  readonly index: number;
  isEvicted: boolean;
  /** Passes of the clock's hand that it outlives; each use gives it back all. */
  chances: number;
  /** Operations that wait with it in hand, and checkpoints that write it: it is not evicted. */
  holdCount: number;
  /** Where the clock has it; -1 if it is not there. */
  clockIndex: number;
}

/** A page of pointers. */
export interface TableFrame extends FrameState {
  readonly kind: 'table';
  pointers: TablePointers;
  /** Resident children. */
  children: (MapFrame | undefined)[];
}

/** A leaf. */
export interface LeafFrame extends FrameState {
  readonly kind: 'leaf';
  leaf: MapLeaf;
  /** Resident extension pages. */
  extensions: (ExtensionFrame | undefined)[];
  /** Number of the last record that changed it: FUA asks whether its mapping is durable. */
  lastRecord: number;
}

/** A page of split records of a leaf. */
export interface ExtensionFrame extends FrameState {
  readonly kind: 'extension';
  records: (SplitRecord | undefined)[];
}

/** Any page of a map. */
export type MapFrame = TableFrame | LeafFrame | ExtensionFrame;

/** Where a frame stands. */
export type FramePlace = Readonly<Pick<FrameState, 'family' | 'level' | 'index'>>;

/** How a frame begins that no clock has seen. */
export const newResidence = { isEvicted: false, chances: 0, holdCount: 0, clockIndex: -1 } as const;
const unwritten = { ...newResidence, pbn: 0, crc: 0, isDirty: true } as const;
/** What evicted frames share: never looked at. */
const noLeaf = emptyLeaf();
const noTable = emptyTable();

/** A table without children. */
export function newTableFrame(place: FramePlace): TableFrame {
  return { ...unwritten, ...place, kind: 'table', pointers: emptyTable(), children: [] };
}

/** A leaf that maps nothing. */
export function newLeafFrame(place: FramePlace, leaf: MapLeaf): LeafFrame {
  return { ...unwritten, ...place, kind: 'leaf', leaf, extensions: [], lastRecord: 0 };
}

/** An extension without records. */
export function newExtensionFrame(place: FramePlace): ExtensionFrame {
  const records = Array.from({ length: extensionRecords }, () => undefined);
  return { ...unwritten, ...place, kind: 'extension', records };
}

/** Gives up the content of a clean frame. What links to it is found out by whoever follows the link. */
export function dropContent(frame: MapFrame): void {
  frame.isEvicted = true;
  switch (frame.kind) {
    case 'table':
      frame.pointers = noTable;
      frame.children = [];
      return;
    case 'leaf':
      frame.leaf = noLeaf;
      frame.extensions = [];
      return;
    case 'extension':
      frame.records = [];
      return;
    default:
      assertNever(frame, 'map frame');
  }
}

/** An independent, unwritten copy with the same content and children. */
export function copyFrame<F extends MapFrame>(frame: F, leaves: LeafMemory): F;
export function copyFrame(frame: MapFrame, leaves: LeafMemory): MapFrame {
  switch (frame.kind) {
    case 'table': {
      const { pbn, crc, birth } = frame.pointers;
      const pointers = { pbn: pbn.slice(), crc: crc.slice(), birth: birth.slice() };
      return { ...frame, ...unwritten, pointers, children: [...frame.children] };
    }
    case 'leaf':
      return {
        ...frame,
        ...unwritten,
        leaf: copyLeaf(frame.leaf, leaves.take()),
        extensions: [...frame.extensions],
      };
    case 'extension':
      return { ...frame, ...unwritten, records: copyRecords(frame.records) };
    default:
      return assertNever(frame, 'map frame');
  }
}

/** In one piece of memory: a piece for each record took longer than all else that copies a page. */
function copyRecords(records: readonly (SplitRecord | undefined)[]): (SplitRecord | undefined)[] {
  const words = new Uint32Array(records.length * splitRecordWords);
  return records.map((record, index) => {
    if (record === undefined) return undefined;
    const copy = words.subarray(index * splitRecordWords, (index + 1) * splitRecordWords);
    copy.set(record);
    return copy;
  });
}

/** Which extension page holds a split record, and where; undefined for an inline one. */
export function extensionPlace(splitIndex: number): { page: number; slot: number } | undefined {
  if (splitIndex < inlineRecords) return undefined;
  const beyond = splitIndex - inlineRecords;
  return { page: Math.floor(beyond / extensionRecords), slot: beyond % extensionRecords };
}

/** True if a table has a child at this position, resident or not. */
export function hasChild(table: TableFrame, position: number): boolean {
  return table.children[position] !== undefined || table.pointers.pbn[position] !== 0;
}

/** True if a leaf has this extension page, resident or not. */
export function hasExtension(leaf: LeafFrame, page: number): boolean {
  return leaf.extensions[page] !== undefined || leaf.leaf.extPbn[page] !== 0;
}
