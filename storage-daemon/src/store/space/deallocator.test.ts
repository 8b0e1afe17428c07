/** What devices are told of freed blocks, and that nobody has to wait for it. */
import { describe, expect, test } from '@jest/globals';

import { CellAllocator } from '../../allocator/cell-allocator.ts';
import { GroupBitmap } from '../../allocator/group-bitmap.ts';
import { GroupOwners } from '../../allocator/group-owners.ts';
import { IoTracker } from '../../allocator/io-tracker.ts';
import { DeviceError } from '../../device/block-device.ts';
import { DrivenPool, formatImages } from '../../testing/runs/driven-pool.ts';
import { storeEngine } from '../../testing/store-engine.ts';
import { blockSizeBytes } from '../../units.ts';
import type { PoolDevices } from '../pool-devices.ts';
import type { DeallocateOptions, NodeIo } from '../store-api.ts';
import type { StoreEnvironment } from '../store-environment.ts';
import { Deallocator } from './deallocator.ts';

const fast: DeallocateOptions = { bytesPerSecond: 1e12 };
/** Nothing but the first request, within the life of a test. */
const slow: DeallocateOptions = { bytesPerSecond: 1 };

async function openPool(
  deallocate: DeallocateOptions,
  options: { readonly groupCount?: number; readonly refuses?: boolean } = {},
): Promise<DrivenPool> {
  const images = await formatImages(storeEngine, options.groupCount ?? 8);
  const failRequest = (kind: string) => options.refuses === true && kind === 'deallocate';
  // Blocks of clusters that are not written whole are by themselves, and come free by themselves.
  const open = { deallocate, naturalShareMax: 0 };
  return DrivenPool.open(storeEngine, images, { open, machine: { failRequest } });
}

function discard(pool: DrivenPool, io: NodeIo, lbn: number, blockCount: number): Promise<void> {
  return pool.io((done) => io.discard(lbn, blockCount, done));
}

/** Lets everything happen that happens without time passing. */
async function rest(pool: DrivenPool): Promise<void> {
  for (let step = 0; step < 1000; step++) await pool.machine.step();
}

function deviceRequests(pool: DrivenPool): number {
  return pool.machine.devices[0]!.counters.deallocations;
}

describe('Deallocator', () => {
  test('tells the device of runs from 64 KiB on, once their records are durable', async () => {
    const pool = await openPool(fast);
    const io = await pool.createVolume('a', 200);
    await pool.write(io, 0, 200);
    await pool.flush(io);
    await discard(pool, io, 0, 96);
    await discard(pool, io, 160, 15);
    const free = pool.store.space().freeBlocks;
    await rest(pool);
    expect(deviceRequests(pool)).toBe(0);
    await pool.flush(io);
    await rest(pool);
    expect(pool.store.counters().deallocatedBytes).toBe(96 * blockSizeBytes);
    // Free is what is not allocated, whatever the device knows.
    expect(pool.store.space().freeBlocks).toBe(free);
  });

  test('runs that wait are allocatable as soon as they are needed', async () => {
    const pool = await openPool(slow, { groupCount: 4 });
    const io = await pool.createVolume('a', 600);
    const fill = async () => {
      let lbn = 0;
      for (; lbn < 600; lbn += 20) await pool.write(io, lbn, 20);
    };
    await fill();
    await discard(pool, io, 0, 600);
    await pool.flush(io);
    await fill();
    expect(pool.store.counters().deallocatedBytes).toBeLessThan(300 * blockSizeBytes);
    const target = new Uint8Array(20 * blockSizeBytes);
    await pool.io((done) => io.read(580, target, done));
    expect(target.every((byte) => byte === target[0] && byte !== 0)).toBe(true);
  });

  test('a device that refuses is not asked again, and its blocks are allocatable', async () => {
    const pool = await openPool(fast, { groupCount: 4, refuses: true });
    const io = await pool.createVolume('a', 500);
    for (let round = 0; round < 4; round++) {
      await pool.write(io, 0, 500);
      await discard(pool, io, 0, 500);
      await pool.flush(io);
      await rest(pool);
    }
    expect(deviceRequests(pool)).toBe(1);
    expect(pool.store.counters()).toMatchObject({ deallocatedBytes: 0, deallocateFailures: 1 });
  });

  test('closing waits for the request under way and for no other', async () => {
    const pool = await openPool(slow);
    const io = await pool.createVolume('a', 400);
    for (const lbn of [0, 100, 200, 300]) await pool.write(io, lbn, 50);
    await discard(pool, io, 0, 400);
    await pool.flush(io);
    await io.close();
    await pool.machine.drive('closing', pool.store.close());
    const requests = deviceRequests(pool);
    await rest(pool);
    expect(deviceRequests(pool)).toBe(requests);
  });
});

/** Every second block of a group, as many as a queue takes. */
const queuedRuns = 8192;

function fullAllocator(): CellAllocator {
  const options = { groupBlocks: 4 * queuedRuns };
  const owners = new GroupOwners(1);
  const allocator = new CellAllocator(options, { tracker: new IoTracker(), owners });
  allocator.addGroup(new GroupBitmap(0, options.groupBlocks));
  allocator.reserveData(allocator.availableCount);
  return allocator;
}

test('a device that refuses while full queues of many cells wait gets none of them', async () => {
  let requests = 0;
  const refusal = new DeviceError('unsupported', 'no', { deviceName: 'disk', offsetBytes: 0 });
  const devices: Partial<PoolDevices> = {
    canDeallocate: () => requests === 0,
    deallocate: (_, done) => {
      requests++;
      queueMicrotask(() => done(refusal));
    },
  };
  const environment: Partial<StoreEnvironment> = { yieldTurn: async () => {}, log: () => {} };
  const deallocator = new Deallocator(
    { ...fast, runBlocksMin: 1 },
    { devices: devices as PoolDevices, environment: environment as StoreEnvironment },
  );
  const allocators = [1, 2, 3, 4].map(fullAllocator);
  for (const allocator of allocators) deallocator.serve(allocator);
  const pbns = Array.from({ length: queuedRuns }, (_, index) => 2 + 2 * index);
  for (const { deallocation } of allocators) expect(deallocation!.accept(pbns)).toEqual([]);
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  expect(requests).toBe(1);
  expect(deallocator.queuedBlocks).toBe(0);
  for (const { availableCount } of allocators) expect(availableCount).toBe(queuedRuns);
});
