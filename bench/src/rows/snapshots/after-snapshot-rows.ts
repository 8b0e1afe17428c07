/** Random writes in the second after a snapshot against the second before it: ours, and qcow2 beside. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { BenchRow, GroupContext, Sample } from '../../harness/row.ts';
import { type OpenRow, singleRow } from '../../harness/single-row.ts';
import { type FioLoad, meanIops, runFio } from '../../load/fio.ts';
import { fillLoad } from '../../load/loads.ts';
import { qemuNodeName, startQemuStorageDaemon } from '../../servers/peers.ts';
import { QmpClient } from '../../servers/qmp-client.ts';
import { FilledDaemon } from './filled-daemon.ts';

const load: FioLoad = { rw: 'randwrite', blockBytes: 4096, queueDepth: 32, jobs: 1 };
/** Before and after the snapshot each. */
const windowMs = 1000;
/** Of a run: both windows, what comes before them until rates are steady, and some more. */
const runSeconds = 3.5;

const common = { unit: 'IOPS', better: 'higher', isQuick: true } as const;

/** A store whose volume is being written to. */
interface SnapshotTaker {
  readonly uri: string;
  take(index: number): Promise<void>;
  /** Afterwards the volume owns its blocks again. */
  remove(index: number): Promise<void>;
  close(): Promise<void>;
}

const oursRow: BenchRow = {
  ...common,
  name: 'after-snapshot/randwrite-4k-qd32/before',
  question: 'random writes over NBD in the second after a snapshot against the second before',
  programs: ['fio', 'taskset'],
  bound: { of: 'ratio', limit: 0.8 },
};

const qcow2Row: BenchRow = {
  ...common,
  name: 'after-snapshot-qcow2/randwrite-4k-qd32/before',
  question: 'the same with qcow2 in qemu-storage-daemon and an internal snapshot',
  programs: ['fio', 'taskset', 'qemu-storage-daemon', 'qemu-img'],
};

/** Ours, and qcow2. */
export const afterSnapshotRows = [
  singleRow(oursRow, (context) => openRow(context, openOurs)),
  singleRow(qcow2Row, (context) => openRow(context, openQcow2)),
];

async function openRow(
  context: GroupContext,
  open: (context: GroupContext) => Promise<SnapshotTaker>,
): Promise<OpenRow> {
  const taker = await open(context);
  return { sample: (index) => measure(taker, context, index), close: () => taker.close() };
}

async function measure(
  taker: SnapshotTaker,
  { directory, dataBytes: sizeBytes, printCommand }: GroupContext,
  index: number,
): Promise<Sample> {
  const rateLog = join(directory, 'rate');
  const logFile = `${rateLog}_iops.1.log`;
  rmSync(logFile, { force: true });
  const target = { uri: taker.uri, sizeBytes, seconds: runSeconds, rateLog };
  const running = runFio(load, target, printCommand);
  await sleep(2 * windowMs);
  const takenMs = Date.now();
  await taker.take(index);
  await running;
  const log = readFileSync(logFile, 'utf8');
  await taker.remove(index);
  return {
    ours: meanIops(log, takenMs, takenMs + windowMs),
    peer: meanIops(log, takenMs - windowMs, takenMs),
  };
}

async function openOurs(context: GroupContext): Promise<SnapshotTaker> {
  const filled = await FilledDaemon.start(context, ['volume']);
  return {
    uri: await filled.daemon.exportUri('volume/volume'),
    take: (index) => filled.takeSnapshot('volume', index),
    remove: (index) => filled.deleteSnapshots({ from: index, end: index + 1 }),
    close: () => filled.daemon.close(),
  };
}

async function openQcow2(context: GroupContext): Promise<SnapshotTaker> {
  const qmpSocket = join(context.directory, 'monitor.sock');
  const server = await startQemuStorageDaemon(context, qmpSocket);
  const { dataBytes: sizeBytes, printCommand } = context;
  try {
    await runFio(fillLoad, { uri: server.uri, sizeBytes }, printCommand);
    const qmp = await QmpClient.connect(qmpSocket);
    const execute = (command: string, index: number): Promise<void> =>
      qmp.execute(command, { device: qemuNodeName, name: `snapshot-${index}` });
    return {
      uri: server.uri,
      take: (index) => execute('blockdev-snapshot-internal-sync', index),
      remove: (index) => execute('blockdev-snapshot-delete-internal-sync', index),
      close: async () => {
        qmp.close();
        await server.close();
      },
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}
