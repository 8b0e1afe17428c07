/** All rows, in the order of the table. */
import type { RowGroup } from '../harness/row.ts';
import { exportRows } from './export-rows.ts';
import { memoryRow } from './memory-rows.ts';
import { processorRows } from './processor-rows.ts';
import { reactorRows } from './reactor-rows.ts';
import { restartRow } from './restart-rows.ts';
import { afterSnapshotRows } from './snapshots/after-snapshot-rows.ts';
import { createRows } from './snapshots/create-rows.ts';
import { deletionRow, manySnapshotsRows } from './snapshots/many-snapshots-rows.ts';
import { storeRows } from './store-rows.ts';

/** The rows of `npm run bench`. */
export const allGroups: readonly RowGroup[] = [
  exportRows,
  storeRows,
  ...afterSnapshotRows,
  manySnapshotsRows,
  createRows,
  deletionRow,
  processorRows,
  ...reactorRows,
  restartRow,
  memoryRow,
];
