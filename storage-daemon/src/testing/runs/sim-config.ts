/** What a seed stands for: devices, geometry, pacing, history and crashes of one run, drawn from a profile. */
import type { GeometryOptions, OpenOptions } from '../../store/store-api.ts';
import { usualWeights, type HistoryOptions, type OperationWeights } from './history.ts';
import type { SeededRandom } from '../seeded-random.ts';

/**
 * How much room a pool has. `roomy`: it never fills up. `compact`: volumes of a few blocks in a pool of a few
 * hundred, so that freed blocks are handed out again at once. `tight`: volumes that fill it.
 */
export type PoolSpace = 'roomy' | 'compact' | 'tight';

/** Everything that is drawn once per run. */
export interface SimConfig {
  readonly deviceSizesBlocks: readonly number[];
  readonly hasVolatileCache: boolean;
  readonly tearsBlocks: boolean;
  readonly stallChance: number;
  readonly stallMs: number;
  readonly geometry: GeometryOptions;
  readonly open: OpenOptions;
  /** Reactors that serve the pool, as tasks that share the table of owners only. */
  readonly reactorCount: number;
  readonly history: HistoryOptions;
  /** Operations under way at once. */
  readonly pendingMax: number;
  readonly operationsPerRound: number;
  readonly roundCount: number;
  readonly space: PoolSpace;
  /** Probability that a device request fails. */
  readonly errorChance: number;
  /** Probability that a page of metadata is read with a wrong bit. */
  readonly rotChance: number;
  /** Users rely on what was answered, and only the process dies (`NodeIo.keepsAnswers`). */
  readonly keepsAnswers: boolean;
  /** How often a round ends by a clean close instead of a crash. */
  readonly cleanChance: number;
  /** How often a recovery is cut short by a crash, up to so many times in a row. */
  readonly recoveryCrashChance: number;
  readonly recoveryCrashesMax: number;
  /** How often the devices were another pool before. */
  readonly formerLifeChance: number;
}

/** What a profile changes of the usual drawing; for planted bugs and special runs. */
export interface SimProfile {
  readonly cellCounts?: readonly number[];
  readonly hasVolatileCache?: boolean;
  readonly tearsBlocks?: boolean;
  readonly space?: PoolSpace;
  readonly errorChance?: number;
  readonly rotChance?: number;
  readonly keepsAnswers?: boolean;
  readonly stallChance?: number;
  readonly stallMs?: number;
  /** Blocks in the allocation groups of each cell. */
  readonly cellBlocks?: number;
  readonly weights?: Partial<OperationWeights>;
  readonly history?: Partial<HistoryOptions>;
  readonly open?: OpenOptions;
  readonly reactorCount?: number;
  readonly geometry?: GeometryOptions;
  readonly pendingMax?: number;
  readonly operationsPerRound?: number;
  readonly roundCount?: number;
  readonly cleanChance?: number;
  readonly recoveryCrashChance?: number;
  readonly recoveryCrashesMax?: number;
  readonly formerLifeChance?: number;
}

const mebibyteBlocks = 256;

/** Draws a run. */
export function drawConfig(random: SeededRandom, profile: SimProfile): SimConfig {
  const space = profile.space ?? random.weighted<PoolSpace>({ roomy: 55, compact: 30, tight: 15 });
  const cellCount = random.pick(profile.cellCounts ?? [1, 1, 1, 2, 3, 8]);
  const isSmallGeometry = random.chance(0.85);
  const geometry = {
    cellCount,
    allocationGroupBlocks: random.pick([32, 64, 256]),
    journalRingBlocks: isSmallGeometry ? random.pick([16, 20, 32]) : 128,
    tableFanOut: isSmallGeometry ? 4 : 256,
    leafClusters: isSmallGeometry ? random.pick([1, 2, 4]) : 256,
    ...profile.geometry,
  };
  const groupsBlocks = geometry.cellCount * (profile.cellBlocks ?? cellBlocks(random, space));
  return {
    deviceSizesBlocks: splitDevices(random, geometry, groupsBlocks),
    hasVolatileCache: profile.hasVolatileCache ?? random.chance(0.6),
    tearsBlocks: profile.tearsBlocks ?? random.chance(0.3),
    stallChance: profile.stallChance ?? random.pick([0, 0.05, 0.2]),
    stallMs: profile.stallMs ?? random.pick([1, 1, 5]),
    geometry,
    open: {
      journalTimerMs: random.pick([1, 20, 100]),
      checkpointIntervalMs: random.pick([5, 200, 30_000]),
      checkpointRecords: random.pick([10, 100, 500_000]),
      heal: { intervalMs: Infinity },
      ...profile.open,
    },
    reactorCount: profile.reactorCount ?? 1,
    history: drawHistory(random, profile, { space, cellCount }),
    pendingMax: profile.pendingMax ?? random.pick([1, 4, 12, 30]),
    operationsPerRound: profile.operationsPerRound ?? random.between(20, 250),
    roundCount: profile.roundCount ?? random.between(1, 3),
    space,
    errorChance: profile.errorChance ?? 0,
    rotChance: profile.rotChance ?? 0,
    keepsAnswers: profile.keepsAnswers ?? false,
    cleanChance: profile.cleanChance ?? 0.15,
    recoveryCrashChance: profile.recoveryCrashChance ?? 0.15,
    recoveryCrashesMax: profile.recoveryCrashesMax ?? 3,
    formerLifeChance: profile.formerLifeChance ?? 0.1,
  };
}

/** Now and then a second device, with two groups. */
function splitDevices(
  random: SeededRandom,
  geometry: Parameters<typeof fixedAreaBlocks>[0] & { allocationGroupBlocks: number },
  groupsBlocks: number,
): number[] {
  const first = fixedAreaBlocks(geometry) + groupsBlocks;
  const second = 3 * mebibyteBlocks + 2 * geometry.allocationGroupBlocks;
  return random.chance(0.8) ? [first] : [first, second];
}

/** Blocks of the first device beside its groups: superblock copies and roots (5 MiB), journals. */
function fixedAreaBlocks(geometry: { cellCount: number; journalRingBlocks: number }): number {
  const journalBlocks = geometry.cellCount * geometry.journalRingBlocks;
  return (5 + Math.ceil(journalBlocks / mebibyteBlocks)) * mebibyteBlocks;
}

/** Blocks in the allocation groups of a cell: a multiple of the largest group. */
function cellBlocks(random: SeededRandom, space: PoolSpace): number {
  if (space === 'roomy') return 256 * random.between(6, 12);
  return space === 'tight' ? 512 : random.pick([256, 512]);
}

function drawHistory(
  random: SeededRandom,
  profile: SimProfile,
  { space, cellCount }: { space: PoolSpace; cellCount: number },
): HistoryOptions {
  const volumesMax = random.between(2, 5) + (cellCount > 1 ? 3 : 0);
  const sizes: Record<PoolSpace, Pick<HistoryOptions, 'volumeBlocksMax' | 'rangeBlocksMax'>> = {
    roomy: {
      volumeBlocksMax: random.pick([8, 40, 100]),
      rangeBlocksMax: random.pick([2, 9, 40]),
    },
    compact: { volumeBlocksMax: random.pick([2, 8, 20]), rangeBlocksMax: random.pick([2, 8]) },
    tight: { volumeBlocksMax: random.between(64, 300), rangeBlocksMax: 64 },
  };
  return {
    weights: { ...usualWeights, ...profile.weights },
    volumesMax,
    snapshotsMax: random.between(2, 8),
    ...sizes[space],
    hotBlocks: random.pick([2, 8, 40]),
    fuaChance: random.pick([0.02, 0.15, 0.5]),
    longAttributesChance: 0.05,
    ...profile.history,
  };
}
