/**
 * Where everything lies, computed from the geometry:
 *
 *   every device: superblock copies at 0, at 1 MiB and in the last MiB
 *   first device: 2 MiB   cell roots: per cell 2 generations of 4 KiB; the second copies 1 MiB further
 *                 4 MiB   journals: one ring per cell
 *                 ..      allocation groups, from the next MiB on
 *   others:       2 MiB   allocation groups
 *
 * A pbn counts blocks of allocation groups over all devices in order; pbn 0 is a bitmap slot and so means null.
 */
import { assert } from '@varve/common/assert';

import { blockSizeBytes, clusterSizeBlocks } from '../units.ts';
import { checkFormat } from './corruption-error.ts';
import { leafClustersMax } from './map-leaf.ts';
import { tableFanOutMax } from './table-page.ts';
import { poolDevicesMax, type PoolGeometry, type SuperblockDevice } from './superblock.ts';

const mebibyteBlocks = 256;
const rootsBlock = 2 * mebibyteBlocks;
const journalsBlock = 4 * mebibyteBlocks;
/** Smallest device: its superblock's copies, each in a MiB of its own. */
const deviceBlocksMin = 3 * mebibyteBlocks;
/** Most cells of a pool: their roots fit between 2 and 3 MiB. */
export const cellsMax = 64;
/** Blocks of a group that hold its bitmap, in turns. */
export const bitmapSlots = 2;
/** Largest group: one bitmap page. */
export const groupBlocksMax = blockSizeBytes * 8;
/** Largest pool: u32 block numbers. */
export const poolBlocksMax = 2 ** 32;
/** Shortest ring: two slots for fences (J2), the block that a checkpoint closes, and some to work with. */
export const ringBlocksMin = 8;
assert(cellsMax * 2 <= mebibyteBlocks, 'the cell roots fit their MiB');

/** Blocks of the superblock's copies on a device. */
export function superblockBlocks(deviceSizeBlocks: number): readonly number[] {
  return [0, mebibyteBlocks, deviceSizeBlocks - mebibyteBlocks];
}

/** Block on the first device of a copy of a cell's root. */
export function cellRootBlock(cell: number, generation: number, copyNumber: number): number {
  return rootsBlock + copyNumber * mebibyteBlocks + cell * 2 + (generation % 2);
}

/** Block on the first device of a slot of a cell's journal ring. */
export function journalBlockOf(geometry: PoolGeometry, cell: number, slot: number): number {
  assert(slot < geometry.ringBlocks, `slot ${slot} of ${geometry.ringBlocks}`);
  return journalsBlock + cell * geometry.ringBlocks + slot;
}

/** Blocks of a device before its groups. */
function fixedBlocks(geometry: PoolGeometry, deviceIndex: number): number {
  return deviceIndex === 0 ? journalsBlock + geometry.cellCount * geometry.ringBlocks : rootsBlock;
}

/** Divides devices of these sizes into groups. A device may be too small to have any. */
export function layOutDevices(
  geometry: PoolGeometry,
  devices: readonly { readonly uuid: Uint8Array; readonly sizeBlocks: number }[],
): SuperblockDevice[] {
  let firstGroup = 0;
  return devices.map(({ uuid, sizeBlocks }, index) => {
    const groupStartBlock =
      Math.ceil(fixedBlocks(geometry, index) / mebibyteBlocks) * mebibyteBlocks;
    const room = sizeBlocks - mebibyteBlocks - groupStartBlock;
    const groupCount = Math.max(0, Math.floor(room / geometry.groupBlocks));
    const device = { uuid, sizeBlocks, firstGroup, groupCount, groupStartBlock };
    firstGroup += groupCount;
    return device;
  });
}

/** Checks what a superblock says of sizes before anything is computed from it. */
export function checkGeometry(geometry: PoolGeometry, devices: readonly SuperblockDevice[]): void {
  const { groupBlocks, ringBlocks, cellCount, tableFanOut, leafClusters } = geometry;
  const smallestBlocks = Math.min(...devices.map(({ sizeBlocks }) => sizeBlocks));
  const firstDeviceBlocks = fixedBlocks(geometry, 0) + mebibyteBlocks;
  let groupCount = 0;
  for (const device of devices) groupCount += device.groupCount;
  const bounds: [string, number, number, number][] = [
    ['blocks per group', groupBlocks, 16, groupBlocksMax],
    ['journal blocks', ringBlocks, ringBlocksMin, 2 ** 20],
    ['cells', cellCount, 1, cellsMax],
    ['table fan-out', tableFanOut, 2, tableFanOutMax],
    ['clusters per leaf', leafClusters, 1, leafClustersMax],
    ['devices', devices.length, 1, poolDevicesMax],
    ['blocks of the smallest device', smallestBlocks, deviceBlocksMin, Infinity],
    ['blocks of the first device', devices[0]?.sizeBlocks ?? 0, firstDeviceBlocks, Infinity],
    ['blocks in groups', groupCount * groupBlocks, groupBlocks, poolBlocksMax],
  ];
  for (const [name, value, low, high] of bounds) {
    checkFormat(
      value >= low && value <= high,
      'range',
      () => `${name}: ${value}; ${low} ${high === Infinity ? 'or more' : `to ${high}`} are allowed`,
      156,
    );
  }
  const expected = layOutDevices(geometry, devices);
  const isLaidOut = devices.every((device, index) => {
    const wanted = expected[index]!;
    return (
      device.firstGroup === wanted.firstGroup &&
      device.groupCount === wanted.groupCount &&
      device.groupStartBlock === wanted.groupStartBlock
    );
  });
  checkFormat(isLaidOut, 'range', () => 'the device table does not follow from the geometry', 192);
}

/** Blocks that a leaf maps. */
export function leafBlocks(geometry: PoolGeometry): number {
  return geometry.leafClusters * clusterSizeBlocks;
}

/** Blocks that a page `level` above the leaves maps. */
export function spanBlocks(geometry: PoolGeometry, level: number): number {
  return leafBlocks(geometry) * geometry.tableFanOut ** level;
}

/** Height of the map of a volume of this size: at least one table above the leaves. */
export function mapLevel(geometry: PoolGeometry, sizeBlocks: number): number {
  let level = 1;
  while (spanBlocks(geometry, level) < sizeBlocks) level++;
  return level;
}
