/** One read of a node (2.5 READ): physical runs become one device read each, what is not mapped is zeros. */
import { blockSizeBytes } from '../../units.ts';
import type { Cell } from '../cell.ts';
import { ioFailure } from '../pool-devices.ts';
import type { StoreError } from '../store-error.ts';
import type { TreeNode } from '../tree-node.ts';

/** What to read, and whom to tell. */
export interface ReadRequest {
  readonly node: TreeNode;
  readonly lbn: number;
  readonly target: Uint8Array;
  readonly done: (error: StoreError | null) => void;
}

/** Reads blocks; `done` is never called before this returns. */
export function startRead(request: ReadRequest, cell: Cell): void {
  const { node, lbn, target, done } = request;
  const count = target.length / blockSizeBytes;
  cell.residency.ensureFound(
    () => cell.state.residency.findMissing(node, lbn, count, 'look'),
    (error) => {
      if (error) cell.fail(done, error);
      else submitRead(request, cell);
    },
  );
}

function submitRead({ node, lbn, target, done }: ReadRequest, cell: Cell): void {
  const runs = mappedRuns({ node, lbn, target }, cell);
  if (runs.length === 0) {
    queueMicrotask(() => {
      if (!cell.isStopped) done(null);
    });
    return;
  }
  let left = runs.length;
  let failure: StoreError | null = null;
  for (const { pbn, start, count } of runs) {
    const generation = cell.tracker.begin();
    const bytes = target.subarray(start * blockSizeBytes, (start + count) * blockSizeBytes);
    cell.countDataRead(count);
    cell.devices.read(pbn, bytes, (error) => {
      cell.endIo(generation);
      if (error) failure ??= ioFailure(`Reading ${node.kind} ${node.name}`, error);
      if (--left === 0) done(failure);
    });
  }
}

/** Runs to read from the devices; the rest of the target is zeroed. */
function mappedRuns(
  { node, lbn, target }: Pick<ReadRequest, 'node' | 'lbn' | 'target'>,
  cell: Cell,
): { pbn: number; start: number; count: number }[] {
  const runs: { pbn: number; start: number; count: number }[] = [];
  const count = target.length / blockSizeBytes;
  for (let index = 0; index < count; index++) {
    const mapped = cell.state.tree.lookup(node, lbn + index);
    if (!mapped) {
      target.fill(0, index * blockSizeBytes, (index + 1) * blockSizeBytes);
      continue;
    }
    const last = runs.at(-1);
    const continues =
      last && last.start + last.count === index && last.pbn + last.count === mapped.pbn;
    if (continues) last.count++;
    else runs.push({ pbn: mapped.pbn, start: index, count: 1 });
  }
  return runs;
}
