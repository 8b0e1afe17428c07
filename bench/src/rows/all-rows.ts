/** All rows, in the order of the table. */
import type { BenchRow } from '../harness/row.ts';
import { nbdRows } from './nbd-rows.ts';
import { processorRows } from './processor-rows.ts';
import { restartRows } from './restart-rows.ts';
import { snapshotRows } from './snapshot-rows.ts';
import { storeRows } from './store-rows.ts';

/** The rows of `npm run bench`. */
export const allRows: readonly BenchRow[] = [
  ...nbdRows,
  ...storeRows,
  ...snapshotRows,
  ...processorRows,
  ...restartRows,
];
