/** The middle of a set of figures. */
import { assert } from '@varve/common/assert';

/** The median; of an even number of figures the mean of the two in the middle. */
export function median(figures: readonly number[]): number {
  assert(figures.length > 0, 'a median of nothing');
  const sorted = [...figures].sort((a, b) => a - b);
  const upper = Math.floor(sorted.length / 2);
  if (sorted.length % 2 === 1) return sorted[upper]!;
  return (sorted[upper - 1]! + sorted[upper]!) / 2;
}

/** The figure below which a share of all figures lies (nearest rank). */
export function percentile(figures: readonly number[], share: number): number {
  assert(figures.length > 0, 'a percentile of nothing');
  assert(share > 0 && share <= 1, `a share of ${share}`);
  const sorted = [...figures].sort((a, b) => a - b);
  return sorted[Math.ceil(share * sorted.length) - 1]!;
}
