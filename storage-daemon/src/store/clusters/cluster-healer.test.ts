/** Split clusters become whole again, and only where that costs nobody anything. */
import { expect, test } from '@jest/globals';

import { DrivenPool, formatImages } from '../../testing/runs/driven-pool.ts';
import { storeEngine } from '../../testing/store-engine.ts';
import { blockSizeBytes } from '../../units.ts';
import type { NodeIo } from '../store-api.ts';

/** A volume of two clusters that were written whole, and whose blocks were written again behind a snapshot. */
async function openSplit(): Promise<{ pool: DrivenPool; io: NodeIo }> {
  const pool = await DrivenPool.open(storeEngine, await formatImages(storeEngine, 8));
  const io = await pool.createVolume('a', 32);
  await pool.write(io, 0, 32);
  await pool.snapshot('a', 's');
  for (let lbn = 0; lbn < 31; lbn++) await pool.write(io, (lbn * 7) % 31);
  return { pool, io };
}

async function readAll(
  pool: DrivenPool,
  io: NodeIo,
): Promise<{ bytes: Uint8Array; reads: number }> {
  const bytes = new Uint8Array(32 * blockSizeBytes);
  const before = pool.machine.devices[0]!.counters.reads;
  await pool.io((done) => io.read(0, bytes, done));
  return { bytes, reads: pool.machine.devices[0]!.counters.reads - before };
}

test('a cluster whose blocks are all own is copied to one place; one with a shared block stays', async () => {
  const { pool, io } = await openSplit();
  const split = await readAll(pool, io);
  await pool.machine.drive('healing', pool.store.healClusters());
  expect(pool.store.counters().healedClusters).toBe(1);
  const healed = await readAll(pool, io);
  expect(healed.bytes).toEqual(split.bytes);
  expect(healed.reads).toBeLessThan(split.reads);

  await pool.machine.drive('deleting', pool.store.deleteNode({ kind: 'snapshot', name: 's' }));
  await pool.machine.drive('draining', pool.store.drainBackgroundWork());
  await pool.machine.drive('healing', pool.store.healClusters());
  await pool.machine.drive('healing', pool.store.healClusters());
  expect(pool.store.counters().healedClusters).toBe(2);
  const whole = await readAll(pool, io);
  expect(whole.bytes).toEqual(split.bytes);
  expect(whole.reads).toBeLessThanOrEqual(2);
  await io.close();
  await pool.machine.drive('closing', pool.store.close());
  const images = pool.machine.crash('power');
  const again = await DrivenPool.open(storeEngine, images);
  expect((await readAll(again, again.openIo('volume', 'a'))).bytes).toEqual(split.bytes);
  again.machine.crash('kill');
});

test('a copy that cannot be written leaves everything as it was', async () => {
  let isBroken = false;
  const images = await formatImages(storeEngine, 8);
  const failRequest = (kind: string) => isBroken && kind === 'write';
  const pool = await DrivenPool.open(storeEngine, images, { machine: { failRequest } });
  const io = await pool.createVolume('a', 32);
  await pool.write(io, 0, 32);
  await pool.snapshot('a', 's');
  for (let lbn = 0; lbn < 16; lbn++) await pool.write(io, lbn);
  const before = pool.store.space();
  isBroken = true;
  await pool.machine.drive('healing', pool.store.healClusters());
  isBroken = false;
  expect(pool.store.counters().healedClusters).toBe(0);
  expect(pool.store.space()).toEqual(before);
  await pool.write(io, 3);
  await pool.machine.drive('healing', pool.store.healClusters());
  expect(pool.store.counters().healedClusters).toBe(1);
});
