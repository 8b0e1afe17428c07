import { describe, expect, test } from '@jest/globals';

import { MemoryStore } from '../testing/memory-store.ts';
import { VolumeTable, type VolumeUser } from './volume-table.ts';

const volume = { kind: 'volume', name: 'v' } as const;
const snapshot = { kind: 'snapshot', name: 's' } as const;

async function newTable() {
  const store = new MemoryStore({ poolName: 'memory', sizeBlocks: 100 });
  const uuid = new Uint8Array(16);
  await store.createVolume({ name: 'v', uuid, sizeBlocks: 4, attributes: '{}' });
  await store.createSnapshot({ name: 's', uuid, volume: 'v', attributes: '{}' });
  const table = new VolumeTable({
    clockMs: () => 0,
    nodes: {
      find: (node) => {
        const found = store.find(node);
        return found && { sizeBlocks: found.sizeBlocks, openIo: () => store.openIo(node) };
      },
      list: () => [...store.list('volume'), ...store.list('snapshot')],
    },
  });
  return { store, table };
}

function newUser() {
  const reasons: string[] = [];
  const user: VolumeUser = { evicted: (reason) => reasons.push(reason) };
  return { user, reasons };
}

const deletion = { reason: 'it is being deleted', evictUsers: false };

describe('VolumeTable', () => {
  test('users of a node share one volume, which closes with the last of them', async () => {
    const { store, table } = await newTable();
    const first = table.open(volume, newUser().user);
    const second = table.open(volume, newUser().user);
    expect(second.volume).toBe(first.volume);
    expect(table.openCount(volume)).toBe(2);
    await first.close();
    await first.close();
    expect(table.openCount(volume)).toBe(1);
    await expect(store.deleteNode(volume)).rejects.toMatchObject({ kind: 'failed-precondition' });
    await second.close();
    expect(table.openCount(volume)).toBe(0);
    await store.deleteNode(volume);
  });

  test('describes a node without opening it', async () => {
    const { table } = await newTable();
    expect(table.describe(volume)).toEqual({ sizeBytes: 16384, isReadOnly: false });
    expect(table.describe(snapshot)).toEqual({ sizeBytes: 16384, isReadOnly: true });
    expect(table.describe({ kind: 'volume', name: 's' })).toBeUndefined();
    expect(() => table.open({ kind: 'volume', name: 's' }, newUser().user)).toThrow(
      'Open volume/s: there is none',
    );
    expect([...table.list()].map(({ name }) => name)).toEqual(['v', 's']);
  });

  test('a reservation is refused while there are users, and refuses users while it lasts', async () => {
    const { table } = await newTable();
    const handle = table.open(volume, newUser().user);
    await expect(table.reserve(volume, deletion)).rejects.toMatchObject({
      kind: 'in-use',
      message: 'Reserve volume/v: open by 1 connections',
    });
    await handle.close();
    const reservation = await table.reserve(volume, deletion);
    expect(() => table.open(volume, newUser().user)).toThrow('Open volume/v: it is being deleted');
    await expect(table.reserve(volume, deletion)).rejects.toMatchObject({ kind: 'reserved' });
    reservation.release();
    await table.open(volume, newUser().user).close();
  });

  test('eviction answers what is under way, tells the users, and gives the node to the caller', async () => {
    const { store, table } = await newTable();
    const { user, reasons } = newUser();
    const handle = table.open(volume, user);
    const answers: (string | null)[] = [];
    handle.volume.write(0, new Uint8Array(4096), false, (error) =>
      answers.push(error && error.kind),
    );
    const reservation = await table.reserve(volume, { reason: 'gone', evictUsers: true });
    expect(answers).toEqual([null]);
    expect(reasons).toEqual(['gone']);
    await store.deleteNode(volume);
    reservation.release();
    handle.volume.flush((error) => answers.push(error && error.kind));
    await new Promise(setImmediate);
    expect(answers).toEqual([null, 'closed']);
    await handle.close();
  });

  test('an eviction waits for a close that is under way', async () => {
    const { store, table } = await newTable();
    const handle = table.open(volume, newUser().user);
    handle.volume.flush(() => {});
    const closed = handle.close();
    await table.reserve(volume, deletion);
    await store.revert('v', 's', '{}');
    await closed;
  });

  test('counters survive the closing of a node', async () => {
    const { table } = await newTable();
    const handle = table.open(volume, newUser().user);
    await new Promise((resolve) => {
      handle.volume.flush(resolve);
    });
    expect(table.statistics('volume').read().flush.count).toBe(1);
    await handle.close();
    expect(table.statistics('volume').read().flush.count).toBe(1);
    expect(table.statistics('snapshot').read().flush.count).toBe(0);
  });

  test('after closeAll nothing can be opened', async () => {
    const { store, table } = await newTable();
    const users = [newUser(), newUser()];
    table.open(volume, users[0]!.user);
    table.open(snapshot, users[1]!.user);
    await table.closeAll('the daemon stops');
    expect(users.map(({ reasons }) => reasons)).toEqual([
      ['the daemon stops'],
      ['the daemon stops'],
    ]);
    expect(() => table.open(volume, newUser().user)).toThrow(/the daemon stops/);
    await store.deleteNode(volume);
    await table.closeAll('again');
  });
});
