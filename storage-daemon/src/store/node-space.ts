/** Sizes of the nodes of a cell, computed when asked. */
import { ReclaimForest, type SumNode } from '../reclaim/space-sums.ts';
import type { DeadSequence } from '../reclaim/dead-sequence.ts';
import type { Cell } from './cell.ts';
import type { NodeSpace } from './store-api.ts';
import type { StoreError } from './store-error.ts';
import type { TreeNode } from './tree-node.ts';

/** Exact sizes of one node. */
export async function spaceOfNode(cell: Cell, node: TreeNode): Promise<NodeSpace> {
  const { referencedBlocks } = node;
  const reclaimableBlocks = reclaimableAlone(node);
  const uniqueBlocks = await countUnique(cell, node);
  return { referencedBlocks, uniqueBlocks, reclaimableBlocks };
}

/** What deleting this node frees: as `reclaimableTogether`, without looking at the rest of its family. */
function reclaimableAlone(node: TreeNode): number {
  const child = node.onlyChild;
  if (child) return child.deadData.countAbove(node.parentEpoch);
  if (node.children.size > 0) return 0;
  const { parent } = node;
  const isAwaited = parent?.isDeleted === true && parent.children.size === 2;
  const [other] = isAwaited ? [...parent.children].filter((each) => each !== node) : [];
  return node.ownBlocks + (other?.deadData.countAbove(parent?.parentEpoch ?? 0) ?? 0);
}

/** What deleting these nodes of one cell together frees. */
export function reclaimableTogether(cell: Cell, nodes: readonly TreeNode[]): number {
  const families = new Set(nodes.map(({ family }) => family));
  const members = [...cell.state.nodes.values()].filter(
    (node) => families.has(node.family) && !node.isWalking,
  );
  const forest = new ReclaimForest(members.map(describe));
  let blocks = 0;
  for (const node of nodes) blocks += forest.delete(node.id);
  return blocks;
}

function describe(node: TreeNode): SumNode {
  return {
    id: node.id,
    epoch: node.epoch,
    parentId: node.parent?.id,
    isDeleted: node.isDeleted,
    ownBlocks: node.ownBlocks,
    dead: node.deadData.summary(),
  };
}

/** Blocks that only this node references: what it owns and all of its children have dropped. */
async function countUnique(cell: Cell, node: TreeNode): Promise<number> {
  if (node.children.size === 0) return node.ownBlocks;
  const child = node.onlyChild;
  if (child) return child.deadData.countAbove(node.parentEpoch);
  let common: Set<number> | undefined;
  for (const each of node.children) {
    const sequences = each.deadData.sequencesAbove(node.parentEpoch);
    const dropped = await blocksOf(cell, sequences);
    const former: Set<number> | undefined = common;
    common = former ? new Set([...former].filter((pbn) => dropped.has(pbn))) : dropped;
  }
  return common?.size ?? 0;
}

async function blocksOf(cell: Cell, sequences: readonly DeadSequence[]): Promise<Set<number>> {
  const blocks = new Set<number>();
  for (const sequence of sequences) {
    const failure = await new Promise<StoreError | null>((resolve) => {
      cell.residency.ensureFound(() => sequence.findMissing(0, sequence.entryCount), resolve);
    });
    if (failure) throw failure;
    for (const { pbn } of sequence.take(0, sequence.entryCount).entries) blocks.add(pbn);
  }
  return blocks;
}
