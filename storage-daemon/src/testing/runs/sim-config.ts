/** What a seed stands for: devices, geometry, pacing, history and crashes of one run, drawn from a profile. */
import type { GeometryOptions, OpenOptions } from '../../store/store-api.ts';
import { usualWeights, type HistoryOptions, type OperationWeights } from './history.ts';
import type { SeededRandom } from '../seeded-random.ts';

/** Everything that is drawn once per run. */
export interface SimConfig {
  readonly deviceSizesBlocks: readonly number[];
  readonly hasVolatileCache: boolean;
  readonly tearsBlocks: boolean;
  readonly stallChance: number;
  readonly geometry: GeometryOptions;
  readonly open: OpenOptions;
  readonly history: HistoryOptions;
  /** Operations under way at once. */
  readonly pendingMax: number;
  readonly operationsPerRound: number;
  readonly roundCount: number;
  /** The pool is so small that it fills up. */
  readonly isTight: boolean;
  /** Probability that a device request fails. */
  readonly errorChance: number;
  /** How often a round ends by a clean close instead of a crash. */
  readonly cleanChance: number;
}

/** What a profile changes of the usual drawing; for planted bugs and special runs. */
export interface SimProfile {
  readonly cellCounts?: readonly number[];
  readonly hasVolatileCache?: boolean;
  readonly tearsBlocks?: boolean;
  readonly isTight?: boolean;
  readonly errorChance?: number;
  readonly stallChance?: number;
  readonly weights?: Partial<OperationWeights>;
  readonly history?: Partial<HistoryOptions>;
  readonly open?: OpenOptions;
  readonly geometry?: GeometryOptions;
  readonly pendingMax?: number;
  readonly operationsPerRound?: number;
  readonly roundCount?: number;
  readonly cleanChance?: number;
  /** Allocation groups for each cell. */
  readonly groupsPerCell?: number;
}

/** Blocks before the first allocation group: superblocks, roots, journals of the smallest geometries. */
const fixedAreaBlocks = 1536;

/** Draws a run. */
export function drawConfig(random: SeededRandom, profile: SimProfile): SimConfig {
  const isTight = profile.isTight ?? random.chance(0.15);
  const cellCount = random.pick(profile.cellCounts ?? [1, 1, 1, 2, 3, 8]);
  const allocationGroupBlocks = 256;
  const groupsPerCell = profile.groupsPerCell ?? (isTight ? 2 : random.between(6, 12));
  const poolBlocks = fixedAreaBlocks + cellCount * groupsPerCell * allocationGroupBlocks;
  const isSmallGeometry = random.chance(0.85);
  return {
    deviceSizesBlocks: splitDevices(random, poolBlocks),
    hasVolatileCache: profile.hasVolatileCache ?? random.chance(0.6),
    tearsBlocks: profile.tearsBlocks ?? random.chance(0.3),
    stallChance: profile.stallChance ?? random.pick([0, 0.05, 0.2]),
    geometry: {
      cellCount,
      allocationGroupBlocks,
      journalRingBlocks: isSmallGeometry ? random.pick([16, 20, 32]) : 128,
      tableFanOut: isSmallGeometry ? 4 : 256,
      leafClusters: isSmallGeometry ? random.pick([1, 2, 4]) : 256,
      ...profile.geometry,
    },
    open: {
      journalTimerMs: random.pick([1, 20, 100]),
      checkpointIntervalMs: random.pick([5, 200, 30_000]),
      checkpointRecords: random.pick([10, 100, 500_000]),
      ...profile.open,
    },
    history: drawHistory(random, profile, { isTight, cellCount }),
    pendingMax: profile.pendingMax ?? random.pick([1, 4, 12, 30]),
    operationsPerRound: profile.operationsPerRound ?? random.between(20, 250),
    roundCount: profile.roundCount ?? random.between(1, 3),
    isTight,
    errorChance: profile.errorChance ?? 0,
    cleanChance: profile.cleanChance ?? 0.15,
  };
}

function splitDevices(random: SeededRandom, poolBlocks: number): number[] {
  if (random.chance(0.8)) return [poolBlocks];
  const second = 1024 + fixedAreaBlocks;
  return [poolBlocks, second];
}

function drawHistory(
  random: SeededRandom,
  profile: SimProfile,
  { isTight, cellCount }: { isTight: boolean; cellCount: number },
): HistoryOptions {
  const volumesMax = random.between(2, 5) + (cellCount > 1 ? 3 : 0);
  return {
    weights: { ...usualWeights, ...profile.weights },
    volumesMax,
    snapshotsMax: random.between(2, 8),
    volumeBlocksMax: isTight ? random.between(64, 300) : random.pick([8, 40, 100]),
    hotBlocks: random.pick([2, 8, 40]),
    rangeBlocksMax: isTight ? 64 : random.pick([2, 9, 40]),
    fuaChance: random.pick([0.02, 0.15, 0.5]),
    ...profile.history,
  };
}
