/** From the start of a daemon that was killed until its first answer: with much in its pool, and with one volume. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { pairInTurn } from '../harness/measure.ts';
import type { GroupContext } from '../harness/row.ts';
import { type OpenRow, singleRow } from '../harness/single-row.ts';
import { readFirstBlock } from '../load/nbd-first-read.ts';
import { DaemonServer } from '../servers/daemon-server.ts';

const volumeCount = 1000;
const snapshotsPerVolume = 10;
const volumeBytes = 1024 ** 3;
/** Control calls under way at one time. */
const callsUnderWay = 16;

/** The row about restarts. */
export const restartRow = singleRow(
  {
    name: 'restart-after-kill/1000-volumes-10000-snapshots/one-volume',
    question: 'from the start of a killed daemon, that of Node.js included, to the first read',
    unit: 'ms',
    better: 'lower',
    isQuick: false,
    programs: ['taskset'],
    bound: { of: 'ours', limit: 3000 },
  },
  openRestart,
);

async function openRestart(context: GroupContext): Promise<OpenRow> {
  const daemons: DaemonServer[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(daemons.map((daemon) => daemon.close()));
  };
  const start = async (folder: string, volumes: number): Promise<DaemonServer> => {
    const directory = join(context.directory, folder);
    mkdirSync(directory);
    const daemon = await DaemonServer.start({ ...context, directory });
    daemons.push(daemon);
    await fill(daemon, volumes);
    return daemon;
  };
  try {
    const small = await start('small', 1);
    const large = await start('large', volumeCount);
    return {
      sample: (index) =>
        pairInTurn(
          index,
          () => restart(large),
          () => restart(small),
        ),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function fill(daemon: DaemonServer, volumes: number): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < volumes) {
      const index = next++;
      const volume = `volume-${index}`;
      await daemon.createVolume(volume, volumeBytes);
      for (let count = 0; count < snapshotsPerVolume; count++) {
        await daemon.client.putSnapshot(`snapshot-${index}-${count}`, { volume, labels: {} });
      }
    }
  };
  await Promise.all(Array.from({ length: callsUnderWay }, work));
}

/** Milliseconds to the first answer. */
async function restart(daemon: DaemonServer): Promise<number> {
  const startMs = performance.now();
  await daemon.restartAfterKill();
  await readFirstBlock(await daemon.exportUri('volume/volume-0'));
  return performance.now() - startMs;
}
