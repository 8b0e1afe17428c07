import { describe, expect, test } from '@jest/globals';

import { VolumeStatistics, latencyBucketSeconds } from './statistics.ts';

function bucketsAfter(durationMs: number): readonly number[] {
  const statistics = new VolumeStatistics();
  statistics.record('read', 1, durationMs, false);
  return statistics.read().read.buckets;
}

describe('VolumeStatistics', () => {
  test.each([
    ['no time at all', 0, 0],
    ['exactly the first edge', 0.016, 0],
    ['just above it', 0.0161, 1],
    ['one millisecond', 1, 6],
    ['the last edge', 16e-6 * 2 ** 19 * 1000, 19],
    ['a minute', 60_000, 20],
  ])('puts %s into the right bucket', (_what, durationMs, bucket) => {
    const buckets = bucketsAfter(durationMs);
    expect(buckets).toHaveLength(latencyBucketSeconds.length + 1);
    expect(buckets.indexOf(1)).toBe(bucket);
    const edge = latencyBucketSeconds[bucket];
    if (edge !== undefined) expect(durationMs / 1000).toBeLessThanOrEqual(edge);
  });

  test('sums volumes and returns copies', () => {
    const a = new VolumeStatistics();
    const b = new VolumeStatistics();
    a.record('write', 10, 1, false);
    b.record('write', 5, 1, true);
    const before = a.read();
    a.add(b);
    expect(a.read().write).toMatchObject({ count: 2, bytes: 10, errorCount: 1 });
    expect(a.read().write.totalSeconds).toBeCloseTo(0.002);
    expect(a.read().write.buckets[6]).toBe(2);
    expect(before.write.count).toBe(1);
  });
});
