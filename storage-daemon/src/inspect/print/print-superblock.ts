/** What a pool says of itself, for people. */
import { formatBytes } from '@varve/common/byte-units';

import type { Superblock } from '../../format/superblock.ts';
import { blocksToBytes } from '../../units.ts';

/** The pool's name, its devices in order, and its geometry. */
export function describeSuperblock(
  superblock: Superblock,
  deviceNames: readonly string[],
): string[] {
  const { poolName, poolUuid, generation, createdMs, devices, geometry } = superblock;
  const created = new Date(createdMs).toISOString();
  const lines = [
    `pool "${poolName}", UUID ${formatUuid(poolUuid)}, made ${created}, superblock generation ${generation}`,
    `  cells: ${geometry.cellCount}; groups of ${formatBlocks(geometry.groupBlocks)}, journals of ` +
      `${formatBlocks(geometry.ringBlocks)}, ${formatBlocks(geometry.reserveBlocks)} reserved per cell; ` +
      `${geometry.tableFanOut} pointers to a table, ${geometry.leafClusters} clusters to a leaf`,
  ];
  for (const [index, device] of devices.entries()) {
    const { sizeBlocks, firstGroup, groupCount, groupStartBlock, uuid } = device;
    const groups =
      groupCount === 0
        ? 'no group'
        : `groups ${firstGroup} to ${firstGroup + groupCount - 1} from ${formatBlocks(groupStartBlock)} on`;
    const name = `device ${index} "${deviceNames[index] ?? ''}", UUID ${formatUuid(uuid)}`;
    lines.push(`  ${name}: ${formatBlocks(sizeBlocks)}, ${groups}`);
  }
  return lines;
}

/** A number of blocks as bytes, for people. */
export function formatBlocks(blocks: number): string {
  return formatBytes(blocksToBytes(blocks));
}

function formatUuid(uuid: Uint8Array): string {
  return Buffer.from(uuid)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
