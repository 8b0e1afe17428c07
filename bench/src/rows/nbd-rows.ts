/** Our NBD export against those of others: one load, one peer, the same bytes behind both. */
import type { FioLoad, FioResult } from '../load/fio.ts';
import { runFio } from '../load/fio.ts';
import { inTurn } from '../harness/measure.ts';
import type { BenchRow, OpenRow, RowContext, Unit } from '../harness/row.ts';
import type { BlockServer } from '../servers/block-server.ts';
import { startDaemonVolume } from '../servers/daemon-server.ts';
import {
  nbdkitFile,
  type Peer,
  qemuNbdQcow2,
  qemuNbdRaw,
  qemuStorageDaemonQcow2,
} from '../servers/peers.ts';

interface NamedLoad {
  readonly name: string;
  readonly load: FioLoad;
  readonly unit: Unit;
  /** Peers that a quick run measures. */
  readonly isQuick: boolean;
}

const sequential = { blockBytes: 128 * 1024, queueDepth: 16, jobs: 1 } as const;

const loads: readonly NamedLoad[] = [
  ...namedRandom(32, 1, true),
  {
    name: 'read-128k-qd16-c1',
    load: { rw: 'read', ...sequential },
    unit: 'MiB/s',
    isQuick: true,
  },
  {
    name: 'write-128k-qd16-c1',
    load: { rw: 'write', ...sequential },
    unit: 'MiB/s',
    isQuick: true,
  },
  ...namedRandom(1, 1, false),
  ...namedRandom(32, 4, false),
  {
    name: 'commit-4k-qd1-c1',
    load: { rw: 'randwrite', blockBytes: 4096, queueDepth: 1, jobs: 1, writesPerFlush: 1 },
    unit: 'IOPS',
    isQuick: false,
  },
];

const peers: readonly Peer[] = [qemuNbdRaw, qemuNbdQcow2, qemuStorageDaemonQcow2, nbdkitFile];

/** Fills all of both sides before anything is measured, as a volume in use is. */
const fill: FioLoad = { rw: 'write', ...sequential };

/** A row for each load and peer. */
export const nbdRows: readonly BenchRow[] = peers.flatMap((peer) =>
  loads.map((load) => nbdRow(load, peer)),
);

function namedRandom(queueDepth: number, jobs: number, isQuick: boolean): NamedLoad[] {
  return (['randread', 'randwrite'] as const).map((rw) => ({
    name: `${rw}-4k-qd${queueDepth}-c${jobs}`,
    load: { rw, blockBytes: 4096, queueDepth, jobs },
    unit: 'IOPS' as const,
    isQuick,
  }));
}

function nbdRow({ name, load, unit, isQuick }: NamedLoad, peer: Peer): BenchRow {
  return {
    name: `nbd/${name}/${peer.name}`,
    question: `our NBD export against ${peer.description}`,
    unit,
    better: 'higher',
    isQuick: isQuick && peer === qemuNbdRaw,
    programs: ['fio', 'taskset', ...peer.programs],
    open: (context) => openNbdRow(load, peer, context),
  };
}

async function openNbdRow(load: FioLoad, peer: Peer, context: RowContext): Promise<OpenRow> {
  const servers: BlockServer[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.close()));
  };
  const { dataBytes: sizeBytes, sampleSeconds: seconds, printCommand } = context;
  const measure = async ({ uri }: BlockServer): Promise<number> => {
    const result = await runFio(load, { uri, sizeBytes, seconds }, printCommand);
    return figureOf(load, result);
  };
  try {
    for (const start of [startDaemonVolume, (all: RowContext) => peer.start(all)]) {
      const server = await start(context);
      servers.push(server);
      await runFio(fill, { uri: server.uri, sizeBytes }, printCommand);
    }
  } catch (error) {
    await close();
    throw error;
  }
  const [ours, theirs] = servers;
  return {
    sample: (index) =>
      inTurn(
        index,
        () => measure(ours!),
        () => measure(theirs!),
      ),
    close,
  };
}

function figureOf({ blockBytes }: FioLoad, result: FioResult): number {
  return blockBytes > 4096 ? result.mebibytesPerSecond : result.iops;
}
