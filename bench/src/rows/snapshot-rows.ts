/** What snapshots cost: right after one is taken, with many behind a volume, to take, and to delete. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { inTurn } from '../harness/measure.ts';
import { percentile } from '../harness/median.ts';
import type { BenchRow, OpenRow, RowContext, Sample } from '../harness/row.ts';
import { type FioLoad, type FioResult, meanIops, runFio } from '../load/fio.ts';
import { DaemonServer } from '../servers/daemon-server.ts';

const randomWrites: FioLoad = { rw: 'randwrite', blockBytes: 4096, queueDepth: 32, jobs: 1 };
const randomReads: FioLoad = { ...randomWrites, rw: 'randread' };
const fill: FioLoad = { rw: 'write', blockBytes: 128 * 1024, queueDepth: 16, jobs: 1 };
const programs = ['fio', 'taskset'];
/** Before and after a snapshot each. */
const windowMs = 1000;
/** Snapshots whose times make one sample of their percentiles. */
const timedSnapshots = 200;
const deletedSnapshots = 1000;
/** Control calls under way at one time: what an operator sends. */
const callsUnderWay = 8;

/** The rows about snapshots. */
export const snapshotRows: readonly BenchRow[] = [
  {
    name: 'after-snapshot/randwrite-4k-qd32/before',
    question: 'random writes over NBD in the second after a snapshot against the second before',
    unit: 'IOPS',
    better: 'higher',
    isQuick: true,
    programs,
    open: openAfterSnapshot,
  },
  ...[100, 1000].map((count): BenchRow => ({
    name: `snapshots-${count}/randread-4k-qd32/snapshots-0`,
    question: `random reads over NBD with ${count} snapshots behind the volume against none`,
    unit: 'IOPS',
    better: 'higher',
    isQuick: count === 1000,
    programs,
    open: (context) => openManySnapshots(count, context),
  })),
  ...[0.5, 0.99].map((share): BenchRow => ({
    name: `snapshot-create-p${share * 100}/under-load/idle`,
    question: 'time to take a snapshot over REST under random writes against an idle daemon',
    unit: 'ms',
    better: 'lower',
    isQuick: false,
    programs,
    open: (context) => openSnapshotTimes(share, context),
  })),
  {
    name: 'delete-1000-snapshots/randwrite-4k-qd32-p99.9/before',
    question: 'p99.9 of random writes over NBD while 1,000 snapshots are deleted against before',
    unit: 'ms',
    better: 'lower',
    isQuick: false,
    programs,
    open: openDeletion,
  },
];

/** A daemon with filled volumes, and fio on any of them. */
class FilledDaemon {
  readonly daemon: DaemonServer;
  readonly #context: RowContext;

  private constructor(daemon: DaemonServer, context: RowContext) {
    this.daemon = daemon;
    this.#context = context;
  }

  static async start(context: RowContext, volumes: readonly string[]): Promise<FilledDaemon> {
    const daemon = await DaemonServer.start(context);
    const filled = new FilledDaemon(daemon, context);
    try {
      for (const volume of volumes) {
        await daemon.createVolume(volume, context.dataBytes);
        await filled.fio(volume, fill, {});
      }
    } catch (error) {
      await daemon.close();
      throw error;
    }
    return filled;
  }

  async fio(
    volume: string,
    load: FioLoad,
    options: { readonly seconds?: number; readonly rateLog?: string },
  ): Promise<FioResult> {
    const uri = await this.daemon.exportUri(`volume/${volume}`);
    const { dataBytes: sizeBytes, printCommand } = this.#context;
    return runFio(load, { uri, sizeBytes, ...options }, printCommand);
  }

  async takeSnapshot(volume: string, snapshot: string): Promise<void> {
    await this.daemon.client.putSnapshot(snapshot, { volume, labels: {} });
  }
}

async function openAfterSnapshot(context: RowContext): Promise<OpenRow> {
  const filled = await FilledDaemon.start(context, ['volume']);
  const rateLog = join(context.directory, 'rate');
  const logFile = `${rateLog}_iops.1.log`;
  return {
    sample: async (index) => {
      rmSync(logFile, { force: true });
      const running = filled.fio('volume', randomWrites, { seconds: 3.5, rateLog });
      await sleep(2 * windowMs);
      const takenMs = Date.now();
      await filled.takeSnapshot('volume', `snapshot-${index}`);
      await running;
      const log = readFileSync(logFile, 'utf8');
      // The next sample begins with a volume that owns its blocks again.
      await filled.daemon.client.deleteSnapshot(`snapshot-${index}`);
      await filled.fio('volume', fill, {});
      return {
        ours: meanIops(log, takenMs, takenMs + windowMs),
        peer: meanIops(log, takenMs - windowMs, takenMs - 1),
      };
    },
    close: () => filled.daemon.close(),
  };
}

async function openManySnapshots(count: number, context: RowContext): Promise<OpenRow> {
  const filled = await FilledDaemon.start(context, ['plain', 'with-snapshots']);
  // Writes between the snapshots, so that each of them has blocks of its own.
  const writing = filled.fio('with-snapshots', { ...randomWrites, queueDepth: 1 }, { seconds: 3 });
  await takeSnapshots(filled, 'with-snapshots', { from: 0, end: count });
  await writing;
  const { sampleSeconds: seconds } = context;
  const measure = async (volume: string): Promise<number> =>
    (await filled.fio(volume, randomReads, { seconds })).iops;
  return {
    sample: (index) =>
      inTurn(
        index,
        () => measure('with-snapshots'),
        () => measure('plain'),
      ),
    close: () => filled.daemon.close(),
  };
}

async function openSnapshotTimes(share: number, context: RowContext): Promise<OpenRow> {
  const filled = await FilledDaemon.start(context, ['volume']);
  let taken = 0;
  const measure = async (): Promise<number> => {
    const times: number[] = [];
    const first = taken;
    for (; taken < first + timedSnapshots; taken++) {
      const startMs = performance.now();
      await filled.takeSnapshot('volume', `snapshot-${taken}`);
      times.push(performance.now() - startMs);
    }
    await deleteSnapshots(filled, first, taken);
    return percentile(times, share);
  };
  const measureUnderLoad = async (): Promise<number> => {
    const running = filled.fio('volume', randomWrites, { seconds: 4 });
    await sleep(windowMs);
    const time = await measure();
    await running;
    return time;
  };
  return {
    sample: (index) => inTurn(index, measureUnderLoad, measure),
    close: () => filled.daemon.close(),
  };
}

async function openDeletion(context: RowContext): Promise<OpenRow> {
  const filled = await FilledDaemon.start(context, ['volume']);
  let next = 0;
  return {
    sample: async (): Promise<Sample> => {
      const first = next;
      const writing = filled.fio('volume', { ...randomWrites, queueDepth: 1 }, { seconds: 3 });
      next += deletedSnapshots;
      await takeSnapshots(filled, 'volume', { from: first, end: next });
      await writing;
      const seconds = Math.max(2, context.sampleSeconds);
      const before = await filled.fio('volume', randomWrites, { seconds });
      const [during] = await Promise.all([
        filled.fio('volume', randomWrites, { seconds }),
        deleteSnapshots(filled, first, next),
      ]);
      return { ours: during.p999Ms, peer: before.p999Ms };
    },
    close: () => filled.daemon.close(),
  };
}

async function takeSnapshots(
  filled: FilledDaemon,
  volume: string,
  { from, end }: { from: number; end: number },
): Promise<void> {
  for (let index = from; index < end; index++) {
    await filled.takeSnapshot(volume, `snapshot-${index}`);
  }
}

async function deleteSnapshots(filled: FilledDaemon, from: number, end: number): Promise<void> {
  let next = from;
  const work = async (): Promise<void> => {
    while (next < end) await filled.daemon.client.deleteSnapshot(`snapshot-${next++}`);
  };
  await Promise.all(Array.from({ length: callsUnderWay }, work));
}
