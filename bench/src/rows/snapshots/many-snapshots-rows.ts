/** What a long chain of snapshots costs: reads of the volume before it, and the deletion of the chain. */
import { inTurn } from '../../harness/measure.ts';
import type { BenchRow, GroupContext, OpenGroup, RowGroup, Sample } from '../../harness/row.ts';
import { type OpenRow, singleRow } from '../../harness/single-row.ts';
import type { FioLoad } from '../../load/fio.ts';
import { FilledDaemon } from './filled-daemon.ts';

const randomWrites: FioLoad = { rw: 'randwrite', blockBytes: 4096, queueDepth: 32, jobs: 1 };
const randomReads: FioLoad = { ...randomWrites, rw: 'randread' };
const programs = ['fio', 'taskset'];
const counts = [0, 100, 1000];
const deletedSnapshots = 1000;
/** A chain grows under so many writes at a time, so that each snapshot keeps something. */
const writesBetween: FioLoad = { ...randomWrites, queueDepth: 1 };
/** About as long as taking the chain. */
const growSeconds = 3;

const readRows = counts.slice(1).map((count) => ({
  count,
  row: {
    name: `snapshots-${count}/randread-4k-qd32/snapshots-0`,
    question: `random reads over NBD with ${count} snapshots behind the volume against none`,
    unit: 'IOPS',
    better: 'higher',
    isQuick: count === 1000,
    programs,
    ...(count === 1000 && { bound: { of: 'ratio', limit: 0.98 } }),
  } satisfies BenchRow as BenchRow,
}));

/** Reads of volumes with chains of several lengths, in one pool. */
export const manySnapshotsRows: RowGroup = {
  name: 'snapshots',
  rows: readRows.map(({ row }) => row),
  open: openManySnapshots,
};

/** Deletion of a chain under load. */
export const deletionRow = singleRow(
  {
    name: 'delete-1000-snapshots/randwrite-4k-qd32-p99.9/before',
    question: 'p99.9 of random writes over NBD while 1,000 snapshots are deleted against before',
    unit: 'ms',
    better: 'lower',
    isQuick: false,
    programs,
  },
  openDeletion,
);

async function openManySnapshots(
  context: GroupContext,
  wanted: RowGroup['rows'],
): Promise<OpenGroup> {
  const rows = readRows.filter(({ row }) => wanted.includes(row));
  const usedCounts = [0, ...rows.map(({ count }) => count)];
  const volumeOf = (count: number): string => `volume-${count}`;
  const filled = await FilledDaemon.start(context, usedCounts.map(volumeOf));
  let from = 0;
  for (const count of usedCounts) {
    await growChain(filled, volumeOf(count), { from, end: from + count });
    from += count;
  }
  const { sampleSeconds: seconds } = context;
  return {
    sample: async (index) => {
      const sides = usedCounts.map((count) => async () => {
        const { iops } = await filled.fio(volumeOf(count), randomReads, { seconds });
        return iops;
      });
      const figures = await inTurn(index, sides);
      return new Map(
        rows.map(({ row }, position): [string, Sample] => [
          row.name,
          { ours: figures[position + 1]!, peer: figures[0]! },
        ]),
      );
    },
    close: () => filled.daemon.close(),
  };
}

/** All chains, and that of no snapshots as well, come after the same writes. */
async function growChain(
  filled: FilledDaemon,
  volume: string,
  range: { readonly from: number; readonly end: number },
): Promise<void> {
  const writing = filled.fio(volume, writesBetween, { seconds: growSeconds });
  await filled.takeSnapshots(volume, range);
  await writing;
}

async function openDeletion(context: GroupContext): Promise<OpenRow> {
  const filled = await FilledDaemon.start(context, ['volume']);
  const seconds = Math.max(2, context.sampleSeconds);
  let from = 0;
  return {
    sample: async () => {
      const range = { from, end: from + deletedSnapshots };
      from = range.end;
      await growChain(filled, 'volume', range);
      const before = await filled.fio('volume', randomWrites, { seconds });
      const [during] = await Promise.all([
        filled.fio('volume', randomWrites, { seconds }),
        filled.deleteSnapshots(range),
      ]);
      return { ours: during.p999Ms, peer: before.p999Ms };
    },
    close: () => filled.daemon.close(),
  };
}
