/** The first write to a block that a snapshot has too. */
import { expect, test } from '@jest/globals';

import { DrivenPool, formatImages } from '../../testing/runs/driven-pool.ts';
import { storeEngine } from '../../testing/store-engine.ts';
import { blockSizeBytes } from '../../units.ts';
import type { NodeIo } from '../store-api.ts';

/** A volume with 16 blocks of ones, and a snapshot of it. */
async function sharedVolume(failRequest?: (kind: string) => boolean) {
  const images = await formatImages(storeEngine, 6);
  const machine = failRequest === undefined ? {} : { failRequest };
  const pool = await DrivenPool.open(storeEngine, images, { machine });
  const volume = await pool.createVolume('a');
  await fill(pool, volume, { lbn: 0, count: 16 }, 1);
  await pool.snapshot('a', 's');
  return { pool, volume, snapshot: pool.openIo('snapshot', 's') };
}

function fill(
  pool: DrivenPool,
  io: NodeIo,
  { lbn, count }: { readonly lbn: number; readonly count: number },
  value: number,
): Promise<void> {
  const source = new Uint8Array(count * blockSizeBytes).fill(value);
  return pool.io((done) => io.write(lbn, source, false, done));
}

async function valueAt(pool: DrivenPool, io: NodeIo, lbn: number): Promise<number> {
  const target = new Uint8Array(blockSizeBytes);
  await pool.io((done) => io.read(lbn, target, done));
  expect(new Set(target).size).toBe(1);
  return target[0]!;
}

test('goes to a place of its own, alone: one block is written, and the snapshot keeps its own', async () => {
  const { pool, volume, snapshot } = await sharedVolume();
  const before = { ...pool.machine.devices[0]!.counters };
  await fill(pool, volume, { lbn: 5, count: 1 }, 2);
  const { writes, writtenBytes } = pool.machine.devices[0]!.counters;
  expect(writes - before.writes).toBe(1);
  expect(writtenBytes - before.writtenBytes).toBe(blockSizeBytes);
  expect(await valueAt(pool, volume, 5)).toBe(2);
  expect(await valueAt(pool, volume, 4)).toBe(1);
  expect(await valueAt(pool, snapshot, 5)).toBe(1);
});

test('that fails changes nothing and holds nothing: the same block can be written again', async () => {
  let fails = false;
  const { pool, volume, snapshot } = await sharedVolume((kind) => fails && kind === 'write');
  // What a failed write held would be missed after as many as there are free blocks.
  const attempts = pool.store.space().freeBlocks + 1;
  fails = true;
  for (let attempt = 0; attempt < attempts; attempt++) {
    await expect(fill(pool, volume, { lbn: 5, count: 1 }, 2)).rejects.toMatchObject({
      kind: 'unavailable',
    });
  }
  fails = false;
  expect(await valueAt(pool, volume, 5)).toBe(1);
  await fill(pool, volume, { lbn: 5, count: 1 }, 3);
  expect(await valueAt(pool, volume, 5)).toBe(3);
  expect(await valueAt(pool, snapshot, 5)).toBe(1);
});

test('at the same time as others of its cluster loses none of them', async () => {
  const { pool, volume, snapshot } = await sharedVolume();
  const writes = [2, 3, 4, 5, 6, 5].map((value) =>
    fill(pool, volume, { lbn: value, count: 1 }, value),
  );
  const long = fill(pool, volume, { lbn: 8, count: 4 }, 8);
  await Promise.all([...writes, long]);
  for (const value of [2, 3, 4, 5, 6]) expect(await valueAt(pool, volume, value)).toBe(value);
  for (const lbn of [8, 9, 10, 11]) expect(await valueAt(pool, volume, lbn)).toBe(8);
  for (const lbn of [0, 1, 7, 12]) expect(await valueAt(pool, volume, lbn)).toBe(1);
  expect(await valueAt(pool, snapshot, 5)).toBe(1);
});
