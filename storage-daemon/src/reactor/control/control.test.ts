import { ProblemError } from '@varve/contract/problem';
import { afterEach, describe, expect, test } from '@jest/globals';

import { TestControl } from '../../testing/test-control.ts';
import { openIoRing } from '../../uring/io-ring.ts';
import { chooseIoEngine } from '../io-engine.ts';
import { blockStoreEngine, createBlockStoreEngine } from '../pools/block-store-engine.ts';

let control: TestControl;

afterEach(async () => {
  await control.end();
});

const start = { mapMemoryBytes: undefined, deallocateBytesPerSecond: 0, nbd: [] };

describe('start', () => {
  test('tells how the reactor does its I/O', async () => {
    control = new TestControl();
    expect(await control.operations.start(start)).toMatchObject({ ioEngine: 'fs' });
  });

  test('fails if the engine that was asked for cannot be had', async () => {
    const ioEngineRefusal = new ProblemError('failed-precondition', 'no io_uring here');
    control = new TestControl({ ...blockStoreEngine, ioEngineRefusal });
    await expect(control.operations.start(start)).rejects.toMatchObject({
      kind: 'failed-precondition',
      message: 'no io_uring here',
    });
  });
});

describe('readCounters', () => {
  test('counts the processor time of this thread', async () => {
    control = new TestControl();
    const before = (await control.operations.readCounters(undefined)).cpuSeconds;
    // Some work that the compiler cannot leave out.
    let sum = 0;
    for (let index = 0; index < 1e7; index++) sum += Math.sqrt(index + sum);
    const after = (await control.operations.readCounters(undefined)).cpuSeconds;
    expect(sum).toBeGreaterThan(0);
    expect(after.user + after.system).toBeGreaterThan(before.user + before.system);
  });
});

describe('shutdown', () => {
  test('gives the ring back after the pools, whose last writes go through it', async () => {
    const ioRing = openIoRing();
    const engine = chooseIoEngine('auto', () => ioRing);
    control = new TestControl(createBlockStoreEngine(engine, () => undefined));
    await control.createPool('pool-1');
    await control.createVolume('a');
    await control.write('a');
    await control.operations.shutdown(undefined);
    expect(ioRing.ring.inFlightCount).toBe(0);
    expect(() => ioRing.ring.prepare(0, -1, 0, 0)).toThrow('the ring is closed');
  });
});
