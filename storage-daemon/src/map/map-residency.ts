/**
 * Finds pages of a map that are not in memory. The map code is synchronous; whoever is about to use it asks here
 * first, loads what is missing and asks again, until nothing is.
 */
import { extensionsMax, inlineRecords } from '../format/map-leaf.ts';
import type { MetadataPointer } from '../format/metadata-pointer.ts';
import { leafBlocks, spanBlocks } from '../format/pool-layout.ts';
import type { PoolGeometry } from '../format/superblock.ts';
import { clusterSizeBlocks } from '../units.ts';
import {
  extensionPlace,
  hasExtension,
  type ExtensionFrame,
  type FramePlace,
  type LeafFrame,
  type MapFrame,
  type TableFrame,
} from './map-frame.ts';
import { isEmptyRoot, type MappedNode } from './map-root.ts';

/** A page to load. */
export interface MissingPage {
  readonly kind: MapFrame['kind'];
  readonly pointer: MetadataPointer;
  readonly place: FramePlace;
}

/** Pages that are in memory already, by block. */
export interface ResidentPages {
  get(pbn: number): MapFrame | undefined;
}

/** What a part of a map is needed for: to be looked at, or to be changed by a record. */
type MapUse = 'look' | 'change';

interface SearchedRange {
  readonly from: number;
  readonly end: number;
  readonly use: MapUse;
}

/** Looks for missing pages, and attaches those that another node has loaded. */
export class MapResidency {
  readonly #geometry: PoolGeometry;
  readonly #pages: ResidentPages;

  constructor(options: { geometry: PoolGeometry }, dependencies: { pages: ResidentPages }) {
    this.#geometry = options.geometry;
    this.#pages = dependencies.pages;
  }

  /** The first page that I/O on [lbn, lbn + count) needs and that is missing. */
  findMissing(
    node: MappedNode,
    lbn: number,
    count: number,
    use: MapUse = 'change',
  ): MissingPage | undefined {
    const root = this.attachRoot(node);
    if (!root) return undefined;
    if ('pointer' in root) return root;
    return this.#findBelow(root, { from: lbn, end: lbn + count, use });
  }

  /** The root's frame, what is missing for it, or undefined for an empty map. */
  attachRoot(node: MappedNode): MapFrame | MissingPage | undefined {
    const { root } = node;
    if (isEmptyRoot(root)) return undefined;
    const linked = root.frame;
    if (linked && !linked.isEvicted) return use(linked);
    const { pbn, crc } = linked ?? root;
    const pointer = { pbn, crc, birth: root.birth };
    const frame = this.#pages.get(pbn);
    node.root = { ...pointer, frame };
    if (frame) return use(frame);
    const place = { family: node.family, level: node.level, index: 0 };
    return { kind: node.level === 0 ? 'leaf' : 'table', pointer, place };
  }

  /** The child's frame, what is missing for it, or undefined if there is no child. */
  attachChild(table: TableFrame, position: number): MapFrame | MissingPage | undefined {
    const child = table.children[position];
    if (child && !child.isEvicted) return use(child);
    if (child) {
      table.pointers.pbn[position] = child.pbn;
      table.pointers.crc[position] = child.crc;
      table.children[position] = undefined;
    }
    const pbn = table.pointers.pbn[position]!;
    if (pbn === 0) return undefined;
    const frame = this.#pages.get(pbn);
    if (frame) {
      table.children[position] = frame;
      return use(frame);
    }
    const level = table.level - 1;
    const index = table.index * this.#geometry.tableFanOut + position;
    return {
      kind: level === 0 ? 'leaf' : 'table',
      pointer: { pbn, crc: table.pointers.crc[position]!, birth: table.pointers.birth[position]! },
      place: { family: table.family, level, index },
    };
  }

  /** The extension's frame, what is missing for it, or undefined if there is none. */
  attachExtension(leaf: LeafFrame, page: number): ExtensionFrame | MissingPage | undefined {
    if (!hasExtension(leaf, page)) return undefined;
    const extension = leaf.extensions[page];
    if (extension && !extension.isEvicted) return use(extension);
    if (extension) {
      leaf.leaf.extPbn[page] = extension.pbn;
      leaf.leaf.extCrc[page] = extension.crc;
      leaf.extensions[page] = undefined;
    }
    const pbn = leaf.leaf.extPbn[page]!;
    const frame = this.#pages.get(pbn);
    if (frame?.kind === 'extension') {
      leaf.extensions[page] = frame;
      return use(frame);
    }
    const pointer = { pbn, crc: leaf.leaf.extCrc[page]!, birth: leaf.leaf.extBirth[page]! };
    const { family, level, index } = leaf;
    return { kind: 'extension', pointer, place: { family, level, index } };
  }

  /**
   * The first block of the first leaf that maps `from` or a later block; undefined if there is none. Tables that have
   * no child there are skipped whole.
   */
  nextLeaf(node: MappedNode, from: number): number | MissingPage | undefined {
    const root = this.attachRoot(node);
    if (!root) return undefined;
    return 'pointer' in root ? root : this.#nextLeafBelow(root, from);
  }

  #nextLeafBelow(frame: MapFrame, from: number): number | MissingPage | undefined {
    const span = spanBlocks(this.#geometry, frame.level);
    if ((frame.index + 1) * span <= from) return undefined;
    if (frame.kind !== 'table') return frame.index * span;
    const childSpan = spanBlocks(this.#geometry, frame.level - 1);
    const first = Math.max(0, Math.floor((from - frame.index * span) / childSpan));
    for (let position = first; position < this.#geometry.tableFanOut; position++) {
      const child = this.attachChild(frame, position);
      if (!child) continue;
      const found = 'pointer' in child ? child : this.#nextLeafBelow(child, from);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #findBelow(frame: MapFrame, range: SearchedRange): MissingPage | undefined {
    if (frame.kind === 'leaf') return this.#findInLeaf(frame, range);
    if (frame.kind === 'extension') return undefined;
    const childSpan = spanBlocks(this.#geometry, frame.level - 1);
    const start = frame.index * childSpan * this.#geometry.tableFanOut;
    const first = Math.max(0, Math.floor((range.from - start) / childSpan));
    const last = Math.min(
      this.#geometry.tableFanOut - 1,
      Math.floor((range.end - 1 - start) / childSpan),
    );
    for (let position = first; position <= last; position++) {
      const child = this.attachChild(frame, position);
      if (!child) continue;
      const missing = 'pointer' in child ? child : this.#findBelow(child, range);
      if (missing) return missing;
    }
    return undefined;
  }

  #findInLeaf(leaf: LeafFrame, range: SearchedRange): MissingPage | undefined {
    const start = leaf.index * leafBlocks(this.#geometry);
    const first = Math.max(0, Math.floor((range.from - start) / clusterSizeBlocks));
    const last = Math.floor((range.end - 1 - start) / clusterSizeBlocks);
    const needsAll = range.use === 'change' && hasUnsplitCluster(leaf, first, last);
    for (
      let cluster = first;
      cluster <= Math.min(last, this.#geometry.leafClusters - 1);
      cluster++
    ) {
      const splitIndex = leaf.leaf.splitIndex[cluster]!;
      const place = splitIndex < inlineRecords ? undefined : extensionPlace(splitIndex);
      const found = place && this.attachExtension(leaf, place.page);
      if (found && 'pointer' in found) return found;
    }
    // A cluster that is to be split may get a record in any extension page.
    if (!needsAll) return undefined;
    for (let page = 0; page < extensionsMax; page++) {
      const found = this.attachExtension(leaf, page);
      if (found && 'pointer' in found) return found;
    }
    return undefined;
  }
}

/** Tables are small, and each look-up needs them: they go last. */
const tableChances = 3;

/** The clock's hand spares what was used since it came by. */
function use<F extends MapFrame>(frame: F): F {
  frame.chances = frame.kind === 'table' ? tableChances : 1;
  return frame;
}

function hasUnsplitCluster(leaf: LeafFrame, first: number, last: number): boolean {
  for (let cluster = first; cluster <= last; cluster++) {
    if ((leaf.leaf.splitIndex[cluster] ?? 0) < 0) return true;
  }
  return false;
}
