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
};
