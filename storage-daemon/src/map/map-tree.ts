/**
 * The map of a node, changed by apply() and read by the data path. Everything here is synchronous and needs the pages
 * that it touches to be resident (`map-residency.ts` sees to that first): a missing one is a bug of ours.
 *
 * Copy on write (2.4): before a page changes, the whole path to it is made the node's own. A page born at or before
 * `ownBound` (the parent's epoch) is shared: it is copied, and the old one goes to the node's dead list. An own page
 * is changed in place in memory; its birth is raised to the node's curEpoch, here and never at write-out.
 */
import { assert } from '@varve/common/assert';

import { countBits, mapsNothing } from '../format/map-leaf.ts';
import { leafBlocks, spanBlocks } from '../format/pool-layout.ts';
import type { PoolGeometry } from '../format/superblock.ts';
import { clusterSizeBlocks } from '../units.ts';
import {
  LeafEntries,
  isClusterMapped,
  lookupBlock,
  mapsBlocks,
  rangeMask,
  runInCluster,
  type EntryChange,
  type MappedBlock,
  type OnDropped,
} from './leaf-entries.ts';
import {
  copyFrame,
  extensionPlace,
  hasChild,
  newLeafFrame,
  newTableFrame,
  type LeafFrame,
  type MapFrame,
  type TableFrame,
} from './map-frame.ts';
import type { LeafMemory } from './leaf-memory.ts';
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

/** A change of a head's map by one record. */
interface MapChange extends EntryChange {
  readonly record: number;
}

/** Changes maps. */
export class MapTree {
  readonly #geometry: PoolGeometry;
  readonly #hooks: MapTreeHooks;
  readonly #leaves: LeafMemory;
  readonly #entries: LeafEntries;

  constructor(
    options: { geometry: PoolGeometry },
    dependencies: { hooks: MapTreeHooks; leaves: LeafMemory },
  ) {
    this.#leaves = dependencies.leaves;
    this.#geometry = options.geometry;
    this.#hooks = dependencies.hooks;
    this.#entries = new LeafEntries({
      pages: {
        own: (change, frame, birth) => this.#ownPage(change, frame, birth),
        created: (frame) => this.#hooks.pageDirtied(frame),
        freed: (frame) => this.#hooks.freePage(frame),
      },
    });
  }

  /** Maps a block. */
  setBlock(
    change: MapChange & { readonly lbn: number; readonly pbn: number },
    onDropped: OnDropped,
  ): void {
    const { lbn, pbn } = change;
    const place = this.#ownPlace(change, lbn);
    this.#entries.setBlock(change, { ...place, block: lbn % clusterSizeBlocks, pbn }, onDropped);
  }

  /** Maps a physical cluster, of which the blocks of `mask` hold data. */
  setCluster(
    change: MapChange & { readonly cluster: number; readonly base: number; readonly mask: number },
    onDropped: OnDropped,
  ): void {
    const { cluster, base, mask } = change;
    const place = this.#ownPlace(change, cluster * clusterSizeBlocks);
    this.#entries.setCluster(change, { ...place, base, mask }, onDropped);
  }

  /** Slack of a natural cluster holds data from now on; returns how much of it did not. */
  validate(
    change: MapChange & { readonly cluster: number; readonly base: number; readonly mask: number },
  ): number {
    const { cluster, base, mask } = change;
    const lbn = cluster * clusterSizeBlocks;
    // The entry may have another cluster by now, or share it: then the data is not what it shows.
    const found = this.leafOf(change.node, lbn)?.leaf;
    const index = this.#clusterOf(lbn);
    if (found?.base[index] !== base || found.birth[index]! <= change.ownBound) return 0;
    const { leaf } = this.#ownPlace(change, lbn).leaf;
    const former = leaf.validMask[index]!;
    leaf.validMask[index] = former | mask;
    return countBits(mask & ~former);
  }

  /** Gives up the slack of a natural cluster. */
  split(change: MapChange & { readonly cluster: number }, onDropped: OnDropped): void {
    const place = this.#ownPlace(change, change.cluster * clusterSizeBlocks);
    this.#entries.split(change, place, onDropped);
  }

  /**
   * Unmaps the mapped blocks of [lbn, lbn + count) and tells `onDropped` of each that leaves the map; pages that map
   * nothing go. Returns the number of blocks that stay as slack.
   */
  clearBlocks(
    change: MapChange & { readonly lbn: number; readonly count: number },
    onDropped: OnDropped,
  ): number {
    const end = change.lbn + change.count;
    const perLeaf = leafBlocks(this.#geometry);
    let slackCount = 0;
    for (let lbn = change.lbn; lbn < end;) {
      const leafEnd = Math.min(end, (Math.floor(lbn / perLeaf) + 1) * perLeaf);
      if (this.#mapsAnything(change.node, lbn, leafEnd)) {
        slackCount += this.#clearInLeaf(change, { from: lbn, end: leafEnd }, onDropped);
      }
      lbn = leafEnd;
    }
    return slackCount;
  }

  /** Adds levels until the map is as high as `level`. */
  raise(change: EntryChange, level: number): void {
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
    return leaf && lookupBlock(leaf, this.#clusterOf(lbn), lbn % clusterSizeBlocks);
  }

  /**
   * The first block of the run in which all of [lbn, lbn + count) lie, mapped and born after `bound`; 0 if they do not
   * lie in one. The data path asks it for each request, so it makes no list of them.
   */
  runOf(node: MappedNode, lbn: number, count: number, bound: number): number {
    const perLeaf = leafBlocks(this.#geometry);
    const end = lbn + count;
    let first = 0;
    let leaf: LeafFrame | undefined;
    for (let from = lbn; from < end;) {
      if (!leaf || from % perLeaf === 0) leaf = this.leafOf(node, from);
      if (!leaf) return 0;
      const until = Math.min(end, from - (from % clusterSizeBlocks) + clusterSizeBlocks);
      const block = from % clusterSizeBlocks;
      const pbn = runInCluster(leaf, this.#clusterOf(from), { block, count: until - from, bound });
      if (from === lbn) first = pbn;
      if (pbn === 0 || pbn !== first + from - lbn) return 0;
      from = until;
    }
    return first;
  }

  /** Where the entry of a block's cluster is in its leaf. */
  clusterIndexOf(lbn: number): number {
    return this.#clusterOf(lbn);
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
  #ownLeaf(change: EntryChange, lbn: number): LeafFrame {
    const { node } = change;
    let frame = this.#ownRoot(change);
    for (let level = node.level; level > 0; level--) {
      assert(frame.kind === 'table', 'above the leaves are tables');
      frame = this.#ownChild(change, frame, lbn);
    }
    assert(frame.kind === 'leaf', 'level 0 is a leaf');
    return frame;
  }

  #ownPlace(change: MapChange, lbn: number): { leaf: LeafFrame; cluster: number } {
    const leaf = this.#ownLeaf(change, lbn);
    leaf.lastRecord = change.record;
    return { leaf, cluster: this.#clusterOf(lbn) };
  }

  #ownRoot(change: EntryChange): MapFrame {
    const { node } = change;
    const frame = isEmptyRoot(node.root)
      ? this.#createPage(node, node.level, 0)
      : this.#ownPage(change, resident(node.root.frame), node.root.birth);
    if (frame !== node.root.frame || node.root.birth !== node.curEpoch) {
      node.root = { pbn: 0, crc: 0, birth: node.curEpoch, frame };
    }
    return frame;
  }

  #ownChild(change: EntryChange, table: TableFrame, lbn: number): MapFrame {
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
    const frame = level === 0 ? newLeafFrame(place, this.#leaves.take()) : newTableFrame(place);
    this.#hooks.pageDirtied(frame);
    return frame;
  }

  /** The page itself if it is own, else a copy of it. */
  #ownPage<F extends MapFrame>(change: EntryChange, frame: F, birth: number): F {
    if (birth > change.ownBound) {
      if (!frame.isDirty) this.#hooks.pageDirtied(frame);
      return frame;
    }
    const copy = copyFrame(frame, this.#leaves);
    this.#hooks.killPage(change.node, frame, birth);
    this.#hooks.pageDirtied(copy);
    return copy;
  }

  #mapsAnything(node: MappedNode, from: number, end: number): boolean {
    const leaf = this.leafOf(node, from);
    if (!leaf) return false;
    return [...this.#pieces(from, end)].some(({ cluster, from: first, end: last }) =>
      mapsBlocks(leaf, cluster, rangeMask(first, last)),
    );
  }

  /** The clusters of a range inside one leaf, and which of their blocks are in it. */
  *#pieces(from: number, end: number): Generator<{ cluster: number; from: number; end: number }> {
    for (let lbn = from; lbn < end;) {
      const start = Math.floor(lbn / clusterSizeBlocks) * clusterSizeBlocks;
      const until = Math.min(end, start + clusterSizeBlocks);
      yield { cluster: this.#clusterOf(lbn), from: lbn - start, end: until - start };
      lbn = until;
    }
  }

  #clearInLeaf(
    change: MapChange,
    { from, end }: { readonly from: number; readonly end: number },
    onDropped: OnDropped,
  ): number {
    const { leaf } = this.#ownPlace(change, from);
    let slackCount = 0;
    for (const piece of this.#pieces(from, end)) {
      if (!isClusterMapped(leaf, piece.cluster)) continue;
      slackCount += this.#entries.clear(change, { leaf, ...piece }, onDropped);
    }
    if (mapsNothing(leaf.leaf)) this.#dropEmptyPath(change.node, from);
    return slackCount;
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

function resident<F extends MapFrame>(frame: F | undefined): F {
  assert(frame?.isEvicted === false, 'a page of the map is not resident');
  return frame;
}
