/** A pool that is known but closed must not make its objects look absent. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { TestControl } from '../../testing/test-control.ts';

let control: TestControl;

beforeEach(async () => {
  control = new TestControl();
  await control.createPool('pool-1');
  await control.createVolume('a');
});

afterEach(async () => {
  await control.end();
});

const lost = { pool: 'lost', poolUuid: '1b671a64-40d5-491e-99b0-da01ff1f3341' };

function openLost(): Promise<unknown> {
  const devices = [join(control.folder, 'lost.img')];
  return control.operations.openPool({ ...lost, devices });
}

const listAll = {
  limit: 10,
  after: undefined,
  labels: [],
  pool: undefined,
  volume: undefined,
  withSpace: false,
} as const;

describe('while a known pool is closed', () => {
  beforeEach(async () => {
    await expect(openLost()).rejects.toMatchObject({ kind: 'not-found' });
  });

  test.each<[string, () => Promise<unknown>]>([
    ['reading a volume', () => control.operations.getVolume({ id: 'x' })],
    ['reading a snapshot', () => control.operations.getSnapshot({ id: 'x' })],
    ['deleting a volume', () => control.operations.deleteVolume({ id: 'x' })],
    ['deleting a snapshot', () => control.operations.deleteSnapshot({ id: 'x' })],
    [
      'a snapshot of a volume',
      () => control.operations.putSnapshot({ id: 's', body: { volume: 'x', labels: {} } }),
    ],
    ['a restore', () => control.createVolume('b', { source: { snapshot: 'x' } })],
    ['a volume in it', () => control.createVolume('b', { pool: 'lost' })],
    ['a list', () => control.operations.listVolumes(listAll)],
    ['a list of it', () => control.operations.listVolumes({ ...listAll, pool: 'lost' })],
  ])('%s that finds nothing is unavailable, not absent', async (_, call) => {
    await expect(call()).rejects.toMatchObject({
      kind: 'unavailable',
      blocker: 'pool/lost',
      message: expect.stringContaining('pool "lost" is not open, so what it holds is not known'),
    });
  });

  test('what other pools hold is served', async () => {
    await control.operations.getVolume({ id: 'a' });
    await control.createVolume('b');
    await control.operations.putSnapshot({ id: 's', body: { volume: 'a', labels: {} } });
    const { items } = await control.operations.listVolumes({ ...listAll, pool: 'pool-1' });
    expect(items.map(({ id }) => id)).toEqual(['a', 'b']);
    await control.operations.deleteVolume({ id: 'a' });
  });

  test('an absent object is absent again once the pool is open', async () => {
    const path = join(control.folder, 'lost.img');
    const devices = [{ path, sizeBytes: 256 * 1024 * 1024 }];
    await control.operations.preparePool({ ...lost, devices });
    await control.operations.formatPool(lost);
    await openLost();
    await control.operations.deleteVolume({ id: 'x' });
    await expect(control.operations.getVolume({ id: 'x' })).rejects.toMatchObject({
      kind: 'not-found',
    });
  });
});

describe('openPool', () => {
  test('opens an open pool by answering what it is', async () => {
    const [pool] = await control.operations.listPools(undefined);
    const again = await control.operations.openPool({
      pool: 'pool-1',
      poolUuid: pool!.uuid,
      devices: [],
    });
    expect(again).toEqual(pool);
  });

  test('refuses devices that hold another pool', async () => {
    const other = new TestControl();
    await other.createPool('other');
    await other.operations.shutdown(undefined);
    const devices = [join(other.folder, 'other.img')];
    await expect(control.operations.openPool({ ...lost, devices })).rejects.toMatchObject({
      kind: 'failed-precondition',
      message: expect.stringContaining('holds pool "other" with uuid'),
    });
    rmSync(other.folder, { recursive: true });
  });

  test('refuses a pool that holds an id which another pool holds, until one of them is gone', async () => {
    const other = new TestControl();
    await other.createPool('pool-2');
    await other.createVolume('b', { pool: 'pool-2' });
    await other.createVolume('a', { pool: 'pool-2' });
    const [{ uuid: poolUuid } = { uuid: '' }] = await other.operations.listPools(undefined);
    await other.operations.shutdown(undefined);
    const devices = [join(other.folder, 'pool-2.img')];
    const open = () => control.operations.openPool({ pool: 'pool-2', poolUuid, devices });
    await expect(open()).rejects.toMatchObject({
      kind: 'failed-precondition',
      blocker: 'volume/a',
    });
    expect(await control.operations.listPools(undefined)).toHaveLength(1);
    await control.operations.deleteVolume({ id: 'a' });
    await open();
    expect((await control.operations.getVolume({ id: 'a' })).pool).toBe('pool-2');
    await control.operations.shutdown(undefined);
    rmSync(other.folder, { recursive: true });
  });
});
