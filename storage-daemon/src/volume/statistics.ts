/**
 * What has been done on a volume: requests, bytes, failures and how long requests took. Plain numbers in
 * arrays, so that counting costs nothing worth mentioning and a copy can be posted to another thread.
 */

/** The kinds of request that are counted. */
export const volumeOperations = ['read', 'write', 'writeZeroes', 'discard', 'flush'] as const;
/** One of them. */
export type VolumeOperation = (typeof volumeOperations)[number];

/**
 * Upper edges of the latency buckets in seconds: a factor of two from 16 microseconds, below which no
 * device answers, to 8 seconds. One more bucket holds the rest.
 */
export const latencyBucketSeconds: readonly number[] = Array.from(
  { length: 20 },
  (_, index) => (16 * 2 ** index) / 1e6,
);

/** Counts of one kind of request; they only grow. */
export interface OperationStatistics {
  readonly count: number;
  readonly errorCount: number;
  readonly bytes: number;
  readonly totalSeconds: number;
  /** Requests per bucket of `latencyBucketSeconds`, and one more for slower ones. */
  readonly buckets: readonly number[];
}

interface Counts {
  count: number;
  errorCount: number;
  bytes: number;
  totalSeconds: number;
  readonly buckets: number[];
}

/** Counters of a volume, or a sum over volumes. */
export class VolumeStatistics {
  readonly #counts: Record<VolumeOperation, Counts> = {
    read: newCounts(),
    write: newCounts(),
    writeZeroes: newCounts(),
    discard: newCounts(),
    flush: newCounts(),
  };

  /** Counts one answered request. */
  record(operation: VolumeOperation, bytes: number, durationMs: number, failed: boolean): void {
    const counts = this.#counts[operation];
    counts.count++;
    if (failed) counts.errorCount++;
    else counts.bytes += bytes;
    const seconds = durationMs / 1000;
    counts.totalSeconds += seconds;
    const bucket = bucketOf(seconds);
    counts.buckets[bucket] = counts.buckets[bucket]! + 1;
  }

  /** Adds another's counters to these. */
  add(other: VolumeStatistics): void {
    for (const operation of volumeOperations) {
      const mine = this.#counts[operation];
      const theirs = other.#counts[operation];
      mine.count += theirs.count;
      mine.errorCount += theirs.errorCount;
      mine.bytes += theirs.bytes;
      mine.totalSeconds += theirs.totalSeconds;
      theirs.buckets.forEach((count, index) => {
        mine.buckets[index] = mine.buckets[index]! + count;
      });
    }
  }

  /** A copy of the numbers. */
  read(): Record<VolumeOperation, OperationStatistics> {
    const copy = (counts: Counts) => ({ ...counts, buckets: [...counts.buckets] });
    return {
      read: copy(this.#counts.read),
      write: copy(this.#counts.write),
      writeZeroes: copy(this.#counts.writeZeroes),
      discard: copy(this.#counts.discard),
      flush: copy(this.#counts.flush),
    };
  }
}

function newCounts(): Counts {
  const buckets = Array.from({ length: latencyBucketSeconds.length + 1 }, () => 0);
  return { count: 0, errorCount: 0, bytes: 0, totalSeconds: 0, buckets };
}

/** Which bucket; the edges are powers of two, so the exponent finds it. */
function bucketOf(seconds: number): number {
  const steps = Math.ceil(Math.log2((seconds * 1e6) / 16));
  return Math.max(0, Math.min(latencyBucketSeconds.length, steps));
}
