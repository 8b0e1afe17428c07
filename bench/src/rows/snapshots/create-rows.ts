/** How long taking a snapshot takes: over REST, under random writes, against an idle daemon. */
import { setTimeout as sleep } from 'node:timers/promises';

import { inTurn } from '../../harness/measure.ts';
import { percentile } from '../../harness/median.ts';
import type { BenchRow, GroupContext, OpenGroup, RowGroup, Sample } from '../../harness/row.ts';
import type { FioLoad } from '../../load/fio.ts';
import { FilledDaemon } from './filled-daemon.ts';

const load: FioLoad = { rw: 'randwrite', blockBytes: 4096, queueDepth: 32, jobs: 1 };
/** Snapshots whose times make one sample of the percentiles. */
const timedSnapshots = 200;
/** A snapshot every few milliseconds is more than any schedule asks for. */
const pauseMs = 5;
const warmMs = 1000;
const loadSeconds = 3.5;

const rows = [0.5, 0.99].map((share) => ({
  share,
  row: {
    name: `snapshot-create-p${share * 100}/under-load/idle`,
    question: 'time to take a snapshot over REST under random writes against an idle daemon',
    unit: 'ms',
    better: 'lower',
    isQuick: false,
    programs: ['fio', 'taskset'],
    ...(share === 0.99 && { bound: { of: 'ours', limit: 2 } }),
  } satisfies BenchRow as BenchRow,
}));

/** Median and 99th percentile of the same snapshots. */
export const createRows: RowGroup = {
  name: 'snapshot-create',
  rows: rows.map(({ row }) => row),
  open: openTimes,
};

async function openTimes(context: GroupContext): Promise<OpenGroup> {
  const filled = await FilledDaemon.start(context, ['volume']);
  let taken = 0;
  const measure = async (): Promise<number[]> => {
    const times: number[] = [];
    const range = { from: taken, end: taken + timedSnapshots };
    for (; taken < range.end; taken++) {
      await sleep(pauseMs);
      const startMs = performance.now();
      await filled.takeSnapshot('volume', taken);
      times.push(performance.now() - startMs);
    }
    return times;
  };
  const cleaned = async (times: number[]): Promise<number[]> => {
    await filled.deleteSnapshots({ from: taken - timedSnapshots, end: taken });
    return times;
  };
  const measureIdle = async (): Promise<number[]> => cleaned(await measure());
  const measureUnderLoad = async (): Promise<number[]> => {
    const running = filled.fio('volume', load, { seconds: loadSeconds });
    await sleep(warmMs);
    const times = await measure();
    await running;
    return cleaned(times);
  };
  return {
    sample: async (index) => {
      const [ours, peer] = await inTurn(index, [measureUnderLoad, measureIdle]);
      return new Map(
        rows.map(({ share, row }): [string, Sample] => [
          row.name,
          { ours: percentile(ours!, share), peer: percentile(peer!, share) },
        ]),
      );
    },
    close: () => filled.daemon.close(),
  };
}
