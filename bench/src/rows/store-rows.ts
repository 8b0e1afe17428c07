/** The store without a socket against fio's io_uring engine on a file in the same memory, both on one core. */
import { pairInTurn } from '../harness/measure.ts';
import type { BenchRow, GroupContext, OpenGroup, RowGroup, Sample } from '../harness/row.ts';
import { deepRandomLoads } from '../load/loads.ts';
import { StoreLoad } from '../load/store-load.ts';
import { openFileTarget } from '../servers/load-target.ts';

const loads = deepRandomLoads.map(({ load }) => ({
  name: `store/${load.rw}-4k-qd32/fio-io_uring`,
  load,
}));

/** A row for reads and one for writes. */
export const storeRows: RowGroup = {
  name: 'store',
  rows: loads.map(({ name }) => ({
    name,
    question: 'our store on a file, no socket, against the raw file through fio with io_uring',
    unit: 'IOPS',
    better: 'higher',
    isQuick: true,
    programs: ['fio', 'taskset'],
    bound: { of: 'ratio', limit: 0.7 },
  })),
  open: openStore,
};

async function openStore(context: GroupContext, rows: readonly BenchRow[]): Promise<OpenGroup> {
  const file = await openFileTarget(context);
  const store = await StoreLoad.start(context);
  const wanted = loads.filter(({ name }) => rows.some((row) => row.name === name));
  return {
    sample: async (index) => {
      const samples = new Map<string, Sample>();
      for (const { name, load } of wanted) {
        const measureStore = () => store.run(load, context.sampleSeconds);
        samples.set(name, await pairInTurn(index, measureStore, () => file.measure(load)));
      }
      return samples;
    },
    close: () => store.close(),
  };
}
