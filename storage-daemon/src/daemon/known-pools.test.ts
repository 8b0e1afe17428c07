/** Pools over restarts, and what happens when one cannot be opened. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import type { Event } from '@varve/contract/event';

import { TestDaemon, testPoolBytes } from '../testing/test-daemon.ts';

const mebibyte = 1024 * 1024;
let daemon: TestDaemon;
let image: string;
let stateFile: string;

beforeEach(async () => {
  daemon = await TestDaemon.start();
  image = join(daemon.folder, 'pool-1.img');
  stateFile = join(daemon.folder, 'state', 'state.json');
});

afterEach(async () => {
  await daemon.end();
});

function putPool(pool: string, path: string = image) {
  return daemon.client.putPool(pool, { devices: [{ path, sizeBytes: testPoolBytes }] });
}

/** The state file as JSON, to be changed as a crash would have left it. */
function editState(change: (pools: Record<string, { state: string }>) => void): void {
  const state = JSON.parse(readFileSync(stateFile, 'utf8')) as {
    pools: Record<string, { state: string }>;
  };
  change(state.pools);
  writeFileSync(stateFile, JSON.stringify(state));
}

describe('putPool', () => {
  test('makes the pool once', async () => {
    const first = await putPool('pool-1');
    const again = await putPool('pool-1');
    expect(again).toEqual(first);
  });

  test('refuses other devices for a pool that exists', async () => {
    await putPool('pool-1');
    await expect(putPool('pool-1', join(daemon.folder, 'other.img'))).rejects.toMatchObject({
      kind: 'already-exists',
      field: 'devices',
    });
  });

  test('refuses a device of another pool', async () => {
    await putPool('pool-1');
    await expect(putPool('pool-2')).rejects.toMatchObject({
      kind: 'in-use',
      field: 'devices.0.path',
      blocker: 'pool/pool-1',
    });
  });

  test('refuses a pool that is too small, and leaves nothing behind', async () => {
    const small = daemon.client.putPool('pool-1', {
      devices: [{ path: image, sizeBytes: 16 * mebibyte }],
    });
    await expect(small).rejects.toMatchObject({ kind: 'out-of-range' });
    expect((await daemon.client.listPools()).items).toEqual([]);
    await putPool('pool-1');
  });

  test('refuses the pool of another daemon, which holds its file', async () => {
    await putPool('pool-1');
    const other = await TestDaemon.start();
    const stolen = other.client.putPool('pool-1', { devices: [{ path: image }] });
    await expect(stolen).rejects.toMatchObject({
      kind: 'in-use',
      field: 'devices.0.path',
      message: expect.stringContaining(`held by process ${process.pid}`),
    });
    expect((await other.client.listPools()).items).toEqual([]);
    await other.end();
  });

  test('finishes a format that a crash interrupted', async () => {
    const { uuid } = await putPool('pool-1');
    await daemon.stop();
    editState((pools) => (pools['pool-1']!.state = 'formatting'));
    await daemon.restart();
    const [interrupted] = (await daemon.client.listPools()).items;
    expect(interrupted?.conditions[0]).toMatchObject({
      type: 'Open',
      status: 'False',
      reason: 'FormatInterrupted',
    });
    await daemon.client.getReadiness();
    const finished = await putPool('pool-1');
    expect(finished).toMatchObject({ uuid, conditions: [{ status: 'True' }, { status: 'True' }] });
  });
});

describe('a restart', () => {
  test('opens the pools, and keeps identity, labels and the order of devices', async () => {
    const paths = ['b.img', 'a.img'].map((name) => join(daemon.folder, name));
    const devices = paths.map((path) => ({ path, sizeBytes: testPoolBytes }));
    const before = await daemon.client.putPool('pool-1', { devices, labels: { rack: 'a' } });
    const { daemonId } = await daemon.client.getInfo();
    await daemon.restart();
    expect(await daemon.client.getPool('pool-1')).toEqual(before);
    expect(before.devices.map(({ path }) => path)).toEqual(paths);
    expect((await daemon.client.getInfo()).daemonId).toBe(daemonId);
  });

  test('of two daemons on one state folder is refused', async () => {
    const config = { stateFolder: join(daemon.folder, 'state'), listen: [] };
    await expect(TestDaemon.start({ config })).rejects.toThrow(
      new RegExp(`Opening the state folder .* failed: Lock .* held by process ${process.pid}`),
    );
    await daemon.client.getInfo();
  });

  test('does not guess at a state file that it does not understand', async () => {
    await daemon.stop();
    writeFileSync(stateFile, '{"version": 2}');
    await expect(daemon.restart()).rejects.toThrow('is not a state file of this version');
    expect(readFileSync(stateFile, 'utf8')).toBe('{"version": 2}');
  });
});

describe('a pool that cannot be opened', () => {
  beforeEach(async () => {
    await putPool('pool-1');
    await putPool('pool-2', join(daemon.folder, 'pool-2.img'));
    await daemon.client.putVolume('a', { pool: 'pool-2', sizeBytes: mebibyte });
    await daemon.stop();
    renameSync(image, `${image}.away`);
    await daemon.restart();
  });

  test('is shown with its reason, and the daemon is not ready', async () => {
    const { conditions } = await daemon.client.getPool('pool-1');
    expect(conditions).toMatchObject([
      { type: 'Open', status: 'False', reason: 'NotOpen' },
      { type: 'Writable', status: 'False' },
    ]);
    expect(conditions[0]?.message).toContain('no such file or device');
    await expect(daemon.client.getReadiness()).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('pool "pool-1"'),
    });
    await daemon.client.getHealth();
  });

  test('does not make its volumes look absent, and does not stop other pools', async () => {
    await expect(daemon.client.getVolume('x')).rejects.toMatchObject({
      kind: 'unavailable',
      blocker: 'pool/pool-1',
    });
    await expect(daemon.client.deleteVolume('x')).rejects.toMatchObject({ kind: 'unavailable' });
    await daemon.client.putVolume('b', { pool: 'pool-2', sizeBytes: mebibyte });
    await expect(
      daemon.client.putVolume('c', { pool: 'pool-1', sizeBytes: mebibyte }),
    ).rejects.toMatchObject({ kind: 'unavailable', blocker: 'pool/pool-1' });
  });

  test('says why to who asks for it again, and is opened by that once it can be', async () => {
    await expect(putPool('pool-1')).rejects.toMatchObject({ kind: 'not-found' });
    renameSync(`${image}.away`, image);
    expect((await putPool('pool-1')).conditions[0]).toMatchObject({ status: 'True' });
    await daemon.client.getReadiness();
  });

  test('is opened by the daemon itself, which tells', async () => {
    const stream = await daemon.openEvents();
    const opened = (async (): Promise<Event | undefined> => {
      for await (const event of stream) if (event.type === 'pool-opened') return event;
      return undefined;
    })();
    renameSync(`${image}.away`, image);
    expect(await opened).toMatchObject({ object: 'pool/pool-1' });
    await daemon.client.getReadiness();
  });

  test('is never formatted by a repeat, even if its file is gone', async () => {
    rmSync(`${image}.away`);
    await expect(putPool('pool-1')).rejects.toMatchObject({ kind: 'not-found' });
  });
});
