/** Opens a pool: identifies its devices, recovers all cells, and serves. */
import { GroupOwners } from '../allocator/group-owners.ts';
import type { Cell } from './cell.ts';
import { RecoveredCell } from './cell-recovery.ts';
import { PoolDevices, ioFailure } from './pool-devices.ts';
import { identifyPool } from './pool-superblock.ts';
import { PoolStore } from './pool-store.ts';
import { Deallocator } from './space/deallocator.ts';
import type { DeallocateOptions, OpenStore } from './store-api.ts';
import type { StoreEnvironment } from './store-environment.ts';

/** Cells that are recovered at once: their reads overlap, and few rings are in memory. */
const cellsAtOnce = 4;

/** Recovers the pool and opens it; resolves when it serves. */
export const openStore: OpenStore = async (options, dependencies) => {
  const { environment, share } = dependencies;
  const { superblock, devices } = await identifyPool(dependencies.devices);
  const { geometry } = superblock;
  const pool = new PoolDevices({ geometry, table: superblock.devices }, { devices });
  // J5: what is read below may still sit in the drive's cache after a kill, and be lost later.
  if (pool.hasVolatileCache && options.readOnly !== true) await flush(pool);
  const owners = share ? share.ownersOf(pool.groupCount) : new GroupOwners(pool.groupCount);
  const numbers = share?.cells ?? Array.from({ length: geometry.cellCount }, (_, cell) => cell);
  const recovered = await forAllCells(numbers, (cell) =>
    RecoveredCell.recover(
      { cell, superblock, open: options },
      { devices: pool, owners, environment },
    ),
  );
  const ownHole = recovered.find(({ hole }) => hole !== undefined)?.hole;
  // No cell takes a group before all have said which are theirs.
  const hole = share ? await share.whenAllRecovered(ownHole) : ownHole;
  const readOnlyReason = readOnlyBecause(options.readOnly === true, superblock.isReadOnly, hole);
  const cells: Cell[] = [];
  try {
    for (const cell of recovered) {
      cells.push(readOnlyReason ? cell.serveReadOnly(readOnlyReason) : await cell.serve());
    }
  } catch (error) {
    // The pool is not open: nothing of it may write by a timer.
    for (const cell of cells) cell.stop();
    await pool.stop();
    throw error;
  }
  const deallocator =
    options.deallocate && createDeallocator(options.deallocate, cells, { pool, environment });
  for (const cell of cells) cell.start();
  return new PoolStore({ superblock }, { cells, owners, environment, devices: pool, deallocator });
};

/** Some at once. All that have begun have ended when this does; the failure of the first that failed counts. */
async function forAllCells<T>(
  cells: readonly number[],
  work: (cell: number) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const worker = async () => {
    while (next < cells.length && !failure) {
      const index = next++;
      try {
        results[index] = await work(cells[index]!);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(cellsAtOnce, cells.length) }, worker));
  if (failure) throw failure.error;
  return results;
}

function readOnlyBecause(
  isAsked: boolean,
  isFeature: boolean,
  hole: string | undefined,
): string | undefined {
  if (isAsked) return 'it was opened read-only';
  if (isFeature) return 'it has features that this version can only read';
  return hole;
}

function createDeallocator(
  options: DeallocateOptions,
  cells: readonly Cell[],
  { pool, environment }: { pool: PoolDevices; environment: StoreEnvironment },
): Deallocator {
  const deallocator = new Deallocator(options, { devices: pool, environment });
  for (const cell of cells) deallocator.serve(cell.state.allocator);
  return deallocator;
}

function flush(pool: PoolDevices): Promise<void> {
  return new Promise((resolve, reject) => {
    pool.flush((error) => (error ? reject(ioFailure('Flushing the devices', error)) : resolve()));
  });
}
