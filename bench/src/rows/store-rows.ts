/** The store without a socket against fio's io_uring engine on a file in the same memory, both on one core. */
import { inTurn } from '../harness/measure.ts';
import type { BenchRow, OpenRow, RowContext } from '../harness/row.ts';
import { type FioLoad, runFio } from '../load/fio.ts';
import { StoreLoad } from '../load/store-load.ts';
import { createRawFile } from '../servers/peers.ts';

/** A row for reads and one for writes. */
export const storeRows: readonly BenchRow[] = (['randread', 'randwrite'] as const).map((rw) => ({
  name: `store/${rw}-4k-qd32/fio-io_uring`,
  question: 'our store on a file, no socket, against the raw file through fio with io_uring',
  unit: 'IOPS',
  better: 'higher',
  isQuick: true,
  programs: ['fio', 'taskset'],
  open: (context) => openStoreRow({ rw, blockBytes: 4096, queueDepth: 32, jobs: 1 }, context),
}));

async function openStoreRow(load: FioLoad, context: RowContext): Promise<OpenRow> {
  const { dataBytes: sizeBytes, sampleSeconds: seconds, printCommand } = context;
  const file = createRawFile(context);
  const fill: FioLoad = { rw: 'write', blockBytes: 128 * 1024, queueDepth: 16, jobs: 1 };
  await runFio(fill, { file, sizeBytes }, printCommand);
  const store = await StoreLoad.start(context);
  return {
    sample: (index) =>
      inTurn(
        index,
        () => store.run(load, seconds),
        async () => (await runFio(load, { file, sizeBytes, seconds }, printCommand)).iops,
      ),
    close: () => store.close(),
  };
}
