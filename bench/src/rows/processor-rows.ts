/**
 * Processor time of servers for each request: what bounds their rate on one core, whatever else the machine does. On a
 * machine that is not idle these rows say more than those about rates.
 */
import { inTurn } from '../harness/measure.ts';
import type { BenchRow, GroupContext, OpenGroup, RowGroup, Sample } from '../harness/row.ts';
import { type FioLoad, runFio } from '../load/fio.ts';
import { deepRandomLoads, fillLoad, type NamedLoad, sequentialLoads } from '../load/loads.ts';
import type { BlockServer } from '../servers/block-server.ts';
import { startDaemonVolume } from '../servers/daemon-server.ts';
import { qemuNbdRaw } from '../servers/peers.ts';
import { type ProcessorTime, processorTime } from '../servers/processor-time.ts';

/** Name of the threads that serve; see `daemon/reactor-thread.ts`. */
const reactorThread = 'varve-reactor';
/** Processor time is counted in ticks of 10 ms: a shorter run would count few of them. */
const secondsMin = 2;

const loads: readonly NamedLoad[] = [...deepRandomLoads, ...sequentialLoads];

/** What one run of a load costs a server. */
interface Cost {
  readonly all: ProcessorTime;
  readonly reactor: ProcessorTime;
}

/** A row, its load, and what it shows of the costs of both servers. */
interface CostRow {
  readonly row: BenchRow;
  readonly load: NamedLoad;
  readonly figures: (ours: Cost, peer: Cost) => Sample;
}

const costRows: readonly CostRow[] = [
  ...loads.map((load) => ({
    load,
    row: {
      name: `processor-time/${load.name}/qemu-nbd-raw`,
      question: 'processor time of the whole server for each request over NBD',
      unit: 'us',
      better: 'lower',
      isQuick: load.load.blockBytes === 4096,
      programs: ['fio', 'taskset', 'qemu-nbd'],
    } satisfies BenchRow,
    figures: (ours: Cost, peer: Cost) => ({
      ours: microsecondsOf(ours.all),
      peer: microsecondsOf(peer.all),
    }),
  })),
  ...deepRandomLoads.map((load) => ({
    load,
    row: {
      name: `reactor-user-time/${load.name}/reactor-time`,
      question: "the reactor's time in user mode for each request, against all of its time",
      unit: 'us',
      better: 'lower',
      isQuick: true,
      programs: ['fio', 'taskset', 'qemu-nbd'],
      bound: { of: 'ratio', limit: 0.25 },
    } satisfies BenchRow,
    figures: ({ reactor }: Cost) => ({
      ours: reactor.userSeconds * 1e6,
      peer: microsecondsOf(reactor),
    }),
  })),
];

/** Ours against qemu-nbd, and the reactor's user mode against all of its time. */
export const processorRows: RowGroup = {
  name: 'processor-time',
  rows: costRows.map(({ row }) => row),
  open: openServers,
};

async function openServers(context: GroupContext, wanted: readonly BenchRow[]): Promise<OpenGroup> {
  const servers: BlockServer[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.close()));
  };
  const { dataBytes: sizeBytes, printCommand } = context;
  try {
    servers.push(await startDaemonVolume(context), await qemuNbdRaw.start(context));
    for (const { uri } of servers) await runFio(fillLoad, { uri, sizeBytes }, printCommand);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    sample: async (index) => {
      const samples = new Map<string, Sample>();
      for (const named of loads) {
        const rows = costRows.filter(({ row, load }) => load === named && wanted.includes(row));
        if (rows.length === 0) continue;
        const sides = servers.map((server) => () => costOf(server, named.load, context));
        const [ours, peer] = await inTurn(index, sides);
        for (const { row, figures } of rows) samples.set(row.name, figures(ours!, peer!));
      }
      return samples;
    },
    close,
  };
}

/** Of one request. Counts the requests of the whole run, since the time is that of the whole run. */
async function costOf(
  { pid, uri }: BlockServer,
  load: FioLoad,
  { dataBytes: sizeBytes, sampleSeconds, printCommand }: GroupContext,
): Promise<Cost> {
  const times = () => [processorTime(pid), processorTime(pid, reactorThread)] as const;
  const before = times();
  const seconds = Math.max(secondsMin, sampleSeconds);
  const target = { uri, sizeBytes, seconds, hasRamp: false };
  const { requests } = await runFio(load, target, printCommand);
  const after = times();
  const share = (index: 0 | 1): ProcessorTime => ({
    userSeconds: (after[index].userSeconds - before[index].userSeconds) / requests,
    systemSeconds: (after[index].systemSeconds - before[index].systemSeconds) / requests,
  });
  return { all: share(0), reactor: share(1) };
}

function microsecondsOf({ userSeconds, systemSeconds }: ProcessorTime): number {
  return (userSeconds + systemSeconds) * 1e6;
}
