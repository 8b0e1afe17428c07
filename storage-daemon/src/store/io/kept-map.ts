/**
 * Which answers wait until the map is durable, and when it is. FUA writes must survive every crash; of users who keep
 * answers (`NodeIo.keepsAnswers`) every change but a discard must survive the death of the process, of which the
 * devices remember what they have completed. Both need the records that map the blocks: those of this change, and
 * those of before that mapped what is overwritten in place.
 */
import type { Cell } from '../cell.ts';
import type { TreeNode } from '../tree-node.ts';

/**
 * True if the answer to a change has to wait until the map that it leaves is durable. Advice is a discard: when it is
 * lost, the old bytes are as good as zeros.
 */
export function keepsMap(fua: boolean, keepsAnswers: boolean, isAdvice = false): boolean {
  return fua || (keepsAnswers && !isAdvice);
}

/** True if all that was ever recorded of the node's map is durable. */
export function isMapDurable(cell: Cell, node: TreeNode): boolean {
  return node.lastRecord <= cell.journal.durableRecord;
}

/** The last record on the leaves of these blocks, which may be what mapped them; their leaves are in memory. */
export function lastRecordOn(
  cell: Cell,
  node: TreeNode,
  segments: readonly { readonly lbn: number }[],
): number {
  let record = 0;
  for (const { lbn } of segments) {
    record = Math.max(record, cell.state.tree.leafOf(node, lbn)?.lastRecord ?? 0);
  }
  return record;
}
