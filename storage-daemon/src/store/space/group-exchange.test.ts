/** Space that one cell has used and given up is the pool's, not the cell's. */
import { describe, expect, test } from '@jest/globals';

import { DrivenPool, formatImages, storyGeometry } from '../../testing/runs/driven-pool.ts';
import { storeEngine } from '../../testing/store-engine.ts';
import { SeededRandom } from '../../testing/seeded-random.ts';
import { SeededScheduler, drainMicrotasks } from '../../testing/seeded-scheduler.ts';
import { GroupOwners } from '../../allocator/group-owners.ts';
import type { NodeIo } from '../store-api.ts';
import { GroupExchange } from './group-exchange.ts';

const groupCount = 20;
const groupBlocks = 256;
const geometry = { ...storyGeometry, cellCount: 2, reserveBlocks: 64 };

/** Writes until the pool is full; returns how many blocks were written. */
async function fill(pool: DrivenPool, io: NodeIo): Promise<number> {
  for (let lbn = 0; ; lbn += 8) {
    try {
      await pool.write(io, lbn, 8);
    } catch (error) {
      expect(error).toMatchObject({ kind: 'insufficient-space' });
      return lbn;
    }
  }
}

function cellOf(pool: DrivenPool, name: string): number | undefined {
  return pool.store.find({ kind: 'volume', name })?.cell;
}

describe.each([
  ['with deallocation', { bytesPerSecond: 1e6 }],
  ['without deallocation', undefined],
])('two cells %s', (_, deallocate) => {
  test('one fills the pool, is emptied, and the other fills all of it', async () => {
    const images = await formatImages(storeEngine, groupCount, geometry);
    const open = { deallocate };
    const pool = await DrivenPool.open(storeEngine, images, { open });
    const { machine, store } = pool;
    const first = await pool.createVolume('first', groupCount * groupBlocks);
    const second = await pool.createVolume('second', groupCount * groupBlocks);
    expect(cellOf(pool, 'first')).not.toBe(cellOf(pool, 'second'));
    const firstBlocks = await fill(pool, first);
    await first.close();
    await machine.drive('deleting', store.deleteNode({ kind: 'volume', name: 'first' }));
    const secondBlocks = await fill(pool, second);
    expect(secondBlocks).toBeGreaterThan(0.95 * firstBlocks);

    const { groupsReturned } = store.counters();
    expect(groupsReturned).toBeGreaterThan(groupCount / 2);
    await second.close();
    await machine.drive('closing', store.close());
    const after = machine.crash('power');
    const again = await DrivenPool.open(storeEngine, after);
    expect(again.store.list('volume')).toHaveLength(1);
    await again.machine.drive('closing', again.store.close());
    const checked = again.machine.drive('checking', storeEngine.checkPool(again.machine.devices));
    expect(await checked).toEqual([]);
  });
});

test('a cell whose deletes cannot go on answers all the same', async () => {
  const images = await formatImages(storeEngine, groupCount, geometry);
  const before = await DrivenPool.open(storeEngine, images);
  const first = await before.createVolume('first', 400);
  await before.createVolume('second', groupCount * groupBlocks);
  for (let lbn = 0; lbn < 400; lbn += 8) await before.write(first, lbn, 8);
  await first.close();
  await before.machine.drive('closing', before.store.close());
  let isBroken = false;
  const failRequest = (kind: string) => isBroken && kind === 'read';
  const pool = await DrivenPool.open(storeEngine, before.machine.crash('power'), {
    machine: { failRequest },
  });
  const { machine, store } = pool;
  const second = pool.openIo('volume', 'second');
  expect(cellOf(pool, 'first')).not.toBe(cellOf(pool, 'second'));
  isBroken = true;
  await machine.drive('deleting', store.deleteNode({ kind: 'volume', name: 'first' }));
  const end = await fill(pool, second);
  expect(store.counters().backgroundFailures).toBeGreaterThan(0);
  const from = machine.scheduler.nowMs;
  await expect(pool.write(second, end, 8)).rejects.toMatchObject({ kind: 'insufficient-space' });
  expect(store.counters().groupRequests).toBeGreaterThan(0);
  // Else it is waited for a second.
  expect(machine.scheduler.nowMs - from).toBeLessThan(900);
});

test('a list of groups that loses a page is as long as what it lists', async () => {
  // 480 groups: a page of the list has 256.
  const small = {
    ...storyGeometry,
    allocationGroupBlocks: 32,
    journalRingBlocks: 64,
    leafClusters: 256,
  };
  const images = await formatImages(storeEngine, 60, small);
  const pool = await DrivenPool.open(storeEngine, images);
  const { machine, store } = pool;
  const io = await pool.createVolume('a', 10_000);
  for (let lbn = 0; lbn < 9_600; lbn += 400) await pool.write(io, lbn, 400);
  await machine.drive('checkpoint', store.checkpoint());
  expect(store.counters().groupsTaken).toBeGreaterThan(256);
  await io.close();
  await machine.drive('deleting', store.deleteNode({ kind: 'volume', name: 'a' }));
  await machine.drive('draining', store.drainBackgroundWork());
  for (let count = 0; count < 6; count++) {
    // A record each, so that each checkpoint gives back as many groups as one may.
    await pool.createVolume(`v${count}`, 1);
    await machine.drive('checkpoint', store.checkpoint());
  }
  const { groupsTaken, groupsReturned } = store.counters();
  expect(groupsTaken - groupsReturned).toBeLessThan(30);

  const again = await DrivenPool.open(storeEngine, machine.crash('power'));
  expect(again.store.list('volume')).toHaveLength(6);
  await again.machine.drive('closing', again.store.close());
  const checked = again.machine.drive('checking', storeEngine.checkPool(again.machine.devices));
  expect(await checked).toEqual([]);
});

describe('GroupExchange', () => {
  /** The only group is cell 0's; cell 1 asks for it. */
  function createExchanges(giveBack: (owners: GroupOwners) => Promise<void>) {
    const owners = new GroupOwners(1);
    owners.claim(0, 0);
    const scheduler = new SeededScheduler(new SeededRandom(1));
    const { environment } = scheduler;
    const create = (cell: number) =>
      new GroupExchange(
        { cell },
        {
          owners,
          environment,
          giveBack: () => (cell === 0 ? giveBack(owners) : Promise.resolve()),
        },
      );
    const exchanges = [create(0), create(1)] as const;
    for (const exchange of exchanges) exchange.start();
    const drive = async (promise: Promise<void>) => {
      const outcome = { isOver: false };
      const settle = () => {
        outcome.isOver = true;
      };
      promise.then(settle, settle);
      const from = scheduler.nowMs;
      for (let steps = 0; !outcome.isOver && steps < 1000; steps++) {
        scheduler.step();
        await drainMicrotasks();
      }
      expect(outcome.isOver).toBe(true);
      return scheduler.nowMs - from;
    };
    return { owners, exchanges, drive };
  }

  test('a request ends when the others have given what they can', async () => {
    const { owners, exchanges, drive } = createExchanges((table) => {
      table.release(0, 0);
      return Promise.resolve();
    });
    expect(await drive(exchanges[1].request())).toBeLessThan(100);
    expect(owners.claimAny(1)).toBe(0);
  });

  test('a cell that does not answer is waited for a while, one that has ended is not', async () => {
    const { exchanges, drive } = createExchanges(() => new Promise(() => {}));
    const waitedMs = await drive(exchanges[1].request());
    expect(waitedMs).toBeGreaterThanOrEqual(1000);
    expect(waitedMs).toBeLessThan(2000);
    exchanges[0].stop();
    expect(await drive(exchanges[1].request())).toBeLessThan(100);
  });
});
