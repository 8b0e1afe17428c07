/** How things end: requests of a node, a pool that is stopped, cells that fail. */
import { expect, test } from '@jest/globals';

import { blockSizeBytes } from '../units.ts';
import {
  DrivenPool,
  createMachine,
  formatImages,
  storyGeometry,
} from '../testing/runs/driven-pool.ts';
import { storeEngine } from '../testing/store-engine.ts';

const block = () => new Uint8Array(blockSizeBytes).fill(7);

test('a node is in use until the requests of a closed I/O object have ended', async () => {
  const pool = await DrivenPool.open(storeEngine, await formatImages(storeEngine, 4));
  const { machine, store } = pool;
  const io = await pool.createVolume('a');
  const name = { kind: 'volume', name: 'a' } as const;
  const answers: unknown[] = [];
  io.write(0, block(), false, (error) => answers.push(error));
  const closed = io.close();
  await expect(machine.drive('deleting', store.deleteNode(name))).rejects.toMatchObject({
    kind: 'failed-precondition',
  });
  await machine.drive('closing', closed);
  expect(answers).toEqual([null]);
  await machine.drive('deleting', store.deleteNode(name));
  await machine.drive('draining', store.drainBackgroundWork());
  expect(store.list('volume')).toEqual([]);
});

test('a question for extents keeps its node in use too', async () => {
  const pool = await DrivenPool.open(storeEngine, await formatImages(storeEngine, 4));
  const { machine, store } = pool;
  const io = await pool.createVolume('a');
  await pool.write(io, 3);
  const extents = io.allocation(0, 8, 10);
  const closed = io.close();
  const name = { kind: 'volume', name: 'a' } as const;
  await expect(store.deleteNode(name)).rejects.toMatchObject({ kind: 'failed-precondition' });
  await expect(machine.drive('asking', extents)).resolves.toEqual([
    { lbn: 0, blockCount: 3, state: 'hole' },
    { lbn: 3, blockCount: 1, state: 'data' },
    { lbn: 4, blockCount: 4, state: 'hole' },
  ]);
  await machine.drive('closing', closed);
  await machine.drive('deleting', store.deleteNode(name));
});

test('closing a pool ends all of its cells, also if the last checkpoint of one fails', async () => {
  const geometry = { ...storyGeometry, cellCount: 2, reserveBlocks: 64 };
  const images = await formatImages(storeEngine, 8, geometry);
  let fails = false;
  const failRequest = (kind: string) => fails && kind === 'write';
  const open = { journalTimerMs: 5, checkpointIntervalMs: 50 };
  const pool = await DrivenPool.open(storeEngine, images, { open, machine: { failRequest } });
  const { machine, store } = pool;
  await pool.createVolume('a');
  await pool.createVolume('b');
  expect(new Set(store.list('volume').map(({ cell }) => cell)).size).toBe(2);
  fails = true;
  await expect(machine.drive('closing', store.close())).rejects.toMatchObject({
    kind: 'unavailable',
  });
  const writes = machine.devices[0]!.counters.writes;
  for (let step = 0; step < 500; step++) await machine.step();
  expect(machine.devices[0]!.counters.writes).toBe(writes);
});

test('a discard that waits for a page of the map ends with the cell when that fails', async () => {
  const first = await DrivenPool.open(storeEngine, await formatImages(storeEngine, 4));
  const io = await first.createVolume('a');
  await first.write(io, 0);
  await io.close();
  await first.machine.drive('closing', first.store.close());

  const images = first.machine.crash('power');
  for (let seed = 1; seed <= 20; seed++) {
    let fails = false;
    const failRequest = (kind: string) => fails && kind === 'write';
    const copies = images.map((image) => image.clone());
    const pool = await DrivenPool.open(storeEngine, copies, { machine: { failRequest, seed } });
    const { machine, store } = pool;
    fails = true;
    const change = store.setAttributes({ kind: 'volume', name: 'a' }, '{"x":1}');
    const outcome = Promise.allSettled([change]);
    const discard = pool.io((done) => pool.openIo('volume', 'a').discard(0, 1, done));
    // Applied before the cell failed, or refused; never half of it.
    await discard.catch((error: unknown) => expect(error).toMatchObject({ kind: 'unavailable' }));
    const [changed] = await machine.drive('changing', outcome);
    expect(changed).toMatchObject({ status: 'rejected', reason: { kind: 'unavailable' } });
    expect(store.readOnlyReason).toMatch(/journal/);
  }
});

test('a pool that fails to open leaves no cell behind that writes', async () => {
  const geometry = { ...storyGeometry, cellCount: 2, reserveBlocks: 64 };
  const first = await DrivenPool.open(storeEngine, await formatImages(storeEngine, 8, geometry));
  await first.createVolume('a');
  await first.createVolume('b');
  const images = first.machine.crash('kill');
  // The second write while opening is the fence of the second cell.
  let writes = 0;
  const failRequest = (kind: string) => kind === 'write' && ++writes === 2;
  const machine = createMachine(images, { failRequest });
  const opening = machine.open(storeEngine, { checkpointIntervalMs: 50 });
  await expect(machine.drive('opening', opening)).rejects.toMatchObject({ kind: 'unavailable' });
  for (let step = 0; step < 200; step++) await machine.step();
  expect(writes).toBe(2);
});

test('a destroyed pool writes nothing more, whatever was due', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const images = await formatImages(storeEngine, 4);
    const open = { checkpointRecords: 3 };
    const pool = await DrivenPool.open(storeEngine, images, { open, machine: { seed } });
    const { machine, store } = pool;
    const io = await pool.createVolume('a');
    for (let lbn = 0; lbn < 16; lbn++) io.write(2 * lbn, block(), false, () => {});
    for (let step = 0; step < 6; step++) await machine.step();
    store.destroy();
    const { counters } = machine.devices[0]!;
    const { writes, flushes } = counters;
    while (await machine.step());
    expect(counters).toMatchObject({ writes, flushes });
  }
});

test('a closed pool has no write under way', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const images = await formatImages(storeEngine, 6);
    const open = { journalTimerMs: 0.1, checkpointRecords: 5 };
    let underWay = 0;
    const observe = ({ moment, kind }: { moment: string; kind: string }) => {
      if (kind !== 'read') underWay += moment === 'submitted' ? 1 : -1;
    };
    const pool = await DrivenPool.open(storeEngine, images, { open, machine: { seed, observe } });
    const { machine, store } = pool;
    const io = await pool.createVolume('a', 600);
    await pool.write(io, 0, 600);
    await io.close();
    // Its blocks are freed step by step while the pool closes.
    await machine.drive('deleting', store.deleteNode({ kind: 'volume', name: 'a' }));
    await machine.drive('closing', store.close());
    expect(underWay).toBe(0);
    const findings = storeEngine.checkPool(machine.devices);
    // The checker tells of journal blocks behind the last root: there are none to replay.
    await expect(machine.drive('checking', findings)).resolves.toEqual([]);
  }
});

test.each([true, false])(
  'what was answered without a flush survives the death of the process where users rely on it (cache %p)',
  async (hasVolatileCache) => {
    const machineOptions = { machine: { hasVolatileCache } };
    const images = await formatImages(storeEngine, 4);
    const pool = await DrivenPool.open(storeEngine, images, machineOptions);
    const io = await pool.createVolume('a');
    io.keepsAnswers = true;
    await pool.write(io, 0, 20);
    await pool.io((done) => io.writeZeroes(0, 4, false, done));
    await pool.write(io, 10);
    await pool.snapshot('a', 'before');
    await pool.write(io, 12);

    const survivors = pool.machine.crash('kill');
    const again = await DrivenPool.open(storeEngine, survivors, machineOptions);
    const reader = again.openIo('volume', 'a');
    const bytes = new Uint8Array(20 * blockSizeBytes);
    await again.io((done) => reader.read(0, bytes, done));
    const values = Array.from({ length: 20 }, (_, lbn) => bytes[lbn * blockSizeBytes]);
    expect(values).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 11, 1, 13, 1, 1, 1, 1, 1, 1, 1]);
  },
);

test('so does an overwrite in place of blocks whose own record is not in the journal yet', async () => {
  const pool = await DrivenPool.open(storeEngine, await formatImages(storeEngine, 4));
  const first = await pool.createVolume('a');
  await pool.write(first, 5);
  const second = pool.openIo('volume', 'a');
  second.keepsAnswers = true;
  const block = new Uint8Array(blockSizeBytes).fill(0x77);
  await pool.io((done) => second.write(5, block, false, done));

  const again = await DrivenPool.open(storeEngine, pool.machine.crash('kill'));
  const reader = again.openIo('volume', 'a');
  const bytes = new Uint8Array(blockSizeBytes);
  await again.io((done) => reader.read(5, bytes, done));
  expect(bytes[0]).toBe(0x77);
});
