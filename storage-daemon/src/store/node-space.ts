/** Sizes of the nodes of a cell, computed when asked. */
import { ReclaimForest, type SumNode } from '../reclaim/space-sums.ts';
import type { MissingDeadPage } from '../reclaim/dead-sequence.ts';
import type { Cell } from './cell.ts';
import type { NodeSpace } from './store-api.ts';
import type { StoreError } from './store-error.ts';
import type { TreeNode } from './tree-node.ts';

/** Exact sizes of one node. */
export async function spaceOfNode(cell: Cell, node: TreeNode): Promise<NodeSpace> {
  const { referencedBlocks, slackBlocks } = node;
  const reclaimableBlocks = reclaimableAlone(node);
  const uniqueBlocks = await countUnique(cell, node);
  return { referencedBlocks, slackBlocks, uniqueBlocks, reclaimableBlocks };
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
    const dropped = await blocksAbove(cell, each, node.parentEpoch);
    const former: Set<number> | undefined = common;
    common = former ? new Set([...former].filter((pbn) => dropped.has(pbn))) : dropped;
  }
  return common?.size ?? 0;
}

/** The dead blocks of a node that were born after `bound`. */
async function blocksAbove(cell: Cell, node: TreeNode, bound: number): Promise<Set<number>> {
  const blocks = new Set<number>();
  // Looked up anew after each page, and taken in the turn that finds the last one: changes and checkpoints go on
  // meanwhile, and move entries between lists and to pages that are not resident.
  const find = (): MissingDeadPage | undefined => {
    const sequences = node.deadData.sequencesAbove(bound);
    for (const sequence of sequences) {
      const missing = sequence.findMissing(0, sequence.entryCount);
      if (missing) return missing;
    }
    for (const sequence of sequences) {
      for (const { pbn } of sequence.take(0, sequence.entryCount).entries) blocks.add(pbn);
    }
    return undefined;
  };
  const failure = await new Promise<StoreError | null>((resolve) => {
    cell.residency.ensureFound(find, resolve);
  });
  if (failure) throw failure;
  return blocks;
}
