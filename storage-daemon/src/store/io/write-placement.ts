/**
 * Where a write goes (2.5 WRITE): for each cluster that it touches, in place, into the slack of an own natural
 * cluster, to a fresh cluster or to fresh blocks; and the records that map it once the data is written.
 */
import type { BlockRun } from '../../allocator/group-bitmap.ts';
import { setBlocksMax, setClustersMax, type JournalRecord } from '../../format/journal-record.ts';
import { extensionsMax, wholeMask } from '../../format/map-leaf.ts';
import { leafBlocks } from '../../format/pool-layout.ts';
import { rangeMask, splitOf } from '../../map/leaf-entries.ts';
import type { LeafFrame } from '../../map/map-frame.ts';
import { clusterSizeBlocks } from '../../units.ts';
import type { Cell } from '../cell.ts';
import type { TreeNode } from '../tree-node.ts';

/** Blocks [from, end) of one cluster of a volume. */
export interface Piece {
  readonly from: number;
  readonly end: number;
}

/** Neighbouring blocks of a volume that lie in a row. */
export interface Segment {
  readonly lbn: number;
  readonly pbn: number;
  readonly count: number;
  /** They held data of the volume, or may before long (slack): a snapshot waits for the write (R5). */
  readonly isOwn: boolean;
}

/** How pieces are written and mapped. */
export interface Placement {
  readonly segments: readonly Segment[];
  /** What maps the data, to be recorded when it is written. */
  readonly records: readonly JournalRecord[];
  /** Blocks to give back if nothing is recorded. */
  readonly reserved: readonly BlockRun[];
  /** Pages that the records dirty at most. */
  readonly pages: number;
}

/** What may become of a piece. */
export type PieceKind = 'in place' | 'slack' | 'fresh';

/** Whose pieces, and the bound of what may be overwritten in place. */
interface WriteContext {
  readonly cell: Cell;
  readonly node: TreeNode;
  readonly bound: number;
}

/** Entries of dead lists that a page of them holds, in the part of a directory that a change adds at most. */
const deadEntriesPerPage = 128;

/** How a piece may be written. In place: `segments` gets where. */
export function classifyPiece(
  { cell, node, bound }: WriteContext,
  piece: Piece,
  segments: Segment[],
): PieceKind {
  const { tree } = cell.state;
  const leaf = tree.leafOf(node, piece.from);
  if (!leaf) return 'fresh';
  const cluster = tree.clusterIndexOf(piece.from);
  const base = leaf.leaf.base[cluster]!;
  if (base === 0) {
    const own = ownSplitBlocks(leaf, cluster, { piece, bound });
    if (own.length < piece.end - piece.from) return 'fresh';
    segments.push(...own);
    return 'in place';
  }
  if (leaf.leaf.birth[cluster]! <= bound) return 'fresh';
  const wanted = maskOf(piece);
  if ((leaf.leaf.validMask[cluster]! & wanted) !== wanted) return 'slack';
  segments.push(naturalSegment(base, piece, true));
  return 'in place';
}

/** Finds and reserves room for pieces that do not go in place; undefined if there is none. */
export function placePieces(
  context: WriteContext,
  pieces: readonly Piece[],
): Placement | undefined {
  const { cell, node } = context;
  const leaves = countLeaves(pieces, leafBlocks(cell.state.geometry));
  const pages = pagesOfChange(cell, node, { leaves, clusters: pieces.length });
  const withClusters = new PlacementDraft(context, pieces, cell.hasRoomForClusters);
  return (
    withClusters.reserve(pages) ??
    // Whole clusters may not be found where single blocks are.
    (withClusters.clusterCount === 0
      ? undefined
      : new PlacementDraft(context, pieces, undefined).reserve(pages))
  );
}

/** True if the head still has this natural cluster, and alone. */
export function isOwnCluster(
  cell: Cell,
  node: TreeNode,
  { cluster, base }: { readonly cluster: number; readonly base: number },
): boolean {
  const { tree } = cell.state;
  const lbn = cluster * clusterSizeBlocks;
  const leaf = tree.leafOf(node, lbn)?.leaf;
  const index = tree.clusterIndexOf(lbn);
  return leaf?.base[index] === base && leaf.birth[index]! > node.parentEpoch;
}

class PlacementDraft {
  readonly #context: WriteContext;
  readonly #segments: Segment[] = [];
  readonly #records: JournalRecord[] = [];
  readonly #fresh: Piece[] = [];
  readonly #missing: number[] = [];

  /** `hasRoom`: holes get whole clusters; undefined: nobody does. */
  constructor(context: WriteContext, pieces: readonly Piece[], hasRoom: boolean | undefined) {
    this.#context = context;
    for (const piece of pieces) this.#sort(piece, hasRoom);
  }

  get clusterCount(): number {
    return this.#fresh.length;
  }

  reserve(pages: number): Placement | undefined {
    const { space, state } = this.#context.cell;
    const clusters = this.#fresh.length;
    const blocks = clusters * clusterSizeBlocks + this.#missing.length;
    if (!space.admits(blocks, pages)) return undefined;
    const clusterRuns = state.allocator.reserveClusters(clusters);
    const blockRuns = clusterRuns && state.allocator.reserveData(this.#missing.length);
    if (!clusterRuns || !blockRuns) {
      for (const run of clusterRuns ?? []) state.allocator.releaseReservation(run);
      return undefined;
    }
    this.#placeClusters(clusterRuns);
    this.#placeBlocks(blockRuns);
    this.#segments.sort((a, b) => a.lbn - b.lbn);
    const reserved = [...clusterRuns, ...blockRuns];
    return { segments: this.#segments, records: this.#records, reserved, pages };
  }

  #sort(piece: Piece, hasRoom: boolean | undefined): void {
    const { cell, node, bound } = this.#context;
    const leaf = cell.state.tree.leafOf(node, piece.from);
    const index = cell.state.tree.clusterIndexOf(piece.from);
    const base = leaf?.leaf.base[index] ?? 0;
    if (leaf && base !== 0 && leaf.leaf.birth[index]! > bound) {
      this.#segments.push(naturalSegment(base, piece, true));
      const cluster = Math.floor(piece.from / clusterSizeBlocks);
      // The other blocks of the piece are overwritten in place.
      const mask = maskOf(piece) & ~leaf.leaf.validMask[index]!;
      this.#records.push({ op: 'valid', node: node.id, cluster, base, mask });
      return;
    }
    const isHole = base === 0 && (!leaf || leaf.leaf.splitIndex[index]! < 0);
    const isWhole = piece.end - piece.from === clusterSizeBlocks;
    if (hasRoom !== undefined && (isWhole || (isHole && hasRoom))) {
      this.#fresh.push(piece);
      return;
    }
    const own = leaf && base === 0 ? ownSplitBlocks(leaf, index, { piece, bound }) : [];
    this.#segments.push(...own);
    const ownLbns = new Set(own.map(({ lbn }) => lbn));
    for (let lbn = piece.from; lbn < piece.end; lbn++) {
      if (!ownLbns.has(lbn)) this.#missing.push(lbn);
    }
  }

  #placeClusters(runs: readonly BlockRun[]): void {
    let next = 0;
    for (const { pbn, count } of runs) {
      for (let start = pbn; start < pbn + count; start += clusterSizeBlocks) {
        this.#placeCluster(this.#fresh[next++]!, start / clusterSizeBlocks);
      }
    }
  }

  /** Whole clusters in a row share a record. */
  #placeCluster(piece: Piece, base: number): void {
    const node = this.#context.node.id;
    const cluster = Math.floor(piece.from / clusterSizeBlocks);
    this.#segments.push(naturalSegment(base, piece, false));
    if (piece.end - piece.from < clusterSizeBlocks) {
      this.#records.push({ op: 'setPart', node, cluster, base, mask: maskOf(piece) });
      return;
    }
    const last = this.#records.at(-1);
    const continues =
      last?.op === 'setClusters' &&
      last.count < setClustersMax &&
      last.cluster + last.count === cluster &&
      last.base + last.count === base;
    if (continues) this.#records[this.#records.length - 1] = { ...last, count: last.count + 1 };
    else this.#records.push({ op: 'setClusters', node, cluster, base, count: 1 });
  }

  #placeBlocks(runs: readonly BlockRun[]): void {
    const node = this.#context.node.id;
    let next = 0;
    for (const { pbn, count } of runs) {
      for (let done = 0; done < count;) {
        const lbn = this.#missing[next]!;
        let length = 1;
        while (
          done + length < count &&
          length < setBlocksMax &&
          this.#missing[next + length] === lbn + length
        ) {
          length++;
        }
        this.#segments.push({ lbn, pbn: pbn + done, count: length, isOwn: false });
        this.#records.push({ op: 'set', node, lbn, pbn: pbn + done, count: length });
        next += length;
        done += length;
      }
    }
  }
}

function naturalSegment(base: number, piece: Piece, isOwn: boolean): Segment {
  const { from, end } = piece;
  const pbn = base * clusterSizeBlocks + (from % clusterSizeBlocks);
  return { lbn: from, pbn, count: end - from, isOwn };
}

/** The blocks of a piece of a split cluster (or hole) that may be overwritten in place. */
function ownSplitBlocks(
  leaf: LeafFrame,
  cluster: number,
  { piece, bound }: { piece: Piece; bound: number },
): Segment[] {
  const split = splitOf(leaf, cluster);
  const own: Segment[] = [];
  if (!split) return own;
  for (let lbn = piece.from; lbn < piece.end; lbn++) {
    const pbn = split[lbn % clusterSizeBlocks]!;
    const birth = split[clusterSizeBlocks + (lbn % clusterSizeBlocks)]!;
    if (pbn !== 0 && birth > bound) own.push({ lbn, pbn, count: 1, isOwn: true });
  }
  return own;
}

function maskOf({ from, end }: Piece): number {
  const start = from - (from % clusterSizeBlocks);
  return end - from === clusterSizeBlocks ? wholeMask : rangeMask(from - start, end - start);
}

/**
 * The most pages that a change of so many clusters in so many leaves dirties: their leaves, tables and extension pages,
 * if no two leaves share any, and what the node's dead lists get.
 */
export function pagesOfChange(
  cell: Cell,
  node: TreeNode,
  { leaves, clusters }: { readonly leaves: number; readonly clusters: number },
): number {
  const mapPages = leaves * (node.level + 1) + Math.min(clusters, leaves * extensionsMax);
  const deadPages = Math.ceil((clusters * clusterSizeBlocks) / deadEntriesPerPage);
  return mapPages + deadPages + cell.state.cleanListPages(node);
}

function countLeaves(pieces: readonly Piece[], perLeaf: number): number {
  return new Set(pieces.map(({ from }) => Math.floor(from / perLeaf))).size;
}
