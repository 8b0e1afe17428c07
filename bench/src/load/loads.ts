/** The loads that exports are compared under. */
import type { Unit } from '../harness/row.ts';
import type { FioLoad, FioResult } from './fio.ts';

/** A load as rows name it. */
export interface NamedLoad {
  readonly name: string;
  readonly load: FioLoad;
  readonly unit: Unit;
}

const sequential = { blockBytes: 128 * 1024, queueDepth: 16, jobs: 1 } as const;

/** Fills all of a side before anything is measured, as a volume in use is. */
export const fillLoad: FioLoad = { rw: 'write', ...sequential };

/** What most rows use: 4 KiB, 32 under way, one connection. */
export const deepRandomLoads: readonly NamedLoad[] = namedRandom(32, 1);

/** Large blocks one behind the other. */
export const sequentialLoads: readonly NamedLoad[] = (['read', 'write'] as const).map((rw) => ({
  name: `${rw}-128k-qd16-c1`,
  load: { rw, ...sequential },
  unit: 'MiB/s',
}));

/** All of them. */
export const exportLoads: readonly NamedLoad[] = [
  ...deepRandomLoads,
  ...sequentialLoads,
  ...namedRandom(1, 1),
  ...namedRandom(32, 4),
  {
    name: 'commit-4k-qd1-c1',
    load: { rw: 'randwrite', blockBytes: 4096, queueDepth: 1, jobs: 1, writesPerFlush: 1 },
    unit: 'IOPS',
  },
];

function namedRandom(queueDepth: number, jobs: number): NamedLoad[] {
  return (['randread', 'randwrite'] as const).map((rw) => ({
    name: `${rw}-4k-qd${queueDepth}-c${jobs}`,
    load: { rw, blockBytes: 4096, queueDepth, jobs },
    unit: 'IOPS' as const,
  }));
}

/** What a row of this load shows of a run. */
export function figureOf({ blockBytes }: FioLoad, result: FioFigures): number {
  return blockBytes > 4096 ? result.mebibytesPerSecond : result.iops;
}

/** The figures that any load program gives. */
export type FioFigures = Pick<FioResult, 'iops' | 'mebibytesPerSecond'>;
