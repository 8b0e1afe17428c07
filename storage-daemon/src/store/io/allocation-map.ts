/** Which blocks of a node hold data, for block status and copy tools. */
import { spanBlocks } from '../../format/pool-layout.ts';
import type { Cell } from '../cell.ts';
import type { AllocationExtent } from '../store-api.ts';
import type { TreeNode } from '../tree-node.ts';

/** A question for extents. */
export interface AllocationQuery {
  readonly node: TreeNode;
  readonly lbn: number;
  readonly blockCount: number;
  readonly extentsMax: number;
}

/** Extents from `lbn` on, at most `extentsMax`. Holes are skipped without looking at each block. */
export async function findAllocation(
  query: AllocationQuery,
  cell: Cell,
): Promise<readonly AllocationExtent[]> {
  const { node, lbn, blockCount, extentsMax } = query;
  const end = lbn + blockCount;
  const extents: AllocationExtent[] = [];
  for (let from = lbn; from < end;) {
    const part = await nextPart(cell, node, { from, end });
    for (const extent of part) {
      const last = extents.at(-1);
      if (last?.state === extent.state) {
        extents[extents.length - 1] = { ...last, blockCount: last.blockCount + extent.blockCount };
      } else if (extents.length === extentsMax) return extents;
      else extents.push(extent);
      from += extent.blockCount;
    }
  }
  return extents;
}

function hole(from: number, end: number): AllocationExtent {
  return { lbn: from, blockCount: end - from, state: 'hole' };
}

/** Up to the next leaf a hole, else the rest of the leaf, looked at in the turn that has loaded it. */
function nextPart(
  cell: Cell,
  node: TreeNode,
  { from, end }: { from: number; end: number },
): Promise<AllocationExtent[]> {
  const { residency } = cell.state;
  const perLeaf = spanBlocks(cell.state.geometry, 0);
  let holeEnd: number | undefined;
  let leafEnd = end;
  return new Promise((resolve, reject) => {
    const find = () => {
      holeEnd = end;
      const next = residency.nextLeaf(node, from);
      if (next === undefined) return undefined;
      if (typeof next !== 'number') return next;
      if (next > from) {
        holeEnd = Math.min(next, end);
        return undefined;
      }
      holeEnd = undefined;
      leafEnd = Math.min(next + perLeaf, end);
      return residency.findMissing(node, from, leafEnd - from, 'look');
    };
    cell.residency.ensureFound(find, (failure) => {
      if (failure) reject(failure);
      else if (holeEnd !== undefined) resolve([hole(from, holeEnd)]);
      else resolve(partExtents(cell, node, { from, end: leafEnd }));
    });
  });
}

function partExtents(
  cell: Cell,
  node: TreeNode,
  range: { from: number; end: number },
): AllocationExtent[] {
  const extents: { lbn: number; blockCount: number; state: 'data' | 'hole' }[] = [];
  for (let lbn = range.from; lbn < range.end; lbn++) {
    const state = cell.state.tree.lookup(node, lbn) ? 'data' : 'hole';
    const last = extents.at(-1);
    if (last?.state === state) last.blockCount++;
    else extents.push({ lbn, blockCount: 1, state });
  }
  return extents;
}
