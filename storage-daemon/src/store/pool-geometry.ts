/** Sizes of a new pool: the defaults of the design, and the bounds of what a caller may ask for. */
import { bitmapSlots, cellsMax, groupBlocksMax, poolBlocksMax } from '../format/pool-layout.ts';
import { leafClustersMax } from '../format/map-leaf.ts';
import { tableFanOutMax } from '../format/table-page.ts';
import type { PoolGeometry } from '../format/superblock.ts';
import type { GeometryOptions } from './store-api.ts';
import { StoreError } from './store-error.ts';

const gibibyteBlocks = 2 ** 18;
/** Groups of 128 MiB, of 16 MiB in small pools. */
const smallPoolBlocks = 64 * gibibyteBlocks;
const smallGroupBlocks = 4096;
/** A journal is 1/4096 of its cell, at least 4 MiB. */
const ringShare = 4096;
const ringBlocksDefaultMin = 1024;
/** Least size of a cell in a pool that is made for several reactors: 128 MiB. */
const cellBlocksMin = 2 ** 15;
/** Least reserve of a cell. */
const reserveBlocksMin = 64;

/** Chooses a geometry for devices of this size in all. @throws StoreError `out-of-range` */
export function chooseGeometry(sizeBlocks: number, options: GeometryOptions): PoolGeometry {
  if (sizeBlocks > poolBlocksMax) {
    throw new StoreError(
      'out-of-range',
      `Formatting a pool of ${sizeBlocks} blocks failed: at most ${poolBlocksMax} (16 TiB) are allowed`,
    );
  }
  const cellCount = options.cellCount ?? defaultCells(sizeBlocks, options.reactorCount ?? 1);
  const cellBlocks = Math.floor(sizeBlocks / cellCount);
  const groupBlocks =
    options.allocationGroupBlocks ??
    (sizeBlocks < smallPoolBlocks ? smallGroupBlocks : groupBlocksMax);
  return {
    cellCount,
    groupBlocks,
    ringBlocks:
      options.journalRingBlocks ??
      Math.max(ringBlocksDefaultMin, Math.floor(cellBlocks / ringShare)),
    tableFanOut: options.tableFanOut ?? tableFanOutMax,
    leafClusters: options.leafClusters ?? leafClustersMax,
    reserveBlocks: options.reserveBlocks ?? defaultReserve(sizeBlocks, cellCount),
  };
}

/** One for 64 GiB, and one for each reactor if that leaves a cell the space for its reserve and for data. */
function defaultCells(sizeBlocks: number, reactorCount: number): number {
  const bySize = Math.floor(sizeBlocks / smallPoolBlocks);
  const byReactors = Math.min(reactorCount, Math.floor(sizeBlocks / cellBlocksMin));
  return Math.min(cellsMax, Math.max(1, bySize, byReactors));
}

/** The cell's share of max(min(1 GiB, 5 %), 1 %) of the pool. */
function defaultReserve(sizeBlocks: number, cellCount: number): number {
  const poolReserve = Math.max(Math.min(gibibyteBlocks, sizeBlocks * 0.05), sizeBlocks * 0.01);
  return Math.max(reserveBlocksMin, Math.ceil(poolReserve / cellCount));
}

/** Groups that a cell must own to hold its reserve. */
export function reserveGroups(geometry: PoolGeometry): number {
  return Math.ceil(geometry.reserveBlocks / (geometry.groupBlocks - bitmapSlots));
}
