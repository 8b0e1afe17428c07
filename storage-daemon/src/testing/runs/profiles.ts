/** Named kinds of runs: what is drawn more often than usual. `usual` is what `npm run simulate` runs. */
import type { SimProfile } from './sim-config.ts';

/** All profiles by name. */
export const profiles: Readonly<Record<string, SimProfile>> = {
  usual: {},
  /** Pools that fill up. */
  tight: { isTight: true },
  /** Devices that fail requests. */
  errors: { errorChance: 0.003, isTight: false },
  /** A lot of snapshots, clones and deletions of few blocks. */
  family: {
    isTight: false,
    weights: {
      createSnapshot: 20,
      cloneSnapshot: 10,
      cloneVolume: 5,
      deleteSnapshot: 20,
      deleteVolume: 8,
      revert: 6,
    },
    history: { hotBlocks: 8 },
  },
  /** Many overlapping writes with FUA and flush on few blocks, behind a volatile cache. */
  durability: {
    hasVolatileCache: true,
    isTight: false,
    weights: { write: 60, flush: 15, createSnapshot: 8 },
    history: { fuaChance: 0.4, hotBlocks: 4 },
    stallChance: 0.2,
    cleanChance: 0,
  },
  /** Checkpoints all the time. */
  checkpoints: {
    isTight: false,
    weights: { checkpoint: 15 },
    open: { checkpointIntervalMs: 2, checkpointRecords: 8, journalTimerMs: 1 },
    cleanChance: 0,
  },
  /** Leaves of many clusters, so that split records fill extension pages; few changes per page. */
  wide: {
    isTight: false,
    cellCounts: [1],
    geometry: { leafClusters: 64, tableFanOut: 4 },
    weights: { discard: 15, createSnapshot: 12, cloneSnapshot: 6, deleteSnapshot: 12, revert: 4 },
    history: { volumesMax: 3, volumeBlocksMax: 700, hotBlocks: 700, rangeBlocksMax: 20 },
  },
  /** Long runs of blocks that die at once: dead lists and queue items of many pages. */
  bulk: {
    isTight: false,
    cellCounts: [1],
    weights: {
      discard: 15,
      createSnapshot: 14,
      cloneSnapshot: 5,
      deleteSnapshot: 14,
      checkpoint: 4,
    },
    history: {
      volumesMax: 2,
      snapshotsMax: 4,
      volumeBlocksMax: 640,
      hotBlocks: 4,
      rangeBlocksMax: 640,
    },
    geometry: { journalRingBlocks: 32 },
    open: { checkpointIntervalMs: 5, journalTimerMs: 1 },
    groupsPerCell: 16,
  },
};
