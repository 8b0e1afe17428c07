/** Our NBD export against those of others, and against the file itself: one load, the same bytes behind all. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { inTurn } from '../harness/measure.ts';
import type {
  BenchRow,
  GroupContext,
  OpenGroup,
  RowBound,
  RowGroup,
  Sample,
} from '../harness/row.ts';
import { exportLoads, type NamedLoad } from '../load/loads.ts';
import { startDaemonVolume } from '../servers/daemon-server.ts';
import { type LoadTarget, openFileTarget, openNbdTarget } from '../servers/load-target.ts';
import { openNvmeTarget } from '../servers/nvme-target.ts';
import {
  nbdkitFile,
  type Peer,
  qemuNbdQcow2,
  qemuNbdRaw,
  qemuStorageDaemonQcow2,
} from '../servers/peers.ts';

/** One side of rows. */
interface Side {
  readonly name: string;
  readonly description: string;
  readonly programs: readonly string[];
  readonly open: (context: GroupContext) => Promise<LoadTarget>;
}

/** A row and its sides. */
interface ExportRow extends BenchRow {
  readonly ours: Side;
  readonly peer: Side;
  readonly load: NamedLoad;
}

const ourSides: readonly Side[] = [
  {
    name: 'nbd',
    description: 'our NBD export',
    programs: ['fio', 'taskset'],
    open: async (context) => openNbdTarget(await startDaemonVolume(context), context),
  },
  {
    name: 'nvme',
    description: 'our NVMe/TCP export under our own initiator',
    programs: ['taskset'],
    open: openNvmeTarget,
  },
];

const peerSides: readonly Side[] = [
  ...[qemuNbdRaw, qemuNbdQcow2, qemuStorageDaemonQcow2, nbdkitFile].map(sideOf),
  {
    name: 'fio-io_uring',
    description: 'the raw file through fio with io_uring, no server',
    programs: ['fio', 'taskset'],
    open: openFileTarget,
  },
];

/** Bounds against qemu-nbd on a raw file. */
const bounds = new Map<string, RowBound>([
  ['randread-4k-qd32-c1', { of: 'ratio', limit: 1.4 }],
  ['randwrite-4k-qd32-c1', { of: 'ratio', limit: 1.4 }],
  ['read-128k-qd16-c1', { of: 'ratio', limit: 2 }],
  ['write-128k-qd16-c1', { of: 'ratio', limit: 2 }],
]);

const rows: readonly ExportRow[] = ourSides.flatMap((ours) =>
  peerSides.flatMap((peer) => exportLoads.map((load) => rowOf(load, ours, peer))),
);

/** A row for each load and pair of sides; all servers run at the same time, and one works. */
export const exportRows: RowGroup = {
  name: 'exports',
  rows,
  open: (context, wanted) =>
    openExports(
      context,
      rows.filter((row) => wanted.includes(row)),
    ),
};

function sideOf(peer: Peer): Side {
  return {
    name: peer.name,
    description: peer.description,
    programs: ['fio', 'taskset', ...peer.programs],
    open: async (context) => openNbdTarget(await peer.start(context), context),
  };
}

function rowOf(load: NamedLoad, ours: Side, peer: Side): ExportRow {
  const bound = ours.name === 'nbd' && peer.name === qemuNbdRaw.name && bounds.get(load.name);
  return {
    name: `${ours.name}/${load.name}/${peer.name}`,
    question: `${ours.description} against ${peer.description}`,
    unit: load.unit,
    better: 'higher',
    isQuick: Boolean(bound),
    programs: [...ours.programs, ...peer.programs],
    ...(bound && { bound }),
    ours,
    peer,
    load,
  };
}

async function openExports(
  context: GroupContext,
  wanted: readonly ExportRow[],
): Promise<OpenGroup> {
  const targets = new Map<Side, LoadTarget>();
  const close = async (): Promise<void> => {
    await Promise.all([...targets.values()].map((target) => target.close()));
  };
  try {
    for (const { ours, peer } of wanted) {
      for (const side of [ours, peer]) {
        if (targets.has(side)) continue;
        const directory = join(context.directory, side.name);
        mkdirSync(directory);
        targets.set(side, await side.open({ ...context, directory }));
      }
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    sample: async (index) => {
      const samples = new Map<string, Sample>();
      for (const load of exportLoads) {
        const rowsOfLoad = wanted.filter((row) => row.load === load);
        const sides = [...new Set(rowsOfLoad.flatMap(({ ours, peer }) => [ours, peer]))];
        const measures = sides.map((side) => () => targets.get(side)!.measure(load.load));
        const figures = await inTurn(index, measures);
        const figureOf = (side: Side): number => figures[sides.indexOf(side)]!;
        for (const { name, ours, peer } of rowsOfLoad) {
          samples.set(name, { ours: figureOf(ours), peer: figureOf(peer) });
        }
      }
      return samples;
    },
    close,
  };
}
