/** From the start of a daemon that was killed until it serves: with much in its pool, and with nothing. */
import { join } from 'node:path';

import { inTurn } from '../harness/measure.ts';
import type { BenchRow, OpenRow, RowContext } from '../harness/row.ts';
import { DaemonServer } from '../servers/daemon-server.ts';

const volumeCount = 1000;
const snapshotsPerVolume = 10;
const volumeBytes = 1024 ** 3;
/** Control calls under way at one time. */
const callsUnderWay = 16;

/** The row about restarts. */
export const restartRows: readonly BenchRow[] = [
  {
    name: 'restart-after-kill/1000-volumes-10000-snapshots/empty-pool',
    question: 'time until a killed daemon serves again, the start of Node.js included',
    unit: 'ms',
    better: 'lower',
    isQuick: false,
    programs: ['taskset'],
    open: openRestart,
  },
];

async function openRestart(context: RowContext): Promise<OpenRow> {
  const empty = await DaemonServer.start({ ...context, directory: join(context.directory, 'a') });
  const full = await DaemonServer.start({ ...context, directory: join(context.directory, 'b') });
  await inParallel(volumeCount, async (index) => {
    const volume = `volume-${index}`;
    await full.createVolume(volume, volumeBytes);
    for (let count = 0; count < snapshotsPerVolume; count++) {
      await full.client.putSnapshot(`snapshot-${index}-${count}`, { volume, labels: {} });
    }
  });
  const restart = async (daemon: DaemonServer): Promise<number> =>
    (await daemon.restartAfterKill()) * 1000;
  return {
    sample: (index) =>
      inTurn(
        index,
        () => restart(full),
        () => restart(empty),
      ),
    close: async () => {
      await Promise.all([empty.close(), full.close()]);
    },
  };
}

async function inParallel(count: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: callsUnderWay }, work));
}
