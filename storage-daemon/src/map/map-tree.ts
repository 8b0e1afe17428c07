/**
 * The map of a node, changed by apply() and read by the data path. Everything here is synchronous and needs the pages
 * that it touches to be resident (`map-residency.ts` sees to that first): a missing one is a bug of ours.
 *
 * Copy on write (2.4): before a page changes, the whole path to it is made the node's own. A page born at or before
 * `ownBound` (the parent's epoch) is shared: it is copied, and the old one goes to the node's dead list. An own page
 * is changed in place in memory; its birth is raised to the node's curEpoch, here and never at write-out.
 */
import { assert } from '@varve/common/assert';

import { emptySplitRecord, leafClustersMax, type SplitRecord } from '../format/map-leaf.ts';
import { leafBlocks, spanBlocks } from '../format/pool-layout.ts';
import type { PoolGeometry } from '../format/superblock.ts';
import { clusterSizeBlocks } from '../units.ts';
import {
  copyFrame,
  extensionPlace,
  hasChild,
  hasExtension,
  newExtensionFrame,
  newLeafFrame,
  newTableFrame,
  type ExtensionFrame,
  type LeafFrame,
  type MapFrame,
  type TableFrame,
} from './map-frame.ts';
import { emptyRoot, isEmptyRoot, type MappedNode } from './map-root.ts';

/** What becomes of pages that leave a map, and of pages that changed. */
export interface MapTreeHooks {
  /** The page is the node's alone: free it. */
  freePage(frame: MapFrame): void;
  /** Others still use the page: it goes to the node's dead list. */
  killPage(node: MappedNode, frame: MapFrame, birth: number): void;
  /** The next checkpoint must write it. */
  pageDirtied(frame: MapFrame): void;
}

/** A mapped block. */
export interface MappedBlock {
  readonly pbn: number;
  readonly birth: number;
}

interface ChangeContext {
  readonly node: MappedNode;
  readonly ownBound: number;
}

/** Changes maps. */
export class MapTree {
  readonly #geometry: PoolGeometry;
  readonly #hooks: MapTreeHooks;

  constructor(options: { geometry: PoolGeometry }, dependencies: { hooks: MapTreeHooks }) {
    this.#geometry = options.geometry;
    this.#hooks = dependencies.hooks;
  }

  /** Maps a block and returns what it replaces. */
  setBlock(
    change: ChangeContext & { readonly lbn: number; readonly pbn: number; readonly record: number },
  ): MappedBlock | undefined {
    const { node, lbn, pbn } = change;
    const leaf = this.#ownLeaf(change, lbn);
    leaf.lastRecord = change.record;
    const cluster = this.#clusterOf(lbn);
    let splitIndex = leaf.leaf.splitIndex[cluster]!;
    if (splitIndex < 0) {
      splitIndex = freeSplitIndex(leaf);
      leaf.leaf.splitIndex[cluster] = splitIndex;
    }
    const split = this.#ownSplit(change, leaf, splitIndex);
    const block = lbn % clusterSizeBlocks;
    const former = { pbn: split[block]!, birth: split[clusterSizeBlocks + block]! };
    split[block] = pbn;
    split[clusterSizeBlocks + block] = node.curEpoch;
    return former.pbn === 0 ? undefined : former;
  }

  /** Unmaps the mapped blocks of [lbn, lbn + count) and tells `onCleared` of each; pages that map nothing go. */
  clearBlocks(
    change: ChangeContext & {
      readonly lbn: number;
      readonly count: number;
      readonly record: number;
    },
    onCleared: (block: MappedBlock) => void,
  ): void {
    const end = change.lbn + change.count;
    const perLeaf = leafBlocks(this.#geometry);
    for (let lbn = change.lbn; lbn < end;) {
      const leafEnd = Math.min(end, (Math.floor(lbn / perLeaf) + 1) * perLeaf);
      if (this.#mapsAnything(change.node, lbn, leafEnd)) {
        this.#clearInLeaf(change, lbn, leafEnd, onCleared);
      }
      lbn = leafEnd;
    }
  }

  /** Adds levels until the map is as high as `level`. */
  raise(change: ChangeContext, level: number): void {
    const { node } = change;
    assert(level >= node.level, `a map of level ${node.level} cannot be lowered to ${level}`);
    if (isEmptyRoot(node.root)) {
      node.level = level;
      return;
    }
    while (node.level < level) {
      const { root } = node;
      const table = newTableFrame({ family: node.family, level: node.level + 1, index: 0 });
      table.children[0] = root.frame;
      table.pointers.pbn[0] = root.pbn;
      table.pointers.crc[0] = root.crc;
      table.pointers.birth[0] = root.birth;
      node.root = { ...emptyRoot, birth: node.curEpoch, frame: table };
      node.level++;
      this.#hooks.pageDirtied(table);
    }
  }

  /** The mapping of a block; undefined for a hole. */
  lookup(node: MappedNode, lbn: number): MappedBlock | undefined {
    const leaf = this.leafOf(node, lbn);
    if (!leaf) return undefined;
    return lookupInLeaf(leaf, lbn, this.#clusterOf(lbn));
  }

  /** The leaf above a block; undefined if there is none. */
  leafOf(node: MappedNode, lbn: number): LeafFrame | undefined {
    if (isEmptyRoot(node.root)) return undefined;
    let frame = resident(node.root.frame);
    for (let level = node.level; level > 0; level--) {
      assert(frame.kind === 'table', 'above the leaves are tables');
      const position = this.#positionAt(lbn, level);
      if (!hasChild(frame, position)) return undefined;
      frame = resident(frame.children[position]);
    }
    assert(frame.kind === 'leaf', 'level 0 is a leaf');
    return frame;
  }

  #positionAt(lbn: number, level: number): number {
    return Math.floor(lbn / spanBlocks(this.#geometry, level - 1)) % this.#geometry.tableFanOut;
  }

  #clusterOf(lbn: number): number {
    return Math.floor(lbn / clusterSizeBlocks) % this.#geometry.leafClusters;
  }

  /** The leaf above a block, with its whole path made the node's own. */
  #ownLeaf(change: ChangeContext, lbn: number): LeafFrame {
    const { node } = change;
    let frame = this.#ownRoot(change);
    for (let level = node.level; level > 0; level--) {
      assert(frame.kind === 'table', 'above the leaves are tables');
      frame = this.#ownChild(change, frame, lbn);
    }
    assert(frame.kind === 'leaf', 'level 0 is a leaf');
    return frame;
  }

  #ownRoot(change: ChangeContext): MapFrame {
    const { node } = change;
    const frame = isEmptyRoot(node.root)
      ? this.#createPage(node, node.level, 0)
      : this.#ownPage(change, resident(node.root.frame), node.root.birth);
    if (frame !== node.root.frame || node.root.birth !== node.curEpoch) {
      node.root = { pbn: 0, crc: 0, birth: node.curEpoch, frame };
    }
    return frame;
  }

  #ownChild(change: ChangeContext, table: TableFrame, lbn: number): MapFrame {
    const { node } = change;
    const position = this.#positionAt(lbn, table.level);
    const index = Math.floor(lbn / spanBlocks(this.#geometry, table.level - 1));
    const child = hasChild(table, position)
      ? this.#ownPage(change, resident(table.children[position]), table.pointers.birth[position]!)
      : this.#createPage(node, table.level - 1, index);
    table.children[position] = child;
    table.pointers.birth[position] = node.curEpoch;
    return child;
  }

  #createPage(node: MappedNode, level: number, index: number): MapFrame {
    const place = { family: node.family, level, index };
    const frame = level === 0 ? newLeafFrame(place) : newTableFrame(place);
    this.#hooks.pageDirtied(frame);
    return frame;
  }

  /** The page itself if it is own, else a copy of it. */
  #ownPage<F extends MapFrame>(change: ChangeContext, frame: F, birth: number): F {
    if (birth > change.ownBound) {
      if (!frame.isDirty) this.#hooks.pageDirtied(frame);
      return frame;
    }
    const copy = copyFrame(frame);
    this.#hooks.killPage(change.node, frame, birth);
    this.#hooks.pageDirtied(copy);
    return copy;
  }

  #ownSplit(change: ChangeContext, leaf: LeafFrame, splitIndex: number): SplitRecord {
    const place = extensionPlace(splitIndex);
    if (!place) return (leaf.leaf.inline[splitIndex] ??= emptySplitRecord());
    const extension = this.#ownExtension(change, leaf, place.page);
    return (extension.records[place.slot] ??= emptySplitRecord());
  }

  #ownExtension(change: ChangeContext, leaf: LeafFrame, page: number): ExtensionFrame {
    let extension: ExtensionFrame;
    if (hasExtension(leaf, page)) {
      const frame = resident(leaf.extensions[page]);
      extension = this.#ownPage(change, frame, leaf.leaf.extBirth[page]!);
    } else {
      extension = newExtensionFrame({ family: leaf.family, level: leaf.level, index: leaf.index });
      this.#hooks.pageDirtied(extension);
    }
    leaf.extensions[page] = extension;
    leaf.leaf.extBirth[page] = change.node.curEpoch;
    return extension;
  }

  #mapsAnything(node: MappedNode, from: number, end: number): boolean {
    const leaf = this.leafOf(node, from);
    if (!leaf) return false;
    for (let lbn = from; lbn < end;) {
      const cluster = this.#clusterOf(lbn);
      if (leaf.leaf.splitIndex[cluster]! < 0) {
        lbn = (Math.floor(lbn / clusterSizeBlocks) + 1) * clusterSizeBlocks;
        continue;
      }
      if (lookupInLeaf(leaf, lbn, cluster)) return true;
      lbn++;
    }
    return false;
  }

  #clearInLeaf(
    change: ChangeContext & { readonly record: number },
    from: number,
    end: number,
    onCleared: (block: MappedBlock) => void,
  ): void {
    const leaf = this.#ownLeaf(change, from);
    leaf.lastRecord = change.record;
    for (let lbn = from; lbn < end;) {
      const cluster = this.#clusterOf(lbn);
      const clusterEnd = (Math.floor(lbn / clusterSizeBlocks) + 1) * clusterSizeBlocks;
      const until = Math.min(end, clusterEnd);
      if (leaf.leaf.splitIndex[cluster]! >= 0) {
        this.#clearInCluster(change, { leaf, cluster, from: lbn, end: until }, onCleared);
      }
      lbn = until;
    }
    if (leaf.leaf.splitIndex.every((splitIndex) => splitIndex < 0)) {
      this.#dropEmptyPath(change.node, from);
    }
  }

  #clearInCluster(
    change: ChangeContext,
    part: { leaf: LeafFrame; cluster: number; from: number; end: number },
    onCleared: (block: MappedBlock) => void,
  ): void {
    const { leaf, cluster } = part;
    const splitIndex = leaf.leaf.splitIndex[cluster]!;
    if (!mapsInCluster(leaf, cluster, part)) return;
    const split = this.#ownSplit(change, leaf, splitIndex);
    for (let lbn = part.from; lbn < part.end; lbn++) {
      const block = lbn % clusterSizeBlocks;
      if (split[block] === 0) continue;
      onCleared({ pbn: split[block]!, birth: split[clusterSizeBlocks + block]! });
      split[block] = 0;
      split[clusterSizeBlocks + block] = 0;
    }
    if (split.every((word) => word === 0)) this.#dropSplit(leaf, cluster);
  }

  #dropSplit(leaf: LeafFrame, cluster: number): void {
    const splitIndex = leaf.leaf.splitIndex[cluster]!;
    leaf.leaf.splitIndex[cluster] = -1;
    const place = extensionPlace(splitIndex);
    if (!place) {
      leaf.leaf.inline[splitIndex] = undefined;
      return;
    }
    const extension = resident(leaf.extensions[place.page]);
    extension.records[place.slot] = undefined;
    if (extension.records.some((record) => record !== undefined)) return;
    leaf.extensions[place.page] = undefined;
    leaf.leaf.extPbn[place.page] = 0;
    leaf.leaf.extCrc[place.page] = 0;
    leaf.leaf.extBirth[place.page] = 0;
    this.#hooks.freePage(extension);
  }

  /** Drops the leaf above `lbn`, which maps nothing, and all tables that then have no child. The path is own. */
  #dropEmptyPath(node: MappedNode, lbn: number): void {
    const path: TableFrame[] = [];
    let frame = resident(node.root.frame);
    while (frame.kind === 'table') {
      path.push(frame);
      frame = resident(frame.children[this.#positionAt(lbn, frame.level)]);
    }
    this.#hooks.freePage(frame);
    for (let table = path.pop(); table; table = path.pop()) {
      removeChild(table, this.#positionAt(lbn, table.level));
      for (let position = 0; position < this.#geometry.tableFanOut; position++) {
        if (hasChild(table, position)) return;
      }
      this.#hooks.freePage(table);
    }
    node.root = emptyRoot;
  }
}

/** Takes a child out of a table. */
export function removeChild(table: TableFrame, position: number): void {
  table.children[position] = undefined;
  table.pointers.pbn[position] = 0;
  table.pointers.crc[position] = 0;
  table.pointers.birth[position] = 0;
}

/** Takes an extension out of a leaf, and with it the clusters whose records it held. */
export function removeExtension(leaf: LeafFrame, page: number): void {
  leaf.extensions[page] = undefined;
  leaf.leaf.extPbn[page] = 0;
  leaf.leaf.extCrc[page] = 0;
  leaf.leaf.extBirth[page] = 0;
  for (const [cluster, splitIndex] of leaf.leaf.splitIndex.entries()) {
    if (splitIndex >= 0 && extensionPlace(splitIndex)?.page === page) {
      leaf.leaf.splitIndex[cluster] = -1;
    }
  }
}

/** The split record of a cluster; undefined for a hole. */
export function splitOf(leaf: LeafFrame, cluster: number): SplitRecord | undefined {
  const splitIndex = leaf.leaf.splitIndex[cluster]!;
  if (splitIndex < 0) return undefined;
  const place = extensionPlace(splitIndex);
  if (!place) return leaf.leaf.inline[splitIndex];
  return resident(leaf.extensions[place.page]).records[place.slot];
}

function lookupInLeaf(leaf: LeafFrame, lbn: number, cluster: number): MappedBlock | undefined {
  const split = splitOf(leaf, cluster);
  const pbn = split?.[lbn % clusterSizeBlocks] ?? 0;
  if (!split || pbn === 0) return undefined;
  return { pbn, birth: split[clusterSizeBlocks + (lbn % clusterSizeBlocks)]! };
}

function mapsInCluster(
  leaf: LeafFrame,
  cluster: number,
  part: { from: number; end: number },
): boolean {
  const split = splitOf(leaf, cluster);
  if (!split) return false;
  for (let lbn = part.from; lbn < part.end; lbn++) {
    if (split[lbn % clusterSizeBlocks] !== 0) return true;
  }
  return false;
}

/** The lowest split index that no cluster uses. */
function freeSplitIndex(leaf: LeafFrame): number {
  const used = new Uint8Array(leafClustersMax);
  for (const splitIndex of leaf.leaf.splitIndex) if (splitIndex >= 0) used[splitIndex] = 1;
  const free = used.indexOf(0);
  assert(free >= 0, 'a leaf has more split records than clusters');
  return free;
}

function resident<F extends MapFrame>(frame: F | undefined): F {
  assert(frame?.isEvicted === false, 'a page of the map is not resident');
  return frame;
}
