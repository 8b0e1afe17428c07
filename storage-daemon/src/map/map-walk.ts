/**
 * Frees what a deleted leaf of the node tree had alone, a leaf page at a time. It prunes by births in the pointers of
 * the node's own pages: what was born at or before `walkBound` belongs to others, and is never read, not even its
 * header.
 */
import { assert } from '@varve/common/assert';

import { extensionsMax } from '../format/map-leaf.ts';
import { spanBlocks } from '../format/pool-layout.ts';
import type { PoolGeometry } from '../format/superblock.ts';
import { clusterSizeBlocks } from '../units.ts';
import { extensionPlace, type LeafFrame, type MapFrame, type TableFrame } from './map-frame.ts';
import type { MissingPage, MapResidency } from './map-residency.ts';
import { emptyRoot, isEmptyRoot, type MappedNode } from './map-root.ts';
import { splitOf, type MappedBlock } from './leaf-entries.ts';
import { removeChild } from './map-tree.ts';

/** The end of every map. */
export const walkEnd = 2 ** 32 - 1;

/** A node being walked. */
export interface WalkedNode extends MappedNode {
  readonly sizeBlocks: number;
  /** First block not walked. */
  readonly walkCursor: number;
  readonly walkBound: number;
}

/** What a walk frees. */
export interface WalkHooks {
  freeBlock(block: MappedBlock): void;
  freePage(frame: MapFrame): void;
}

/** Plans and applies steps of walks. */
export class MapWalk {
  readonly #geometry: PoolGeometry;
  readonly #residency: MapResidency;

  constructor(options: { geometry: PoolGeometry }, dependencies: { residency: MapResidency }) {
    this.#geometry = options.geometry;
    this.#residency = dependencies.residency;
  }

  /** Where the next step ends: behind the next own leaf, or at the end. Or a page that must be loaded to know. */
  nextCursor(node: WalkedNode): number | MissingPage {
    const root = this.#residency.attachRoot(node);
    if (!root || node.root.birth <= node.walkBound) return walkEnd;
    if ('pointer' in root) return root;
    return this.#nextBelow(node, root) ?? walkEnd;
  }

  /** The first missing page that a step to `cursor` needs. */
  findMissing(node: WalkedNode, cursor: number): MissingPage | undefined {
    const root = this.#residency.attachRoot(node);
    if (!root || node.root.birth <= node.walkBound) return undefined;
    if ('pointer' in root) return root;
    return this.#missingBelow(node, root, effectiveEnd(node, cursor));
  }

  /** Frees the node's own blocks and pages from its cursor up to `cursor`; everything needed is resident. */
  apply(node: WalkedNode, cursor: number, hooks: WalkHooks): void {
    const { root, walkBound } = node;
    if (isEmptyRoot(root) || root.birth <= walkBound) return;
    assert(root.frame?.isEvicted === false, 'the top of a walked map is not resident');
    const end = effectiveEnd(node, cursor);
    if (this.#free(node, root.frame, { end, hooks })) node.root = emptyRoot;
  }

  #nextBelow(node: WalkedNode, frame: MapFrame): number | MissingPage | undefined {
    const end = this.#endOf(frame);
    if (frame.kind !== 'table') {
      if (end <= node.walkCursor) return undefined;
      const missing = this.#missingExtension(node, frame);
      return missing ?? Math.min(end, walkEnd);
    }
    for (const position of this.#ownPositions(node, frame, Infinity)) {
      const child = this.#residency.attachChild(frame, position)!;
      const found = 'pointer' in child ? child : this.#nextBelow(node, child);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #missingBelow(node: WalkedNode, frame: MapFrame, end: number): MissingPage | undefined {
    if (frame.kind !== 'table') return this.#missingExtension(node, frame);
    for (const position of this.#ownPositions(node, frame, end)) {
      const child = this.#residency.attachChild(frame, position)!;
      const missing = 'pointer' in child ? child : this.#missingBelow(node, child, end);
      if (missing) return missing;
    }
    return undefined;
  }

  #missingExtension(node: WalkedNode, frame: MapFrame): MissingPage | undefined {
    if (frame.kind !== 'leaf') return undefined;
    for (let page = 0; page < extensionsMax; page++) {
      if (frame.leaf.extBirth[page]! <= node.walkBound) continue;
      const found = this.#residency.attachExtension(frame, page);
      if (found && 'pointer' in found) return found;
    }
    return undefined;
  }

  /** True if the page is wholly walked and now free. */
  #free(
    node: WalkedNode,
    frame: MapFrame,
    step: { readonly end: number; readonly hooks: WalkHooks },
  ): boolean {
    const { end, hooks } = step;
    if (frame.kind === 'leaf') {
      freeLeaf(frame, { bound: node.walkBound, clusterCount: this.#geometry.leafClusters }, hooks);
      return true;
    }
    assert(frame.kind === 'table', 'a walk meets tables and leaves');
    for (const position of this.#ownPositions(node, frame, end)) {
      const child = frame.children[position];
      assert(child?.isEvicted === false, 'a page of a walked map is not resident');
      if (this.#free(node, child, step)) removeChild(frame, position);
    }
    if (this.#endOf(frame) > end) return false;
    hooks.freePage(frame);
    return true;
  }

  /** Positions of own children that reach beyond the cursor and begin before `end`. */
  #ownPositions(node: WalkedNode, table: TableFrame, end: number): number[] {
    const childSpan = spanBlocks(this.#geometry, table.level - 1);
    const start = this.#endOf(table) - childSpan * this.#geometry.tableFanOut;
    const positions: number[] = [];
    for (let position = 0; position < this.#geometry.tableFanOut; position++) {
      const childStart = start + position * childSpan;
      if (childStart >= end) break;
      if (childStart + childSpan <= node.walkCursor) continue;
      if (table.pointers.birth[position]! > node.walkBound) positions.push(position);
    }
    return positions;
  }

  #endOf(frame: MapFrame): number {
    return (frame.index + 1) * spanBlocks(this.#geometry, frame.level);
  }
}

function effectiveEnd(node: WalkedNode, cursor: number): number {
  return cursor >= node.sizeBlocks ? Infinity : cursor;
}

function freeLeaf(
  frame: LeafFrame,
  options: { readonly bound: number; readonly clusterCount: number },
  hooks: WalkHooks,
): void {
  for (let cluster = 0; cluster < options.clusterCount; cluster++) {
    freeNatural(frame, cluster, { bound: options.bound, hooks });
    // Records of a shared extension page were all born before the bound.
    if (isSharedExtension(frame, cluster, options.bound)) continue;
    const split = splitOf(frame, cluster);
    if (!split) continue;
    for (let block = 0; block < clusterSizeBlocks; block++) {
      const birth = split[clusterSizeBlocks + block]!;
      if (split[block] !== 0 && birth > options.bound)
        hooks.freeBlock({ pbn: split[block]!, birth });
    }
  }
  for (let page = 0; page < extensionsMax; page++) {
    const extension = frame.extensions[page];
    if (extension && frame.leaf.extBirth[page]! > options.bound) hooks.freePage(extension);
  }
  hooks.freePage(frame);
}

/** All 16 blocks, the slack as well. */
function freeNatural(
  { leaf }: LeafFrame,
  cluster: number,
  { bound, hooks }: { readonly bound: number; readonly hooks: WalkHooks },
): void {
  const base = leaf.base[cluster]!;
  const birth = leaf.birth[cluster]!;
  if (base === 0 || birth <= bound) return;
  for (let block = 0; block < clusterSizeBlocks; block++) {
    hooks.freeBlock({ pbn: base * clusterSizeBlocks + block, birth });
  }
}

function isSharedExtension(frame: LeafFrame, cluster: number, bound: number): boolean {
  const splitIndex = frame.leaf.splitIndex[cluster]!;
  const place = splitIndex < 0 ? undefined : extensionPlace(splitIndex);
  return place !== undefined && frame.leaf.extBirth[place.page]! <= bound;
}
