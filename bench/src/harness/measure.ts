/** Runs one row: samples of both sides in turn, medians, and their ratio. */
import { median } from './median.ts';
import type { BenchRow, RowContext, Sample, Unit } from './row.ts';

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

/** Opens a row, takes its samples, closes it. */
export async function measureRow(
  row: BenchRow,
  context: RowContext,
  sampleCount: number,
): Promise<RowResult> {
  const open = await row.open(context);
  const samples: Sample[] = [];
  try {
    for (let index = 0; index < sampleCount; index++) samples.push(await open.sample(index));
  } finally {
    await open.close();
  }
  return summarize(row, samples);
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

/** Measures two sides in turn; the one that was second is first the next time, so that drift hits both. */
export async function inTurn(
  index: number,
  measureOurs: () => Promise<number>,
  measurePeer: () => Promise<number>,
): Promise<Sample> {
  if (index % 2 === 0) {
    const ours = await measureOurs();
    return { ours, peer: await measurePeer() };
  }
  const peer = await measurePeer();
  return { ours: await measureOurs(), peer };
}
