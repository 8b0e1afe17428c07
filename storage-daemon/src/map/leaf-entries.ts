/**
 * Entries of a leaf, changed and looked at. A cluster of 16 blocks is a hole, NATURAL (16 blocks in a row, a mask says
 * which of them hold data) or SPLIT (a block number and birth each). A natural entry references all of its 16 blocks;
 * those that hold no data are its slack. Whatever takes an entry away gives up every block that it references, the
 * slack included (2.4): else it leaks.
 */
import { assert } from '@varve/common/assert';

import {
  countBits,
  emptySplitRecord,
  leafClustersMax,
  type SplitRecord,
} from '../format/map-leaf.ts';
import { clusterSizeBlocks } from '../units.ts';
import {
  extensionPlace,
  hasExtension,
  newExtensionFrame,
  type ExtensionFrame,
  type LeafFrame,
} from './map-frame.ts';
import type { MappedNode } from './map-root.ts';

/** A mapped block. */
export interface MappedBlock {
  readonly pbn: number;
  readonly birth: number;
}

/** A block that a head references no more. */
export interface DroppedBlock extends MappedBlock {
  /** It held no data. */
  readonly isSlack: boolean;
}

/** Called for each block that a change takes out of a map. */
export type OnDropped = (block: DroppedBlock) => void;

/** Who changes what: the blocks and pages born after `ownBound` are the node's own. */
export interface EntryChange {
  readonly node: MappedNode;
  readonly ownBound: number;
}

/** A cluster in a leaf that is the node's own. */
export interface ClusterPlace {
  readonly leaf: LeafFrame;
  readonly cluster: number;
}

/** How extension pages become the node's own, come and go. */
export interface EntryPages {
  own(change: EntryChange, frame: ExtensionFrame, birth: number): ExtensionFrame;
  created(frame: ExtensionFrame): void;
  freed(frame: ExtensionFrame): void;
}

/** Changes entries. */
export class LeafEntries {
  readonly #pages: EntryPages;

  constructor(dependencies: { pages: EntryPages }) {
    this.#pages = dependencies.pages;
  }

  /** Maps one block; a natural cluster is split for it. */
  setBlock(
    change: EntryChange,
    place: ClusterPlace & { readonly block: number; readonly pbn: number },
    onDropped: OnDropped,
  ): void {
    const { leaf, cluster, block, pbn } = place;
    this.split(change, place, onDropped);
    if (leaf.leaf.splitIndex[cluster]! < 0) leaf.leaf.splitIndex[cluster] = freeSplitIndex(leaf);
    const split = this.#ownSplit(change, place);
    const former = { pbn: split[block]!, birth: split[clusterSizeBlocks + block]!, isSlack: false };
    split[block] = pbn;
    split[clusterSizeBlocks + block] = change.node.curEpoch;
    if (former.pbn !== 0) onDropped(former);
  }

  /** Maps a whole physical cluster in place of whatever was there; the blocks of `mask` hold data. */
  setCluster(
    change: EntryChange,
    place: ClusterPlace & { readonly base: number; readonly mask: number },
    onDropped: OnDropped,
  ): void {
    const { leaf, cluster, base, mask } = place;
    this.#drop(change, place, onDropped);
    leaf.leaf.base[cluster] = base;
    leaf.leaf.validMask[cluster] = mask;
    leaf.leaf.birth[cluster] = change.node.curEpoch;
  }

  /** Makes a natural cluster split; what was slack of it leaves the map. Does nothing to others. */
  split(change: EntryChange, place: ClusterPlace, onDropped: OnDropped): void {
    const { leaf, cluster } = place;
    const base = leaf.leaf.base[cluster]!;
    if (base === 0) return;
    const mask = leaf.leaf.validMask[cluster]!;
    const birth = leaf.leaf.birth[cluster]!;
    forgetNatural(leaf, cluster);
    leaf.leaf.splitIndex[cluster] = freeSplitIndex(leaf);
    const split = this.#ownSplit(change, place);
    for (let block = 0; block < clusterSizeBlocks; block++) {
      const pbn = base * clusterSizeBlocks + block;
      if (((mask >>> block) & 1) === 0) {
        onDropped({ pbn, birth, isSlack: true });
        continue;
      }
      split[block] = pbn;
      split[clusterSizeBlocks + block] = birth;
    }
  }

  /**
   * Unmaps the mapped blocks [from, end) of a cluster. In an own natural cluster that keeps other data they become
   * slack. Returns how many did.
   */
  clear(
    change: EntryChange,
    place: ClusterPlace & { readonly from: number; readonly end: number },
    onDropped: OnDropped,
  ): number {
    const { leaf, cluster, from, end } = place;
    const cleared = rangeMask(from, end);
    if (leaf.leaf.base[cluster] !== 0) {
      const mask = leaf.leaf.validMask[cluster]!;
      const left = mask & ~cleared;
      if (left === mask) return 0;
      if (left === 0) {
        this.#drop(change, place, onDropped);
        return 0;
      }
      if (leaf.leaf.birth[cluster]! > change.ownBound) {
        leaf.leaf.validMask[cluster] = left;
        return countBits(mask & cleared);
      }
      this.split(change, place, onDropped);
    }
    if (!mapsBlocks(leaf, cluster, cleared)) return 0;
    const split = this.#ownSplit(change, place);
    for (let block = from; block < end; block++) {
      if (split[block] === 0) continue;
      onDropped({ pbn: split[block]!, birth: split[clusterSizeBlocks + block]!, isSlack: false });
      split[block] = 0;
      split[clusterSizeBlocks + block] = 0;
    }
    if (split.every((word) => word === 0)) this.#dropSplit(leaf, cluster);
    return 0;
  }

  /** Makes a hole of a cluster. */
  #drop(change: EntryChange, place: ClusterPlace, onDropped: OnDropped): void {
    const { leaf, cluster } = place;
    const base = leaf.leaf.base[cluster]!;
    if (base !== 0) {
      const mask = leaf.leaf.validMask[cluster]!;
      const birth = leaf.leaf.birth[cluster]!;
      for (let block = 0; block < clusterSizeBlocks; block++) {
        const isSlack = ((mask >>> block) & 1) === 0;
        onDropped({ pbn: base * clusterSizeBlocks + block, birth, isSlack });
      }
      forgetNatural(leaf, cluster);
    }
    if (leaf.leaf.splitIndex[cluster]! < 0) return;
    const split = this.#ownSplit(change, place);
    for (let block = 0; block < clusterSizeBlocks; block++) {
      if (split[block] === 0) continue;
      onDropped({ pbn: split[block]!, birth: split[clusterSizeBlocks + block]!, isSlack: false });
    }
    this.#dropSplit(leaf, cluster);
  }

  #ownSplit(change: EntryChange, { leaf, cluster }: ClusterPlace): SplitRecord {
    const splitIndex = leaf.leaf.splitIndex[cluster]!;
    const place = extensionPlace(splitIndex);
    if (!place) return (leaf.leaf.inline[splitIndex] ??= emptySplitRecord());
    const extension = this.#ownExtension(change, leaf, place.page);
    return (extension.records[place.slot] ??= emptySplitRecord());
  }

  #ownExtension(change: EntryChange, leaf: LeafFrame, page: number): ExtensionFrame {
    let extension: ExtensionFrame;
    if (hasExtension(leaf, page)) {
      const frame = leaf.extensions[page];
      assert(frame !== undefined, 'an extension page is not resident');
      extension = this.#pages.own(change, frame, leaf.leaf.extBirth[page]!);
    } else {
      extension = newExtensionFrame({ family: leaf.family, level: leaf.level, index: leaf.index });
      this.#pages.created(extension);
    }
    leaf.extensions[page] = extension;
    leaf.leaf.extBirth[page] = change.node.curEpoch;
    return extension;
  }

  #dropSplit(leaf: LeafFrame, cluster: number): void {
    const splitIndex = leaf.leaf.splitIndex[cluster]!;
    leaf.leaf.splitIndex[cluster] = -1;
    const place = extensionPlace(splitIndex);
    if (!place) {
      leaf.leaf.inline[splitIndex] = undefined;
      return;
    }
    const extension = leaf.extensions[place.page];
    assert(extension !== undefined, 'an extension page is not resident');
    extension.records[place.slot] = undefined;
    if (extension.records.some((record) => record !== undefined)) return;
    leaf.extensions[place.page] = undefined;
    leaf.leaf.extPbn[place.page] = 0;
    leaf.leaf.extCrc[place.page] = 0;
    leaf.leaf.extBirth[place.page] = 0;
    this.#pages.freed(extension);
  }
}

/** The split record of a cluster; undefined for others. */
export function splitOf(leaf: LeafFrame, cluster: number): SplitRecord | undefined {
  const splitIndex = leaf.leaf.splitIndex[cluster]!;
  if (splitIndex < 0) return undefined;
  const place = extensionPlace(splitIndex);
  if (!place) return leaf.leaf.inline[splitIndex];
  const extension = leaf.extensions[place.page];
  assert(extension !== undefined, 'an extension page is not resident');
  return extension.records[place.slot];
}

/** True if the cluster maps anything. */
export function isClusterMapped(leaf: LeafFrame, cluster: number): boolean {
  return leaf.leaf.base[cluster] !== 0 || leaf.leaf.splitIndex[cluster]! >= 0;
}

/** The mapping of one block of a cluster; undefined for a hole, and for slack. */
export function lookupBlock(
  leaf: LeafFrame,
  cluster: number,
  block: number,
): MappedBlock | undefined {
  const base = leaf.leaf.base[cluster]!;
  if (base !== 0) {
    if (((leaf.leaf.validMask[cluster]! >>> block) & 1) === 0) return undefined;
    return { pbn: base * clusterSizeBlocks + block, birth: leaf.leaf.birth[cluster]! };
  }
  const split = splitOf(leaf, cluster);
  const pbn = split?.[block] ?? 0;
  if (!split || pbn === 0) return undefined;
  return { pbn, birth: split[clusterSizeBlocks + block]! };
}

/** As `MapTree.runOf`, of blocks of one cluster. */
export function runInCluster(
  leaf: LeafFrame,
  cluster: number,
  { block, count, bound }: { block: number; count: number; bound: number },
): number {
  const base = leaf.leaf.base[cluster]!;
  if (base !== 0) {
    const wanted = ((1 << count) - 1) << block;
    const isThere = (leaf.leaf.validMask[cluster]! & wanted) === wanted;
    return isThere && leaf.leaf.birth[cluster]! > bound ? base * clusterSizeBlocks + block : 0;
  }
  const split = splitOf(leaf, cluster);
  const first = split?.[block] ?? 0;
  if (!split || first === 0) return 0;
  for (let index = 0; index < count; index++) {
    const isNext = split[block + index] === first + index;
    if (!isNext || split[clusterSizeBlocks + block + index]! <= bound) return 0;
  }
  return first;
}

/** True if any of these blocks of a cluster is mapped. */
export function mapsBlocks(leaf: LeafFrame, cluster: number, mask: number): boolean {
  if (leaf.leaf.base[cluster] !== 0) return (leaf.leaf.validMask[cluster]! & mask) !== 0;
  const split = splitOf(leaf, cluster);
  if (!split) return false;
  for (let block = 0; block < clusterSizeBlocks; block++) {
    if (((mask >>> block) & 1) === 1 && split[block] !== 0) return true;
  }
  return false;
}

/** Blocks [from, end) of a cluster as a mask. */
export function rangeMask(from: number, end: number): number {
  return (2 ** end - 1) & ~(2 ** from - 1);
}

function forgetNatural(leaf: LeafFrame, cluster: number): void {
  leaf.leaf.base[cluster] = 0;
  leaf.leaf.validMask[cluster] = 0;
  leaf.leaf.birth[cluster] = 0;
}

/** The lowest split index that no cluster uses. */
function freeSplitIndex(leaf: LeafFrame): number {
  const used = new Uint8Array(leafClustersMax);
  for (const splitIndex of leaf.leaf.splitIndex) if (splitIndex >= 0) used[splitIndex] = 1;
  const free = used.indexOf(0);
  assert(free >= 0, 'a leaf has more split records than clusters');
  return free;
}
