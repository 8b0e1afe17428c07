/** Which blocks of a node hold data, for block status and copy tools. */
import { spanBlocks } from '../../format/pool-layout.ts';
import type { Cell } from '../cell.ts';
import type { AllocationExtent } from '../store-api.ts';
import type { StoreError } from '../store-error.ts';
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
    for (const extent of part.isHole
      ? [hole(from, part.end)]
      : partExtents(cell, node, { from, end: part.end })) {
      const last = extents.at(-1);
      if (last?.state === extent.state) {
        extents[extents.length - 1] = { ...last, blockCount: last.blockCount + extent.blockCount };
      } else if (extents.length === extentsMax) return extents;
      else extents.push(extent);
    }
    from = part.end;
  }
  return extents;
}

function hole(from: number, end: number): AllocationExtent {
  return { lbn: from, blockCount: end - from, state: 'hole' };
}

/** Up to the next leaf a hole, else the rest of the leaf, loaded. */
async function nextPart(
  cell: Cell,
  node: TreeNode,
  range: { from: number; end: number },
): Promise<{ end: number; isHole: boolean }> {
  const { residency } = cell.state;
  const perLeaf = spanBlocks(cell.state.geometry, 0);
  let part = { end: range.end, isHole: true };
  const failure = await new Promise<StoreError | null>((resolve) => {
    cell.residency.ensureFound(() => {
      const next = residency.nextLeaf(node, range.from);
      if (next === undefined) return undefined;
      if (typeof next !== 'number') return next;
      if (next > range.from) {
        part = { end: Math.min(next, range.end), isHole: true };
        return undefined;
      }
      part = { end: Math.min(next + perLeaf, range.end), isHole: false };
      return residency.findMissing(node, range.from, part.end - range.from);
    }, resolve);
  });
  if (failure) throw failure;
  return part;
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
