/** What a full pool still has to do. */
import { expect, test } from '@jest/globals';

import { DrivenPool, formatImages, storyGeometry } from '../testing/runs/driven-pool.ts';
import { storeEngine } from '../testing/store-engine.ts';

/** Each delete rewrites two dead lists and a catalog page: together more than the reserve holds. */
const volumeCount = 70;

test('deletes that are asked for at once share what is left of a full pool', async () => {
  const images = await formatImages(storeEngine, 8);
  // Slack that snapshots share is not given up, and it would fill this pool.
  const pool = await DrivenPool.open(storeEngine, images, { open: { naturalShareMax: 0 } });
  const { machine, store } = pool;
  for (let volume = 0; volume < volumeCount; volume++) {
    const io = await pool.createVolume(`v${volume}`);
    await pool.write(io, 0, 4);
    await pool.snapshot(`v${volume}`, `kept${volume}`);
    await pool.write(io, 0);
    await pool.snapshot(`v${volume}`, `gone${volume}`);
    await pool.write(io, 1);
    await io.close();
  }
  await fill(pool);

  const names = Array.from({ length: volumeCount }, (_, volume) => `gone${volume}`);
  const deletes = names.map((name) => store.deleteNode({ kind: 'snapshot', name }));
  const outcomes = await machine.drive('deleting', Promise.allSettled(deletes));
  const reasons = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  expect(reasons).toEqual([]);
  await machine.drive('draining', store.drainBackgroundWork());
  expect(store.readOnlyReason).toBeUndefined();
  await machine.drive('closing', store.close());

  const closed = machine.crash('power');
  const again = await DrivenPool.open(storeEngine, closed);
  expect(again.store.list('snapshot')).toHaveLength(volumeCount);
  again.machine.crash('kill');
  expect(await findings(closed)).toEqual([]);
});

test('a delete that would rewrite more than the reserve holds is refused, and others go on', async () => {
  const snapshotCount = 60;
  const blocksEach = 300;
  const images = await formatImages(storeEngine, 82, { ...storyGeometry, reserveBlocks: 16 });
  const pool = await DrivenPool.open(storeEngine, images);
  const { machine, store } = pool;
  const io = await pool.createVolume('a', snapshotCount * blocksEach);
  for (let index = 0; index < snapshotCount; index++) {
    await pool.write(io, index * blocksEach, blocksEach);
    await pool.snapshot('a', `s${index}`);
  }
  // A dead list with a bucket of its own for each snapshot.
  await pool.io((done) => io.discard(0, snapshotCount * blocksEach, done));
  await pool.snapshot('a', 'last');
  await io.close();
  await machine.drive('checkpoint', store.checkpoint());
  await fill(pool);

  const deleting = (kind: 'volume' | 'snapshot', name: string) =>
    machine.drive('deleting', store.deleteNode({ kind, name }));
  await expect(deleting('snapshot', 'last')).rejects.toMatchObject({ kind: 'insufficient-space' });
  await deleting('volume', 'filler');
  await machine.drive('draining', store.drainBackgroundWork());
  await machine.drive('checkpoint', store.checkpoint());
  await deleting('snapshot', 'last');
  await machine.drive('draining', store.drainBackgroundWork());
  expect(store.readOnlyReason).toBeUndefined();
  await machine.drive('closing', store.close());
  expect(await findings(machine.crash('power'))).toEqual([]);
});

test('a full pool gives slack up before it refuses a write', async () => {
  const pool = await DrivenPool.open(storeEngine, await formatImages(storeEngine, 8));
  const { machine, store } = pool;
  const io = await pool.createVolume('sparse', 1440);
  for (let lbn = 0; lbn < 1440; lbn += 16) await pool.write(io, lbn);
  // 90 blocks, and 15 beside each.
  expect(store.space().slackBlocks).toBe(1350);
  await fill(pool);
  expect(store.space().slackBlocks).toBe(0);
  expect(store.counters().harvestedBlocks).toBe(1350);
  const target = new Uint8Array(4096 * 32);
  await pool.io((done) => io.read(1408, target, done));
  expect([target[0], target[4096], target[4096 * 16], target[4096 * 31]]).toEqual([9, 0, 25, 0]);
  await io.close();
  await machine.drive('deleting', store.deleteNode({ kind: 'volume', name: 'sparse' }));
  await machine.drive('draining', store.drainBackgroundWork());
  await machine.drive('closing', store.close());
  expect(await findings(machine.crash('power'))).toEqual([]);
});

/** Writes until nothing fits, writes a checkpoint, and writes again. */
async function fill(pool: DrivenPool): Promise<void> {
  const io = await pool.createVolume('filler', 4000);
  let lbn = 0;
  const writeAll = async () => {
    for (; ; lbn++) await pool.write(io, lbn);
  };
  const full = { kind: 'insufficient-space' };
  await expect(writeAll()).rejects.toMatchObject(full);
  await pool.machine.drive('checkpoint', pool.store.checkpoint());
  await expect(writeAll()).rejects.toMatchObject(full);
  await io.close();
}

async function findings(images: Parameters<typeof DrivenPool.open>[1]): Promise<readonly string[]> {
  const pool = await DrivenPool.open(storeEngine, images);
  await pool.machine.drive('closing', pool.store.close());
  return pool.machine.drive('checking', storeEngine.checkPool(pool.machine.devices));
}
