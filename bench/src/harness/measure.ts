/** Runs one group of rows: samples of both sides in turn, medians, and their ratios. */
import { assert } from '@varve/common/assert';

import { median } from './median.ts';
import type { BenchRow, GroupContext, RowGroup, Sample, Unit } from './row.ts';

/** A measured row, as `--json` writes it. */
export interface RowResult {
  readonly name: string;
  /** Median of our samples. */
  readonly ours: number;
  /** Median of the peer's samples. */
  readonly peer: number;
  /** ours / peer. */
  readonly ratio: number;
  readonly unit: Unit;
  readonly samples: readonly Sample[];
}

/** Fewer samples than this have no median worth the name. */
export const samplesMin = 5;
/** What a quick run takes: enough to see what is far off. */
export const quickSamples = 3;

/** Opens a group, takes samples of the given ones of its rows, closes it. */
export async function measureGroup(
  group: RowGroup,
  rows: readonly BenchRow[],
  context: GroupContext,
  sampleCount: number,
): Promise<RowResult[]> {
  const open = await group.open(context, rows);
  const samples: ReadonlyMap<string, Sample>[] = [];
  const count = Math.min(sampleCount, group.samplesMax ?? sampleCount);
  try {
    for (let index = 0; index < count; index++) samples.push(await open.sample(index));
  } finally {
    await open.close();
  }
  return rows.map((row) =>
    summarize(
      row,
      samples.map((all) => {
        const sample = all.get(row.name);
        assert(sample !== undefined, `group ${group.name} has measured no ${row.name}`);
        return sample;
      }),
    ),
  );
}

/** Medians and their ratio. */
export function summarize(
  { name, unit }: Pick<BenchRow, 'name' | 'unit'>,
  samples: readonly Sample[],
): RowResult {
  const ours = median(samples.map((sample) => sample.ours));
  const peer = median(samples.map((sample) => sample.peer));
  return { name, ours, peer, ratio: ours / peer, unit, samples };
}

/**
 * Measures sides in turn and answers their figures in the order of the sides. Each time another one is first, so that
 * drift hits all.
 */
export async function inTurn<Figure>(
  index: number,
  sides: readonly (() => Promise<Figure>)[],
): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (let step = 0; step < sides.length; step++) {
    const side = (step + index) % sides.length;
    figures[side] = await sides[side]!();
  }
  return figures;
}

/** The two figures of a row's sides. */
export async function pairInTurn(
  index: number,
  measureOurs: () => Promise<number>,
  measurePeer: () => Promise<number>,
): Promise<Sample> {
  const [ours, peer] = await inTurn(index, [measureOurs, measurePeer]);
  return { ours: ours!, peer: peer! };
}
