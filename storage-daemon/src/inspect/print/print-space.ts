/** The space of a pool, for people. */
import type { CellRoot } from '../../format/cell-root.ts';
import { formatBlocks } from './print-superblock.ts';

/** Sums over all cells. */
export function describeSpace(
  roots: readonly CellRoot[],
  pool: { readonly groupCount: number; readonly groupBlocks: number },
): string[] {
  const sum = (pick: (root: CellRoot) => number): number =>
    roots.reduce((total, root) => total + pick(root), 0);
  const sizeBlocks = pool.groupCount * pool.groupBlocks;
  const allocated = sum((root) => root.allocatedBlocks);
  const metadata = sum((root) => root.metadataBlocks);
  const reserved = sum((root) => root.reservedBlocks);
  const groups = sum((root) => root.groupList.count);
  return [
    `space: ${formatBlocks(sizeBlocks)}, ${formatBlocks(allocated)} allocated (${formatBlocks(metadata)} metadata), ` +
      `${formatBlocks(sizeBlocks - allocated)} free (${formatBlocks(reserved)} reserved); ` +
      `${groups} of ${pool.groupCount} groups in use`,
  ];
}
