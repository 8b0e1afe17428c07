/**
 * Processor time of servers for each request: what bounds their rate on one core, whatever else the machine does. On a
 * machine that is not idle these rows say more than those about rates.
 */
import { inTurn } from '../harness/measure.ts';
import type { BenchRow, OpenRow, RowContext } from '../harness/row.ts';
import { type FioLoad, runFio } from '../load/fio.ts';
import type { BlockServer } from '../servers/block-server.ts';
import { startDaemonVolume } from '../servers/daemon-server.ts';
import { qemuNbdRaw } from '../servers/peers.ts';
import { type ProcessorTime, processorTime } from '../servers/processor-time.ts';

interface NamedLoad {
  readonly name: string;
  readonly load: FioLoad;
}

const random = { blockBytes: 4096, queueDepth: 32, jobs: 1 } as const;
const sequential = { blockBytes: 128 * 1024, queueDepth: 16, jobs: 1 } as const;
const loads: readonly NamedLoad[] = [
  { name: 'randread-4k-qd32-c1', load: { rw: 'randread', ...random } },
  { name: 'randwrite-4k-qd32-c1', load: { rw: 'randwrite', ...random } },
  { name: 'read-128k-qd16-c1', load: { rw: 'read', ...sequential } },
  { name: 'write-128k-qd16-c1', load: { rw: 'write', ...sequential } },
];
const fill: FioLoad = { rw: 'write', ...sequential };
const reactorThread = 'varve-reactor';

/** Ours against qemu-nbd, and the reactor's JavaScript against all of its time. */
export const processorRows: readonly BenchRow[] = [
  ...loads.map(({ name, load }): BenchRow => ({
    name: `processor-time/${name}/qemu-nbd-raw`,
    question: 'processor time of the whole server for each request',
    unit: 'us',
    better: 'lower',
    isQuick: load.blockBytes === 4096,
    programs: ['fio', 'taskset', 'qemu-nbd'],
    open: (context) => openAgainstPeer(load, context),
  })),
  ...loads.slice(0, 2).map(({ name, load }): BenchRow => ({
    name: `reactor-user-time/${name}/reactor-time`,
    question: "the reactor's time in user mode, which is JavaScript, against all of its time",
    unit: 'us',
    better: 'lower',
    isQuick: false,
    programs: ['fio', 'taskset'],
    open: (context) => openReactor(load, context),
  })),
];

async function openAgainstPeer(load: FioLoad, context: RowContext): Promise<OpenRow> {
  const servers: BlockServer[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.close()));
  };
  try {
    servers.push(await startDaemonVolume(context), await qemuNbdRaw.start(context));
    for (const server of servers) await fillServer(server, context);
  } catch (error) {
    await close();
    throw error;
  }
  const [ours, peer] = servers;
  const measure = async (server: BlockServer): Promise<number> => {
    const { userSeconds, systemSeconds } = await timePerRequest(server, load, context);
    return (userSeconds + systemSeconds) * 1e6;
  };
  return {
    sample: (index) =>
      inTurn(
        index,
        () => measure(ours!),
        () => measure(peer!),
      ),
    close,
  };
}

async function openReactor(load: FioLoad, context: RowContext): Promise<OpenRow> {
  const server = await startDaemonVolume(context);
  await fillServer(server, context);
  return {
    sample: async () => {
      const time = await timePerRequest(server, load, context, reactorThread);
      const { userSeconds, systemSeconds } = time;
      return { ours: userSeconds * 1e6, peer: (userSeconds + systemSeconds) * 1e6 };
    },
    close: () => server.close(),
  };
}

async function fillServer({ uri }: BlockServer, context: RowContext): Promise<void> {
  const { dataBytes: sizeBytes, printCommand } = context;
  await runFio(fill, { uri, sizeBytes }, printCommand);
}

/** Counts the requests of the whole run, since the time is that of the whole run. */
async function timePerRequest(
  { pid, uri }: BlockServer,
  load: FioLoad,
  context: RowContext,
  threadName?: string,
): Promise<ProcessorTime> {
  const { dataBytes: sizeBytes, sampleSeconds, printCommand } = context;
  const before = processorTime(pid, threadName);
  // Ticks are long: a short run would count few of them.
  const seconds = Math.max(2, sampleSeconds);
  const target = { uri, sizeBytes, seconds, hasRamp: false };
  const { requests } = await runFio(load, target, printCommand);
  const after = processorTime(pid, threadName);
  return {
    userSeconds: (after.userSeconds - before.userSeconds) / requests,
    systemSeconds: (after.systemSeconds - before.systemSeconds) / requests,
  };
}
