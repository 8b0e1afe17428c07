/**
 * Exact sizes (2.4): what only a snapshot references, and what deleting nodes frees, from the sums of the dead lists'
 * buckets.
 *
 * `ReclaimForest` is a sketch of the tree of nodes on which deletions are played through: the same steps as in
 * apply(), with counts instead of blocks.
 */
import { assert } from '@varve/common/assert';

/** Sums of one bucket of a dead list. */
interface BucketSum {
  readonly birthLow: number;
  readonly blockCount: number;
}

/** A node as the sums see it. */
export interface SumNode {
  readonly id: number;
  readonly epoch: number;
  readonly parentId: number | undefined;
  readonly isDeleted: boolean;
  readonly ownBlocks: number;
  readonly dead: readonly BucketSum[];
}

interface SketchNode {
  readonly epoch: number;
  parent: SketchNode | undefined;
  readonly children: Set<SketchNode>;
  isDeleted: boolean;
  ownBlocks: number;
  dead: readonly BucketSum[];
}

/** Plays deletions through without changing anything. */
export class ReclaimForest {
  readonly #nodes = new Map<number, SketchNode>();

  constructor(nodes: Iterable<SumNode>) {
    const parents: [SketchNode, number | undefined][] = [];
    for (const { id, epoch, isDeleted, ownBlocks, dead, parentId } of nodes) {
      const node = {
        epoch,
        isDeleted,
        ownBlocks,
        dead,
        parent: undefined,
        children: new Set<SketchNode>(),
      };
      this.#nodes.set(id, node);
      parents.push([node, parentId]);
    }
    for (const [node, parentId] of parents) {
      const parent = parentId === undefined ? undefined : this.#nodes.get(parentId);
      if (parent) link(node, parent);
    }
  }

  /** Blocks that deleting the node frees, deletions of waiting parents included. */
  delete(id: number): number {
    const node = this.#nodes.get(id);
    assert(node !== undefined && !node.isDeleted, `node ${id} is not there to delete`);
    node.isDeleted = true;
    if (node.children.size === 0) return this.#deleteLeaf(node);
    return node.children.size === 1 ? merge(node) : 0;
  }

  #deleteLeaf(node: SketchNode): number {
    const { parent } = node;
    unlink(node);
    const isWaiting = parent?.isDeleted === true && parent.children.size === 1;
    return node.ownBlocks + (isWaiting ? merge(parent) : 0);
  }
}

function merge(node: SketchNode): number {
  const [child] = node.children;
  const { parent } = node;
  const bound = parent?.epoch ?? 0;
  const garbage = sumAbove(child!.dead, bound);
  child!.dead = [...child!.dead.filter(({ birthLow }) => birthLow < bound), ...node.dead];
  child!.ownBlocks += node.ownBlocks - garbage;
  unlink(child!);
  unlink(node);
  if (parent) link(child!, parent);
  return garbage;
}

function link(node: SketchNode, parent: SketchNode): void {
  node.parent = parent;
  parent.children.add(node);
}

function unlink(node: SketchNode): void {
  node.parent?.children.delete(node);
  node.parent = undefined;
}

/** Blocks in buckets at or above a bound. */
export function sumAbove(buckets: readonly BucketSum[], bound: number): number {
  let sum = 0;
  for (const { birthLow, blockCount } of buckets) if (birthLow >= bound) sum += blockCount;
  return sum;
}
