/** Maps that do not fit into memory: what look-ups cost then, what stays bounded, and what a rotten page gives. */
import { describe, expect, test } from '@jest/globals';

import { PageType } from '../format/page-header.ts';
import { DrivenPool, formatImages } from '../testing/runs/driven-pool.ts';
import { storeEngine } from '../testing/store-engine.ts';
import { blockSizeBytes } from '../units.ts';
import type { NodeIo, OpenOptions } from './store-api.ts';

const leafBlocks = 32;
const leafCount = 64;
const volumeBlocks = leafCount * leafBlocks;
const fewPages: OpenOptions = { mapMemoryBytes: 8 * blockSizeBytes };

async function openWithVolume(open: OpenOptions): Promise<{ pool: DrivenPool; io: NodeIo }> {
  const pool = await DrivenPool.open(storeEngine, await formatImages(storeEngine, 48), { open });
  const io = await pool.createVolume('v', volumeBlocks);
  for (let leaf = 0; leaf < leafCount; leaf++) await pool.write(io, leaf * leafBlocks + (leaf % 5));
  await pool.flush(io);
  await checkpoint(pool);
  return { pool, io };
}

function checkpoint(pool: DrivenPool): Promise<void> {
  return pool.machine.drive('checkpoint', pool.store.checkpoint());
}

async function readBlock(pool: DrivenPool, io: NodeIo, lbn: number): Promise<number> {
  const target = new Uint8Array(blockSizeBytes);
  await pool.io((done) => io.read(lbn, target, done));
  expect(target.every((byte) => byte === target[0])).toBe(true);
  return target[0]!;
}

/** Device reads and map pages read for one block of each leaf, in a fixed order that jumps about. */
async function costOfReads(pool: DrivenPool, io: NodeIo) {
  const before = { ...pool.store.counters(), reads: pool.machine.devices[0]!.counters.reads };
  for (let step = 0; step < leafCount; step++) {
    const leaf = (step * 37) % leafCount;
    const lbn = leaf * leafBlocks + (leaf % 5);
    expect(await readBlock(pool, io, lbn)).toBe(1 + (lbn % 200));
  }
  const after = pool.store.counters();
  return {
    deviceReads: pool.machine.devices[0]!.counters.reads - before.reads,
    hits: after.mapHits - before.mapHits,
    misses: after.mapMisses - before.mapMisses,
  };
}

async function addSnapshots(pool: DrivenPool, io: NodeIo, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    // Not one of the blocks that are read.
    await pool.write(io, (index % leafCount) * leafBlocks + 6);
    await pool.snapshot('v', `s${index}`);
  }
  await pool.flush(io);
  await checkpoint(pool);
}

describe('a read', () => {
  test('behind 1,000 snapshots costs what it costs behind none: one device read, the map in memory', async () => {
    const { pool, io } = await openWithVolume({});
    const before = await costOfReads(pool, io);
    expect(before).toEqual({ deviceReads: leafCount, hits: leafCount, misses: 0 });
    await addSnapshots(pool, io, 1000);
    expect(await costOfReads(pool, io)).toEqual(before);
  });

  test('of a map that does not fit into memory reads as many pages behind 100 snapshots as behind none', async () => {
    const { pool, io } = await openWithVolume(fewPages);
    await costOfReads(pool, io);
    const before = await costOfReads(pool, io);
    expect(before.misses).toBeGreaterThanOrEqual(leafCount - 8);
    await addSnapshots(pool, io, 100);
    await costOfReads(pool, io);
    const after = await costOfReads(pool, io);
    // A leaf, and now and then a table above it: never a page more for a snapshot.
    expect(after.misses).toBeLessThanOrEqual(1.02 * Math.max(before.misses, leafCount * 1.5));
    expect(after.deviceReads).toBe(leafCount + after.misses);
  });
});

test('pages in memory return to the budget after each checkpoint, whatever was touched', async () => {
  const { pool, io } = await openWithVolume(fewPages);
  const { budgetBytes } = pool.store.mapMemory();
  expect(budgetBytes).toBe(fewPages.mapMemoryBytes);
  await costOfReads(pool, io);
  expect(pool.store.mapMemory().residentBytes).toBeLessThanOrEqual(budgetBytes);
  for (let leaf = 0; leaf < leafCount; leaf++) await pool.write(io, leaf * leafBlocks + 9);
  await checkpoint(pool);
  expect(pool.store.mapMemory().residentBytes).toBeLessThanOrEqual(budgetBytes);
  expect(pool.store.counters().mapEvictions).toBeGreaterThan(leafCount);
});

test('a leaf that rots while the pool is open is lost data when it is read again, and only that leaf', async () => {
  const { pool, io } = await openWithVolume(fewPages);
  await costOfReads(pool, io);
  const image = pool.machine.devices[0]!.image;
  for (const block of image.writtenBlocks()) {
    const page = Uint8Array.from(image.read(block)!);
    const index = new DataView(page.buffer).getUint32(12, true);
    if (page[0] !== 0x31 || page[1] !== 0x56 || page[2] !== PageType.mapLeaf || index !== 3)
      continue;
    page[200]! ^= 1;
    image.writeDurable(block, page);
  }
  await costOfReads(pool, io).then(
    () => expect('an error').toBe('thrown'),
    (error: unknown) => expect(error).toMatchObject({ kind: 'data-loss' }),
  );
  expect(await readBlock(pool, io, 4 * leafBlocks + 4)).toBe(1 + ((4 * leafBlocks + 4) % 200));
  await expect(pool.write(io, 3 * leafBlocks)).rejects.toMatchObject({ kind: 'data-loss' });
});

test('opening reads the bitmaps of groups that are partly used only; what is freed in others comes back', async () => {
  const groupCount = 40;
  const pool = await DrivenPool.open(storeEngine, await formatImages(storeEngine, groupCount));
  const io = await pool.createVolume('v', 8192);
  const filledBlocks = 32 * 254;
  for (let lbn = 0; lbn < filledBlocks; lbn += 254) await pool.write(io, lbn, 254);
  await pool.flush(io);
  await io.close();
  const before = pool.store.space();
  await pool.machine.drive('closing', pool.store.close());
  const again = await DrivenPool.open(storeEngine, pool.machine.crash('power'));
  // Superblocks, roots, the ring, a few runs of metadata: far fewer than there are groups.
  expect(again.machine.devices[0]!.counters.reads).toBeLessThan(groupCount / 2 + 10);
  expect(again.store.space().allocatedBlocks).toBeLessThanOrEqual(before.allocatedBlocks + 16);
  const volume = again.openIo('volume', 'v');
  await again.io((done) => volume.discard(0, 8192, done));
  await again.flush(volume);
  await checkpoint(again);
  await again.machine.drive('draining', again.store.drainBackgroundWork());
  expect(again.store.space().freeBlocks).toBeGreaterThan(before.freeBlocks + filledBlocks * 0.99);
  for (let lbn = 0; lbn < filledBlocks; lbn += 254) await again.write(volume, lbn, 254);
  expect(await readBlock(again, volume, 300)).toBe(1 + (254 % 200));
});
