import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import type { PutSnapshot } from '@varve/contract/snapshot';

import { TestControl } from '../../testing/test-control.ts';

const mebibyte = 1024 * 1024;
/** What the first block of a cluster takes: 15 more are reserved beside it. */
const clusterBytes = 65_536;
let control: TestControl;

beforeEach(async () => {
  control = new TestControl();
  await control.createPool('pool-1');
  await control.createVolume('a');
});

afterEach(async () => {
  await control.end();
});

function putSnapshot(id: string, body: Partial<PutSnapshot> = {}) {
  return control.operations.putSnapshot({ id, body: { volume: 'a', labels: {}, ...body } });
}

describe('putSnapshot', () => {
  test('takes it once; a repeat finds it, whatever its labels', async () => {
    await control.write('a');
    const first = await putSnapshot('s', { labels: { app: 'db' } });
    expect(first).toMatchObject({
      isNew: true,
      object: { volume: 'a', restoreSizeBytes: 64 * mebibyte, referencedBytes: clusterBytes },
    });
    // In another cluster: in this one the snapshot would be left with its slack alone.
    await control.write('a', 16);
    expect(await putSnapshot('s', { labels: {} })).toEqual({ ...first, isNew: false });
  });

  test('finds its own work although the volume is deleted meanwhile', async () => {
    await putSnapshot('s');
    await control.operations.deleteVolume({ id: 'a' });
    expect((await putSnapshot('s')).isNew).toBe(false);
  });

  test('refuses a repeat of another volume, and an unknown volume', async () => {
    await control.createVolume('b');
    await putSnapshot('s');
    await expect(putSnapshot('s', { volume: 'b' })).rejects.toMatchObject({
      kind: 'already-exists',
      field: 'volume',
      message: 'Taking snapshot "s" of volume "b" failed: it exists and was taken of volume "a"',
    });
    await expect(putSnapshot('t', { volume: 'x' })).rejects.toMatchObject({
      kind: 'not-found',
      field: 'volume',
    });
  });

  test('records the file system state of the instant, and clones inherit it', async () => {
    const ext4 = { type: 'ext4' } as const;
    await putSnapshot('blank');
    await control.operations.putFilesystem({ id: 'a', body: { state: 'formatting', ...ext4 } });
    await putSnapshot('formatting');
    await control.operations.putFilesystem({ id: 'a', body: { state: 'ready', ...ext4 } });
    await putSnapshot('ready');
    const states = { blank: {}, formatting: ext4, ready: ext4 };
    for (const [state, type] of Object.entries(states)) {
      const expected = { state, ...type };
      expect((await control.operations.getSnapshot({ id: state })).filesystem).toEqual(expected);
      await control.createVolume(`clone-${state}`, { source: { snapshot: state } });
      const id = `clone-${state}`;
      expect(await control.operations.getFilesystem({ id })).toEqual(expected);
    }
    await control.createVolume('clone-of-volume', { source: { volume: 'a' } });
    const inherited = await control.operations.getFilesystem({ id: 'clone-of-volume' });
    expect(inherited).toEqual({ state: 'ready', ...ext4 });
    const reverted = { id: 'a', revert: 'r', snapshot: 'blank' };
    expect((await control.operations.putRevert(reverted)).filesystem).toEqual({ state: 'blank' });
  });
});

describe('references of a snapshot', () => {
  const references = async (id: string) =>
    (await control.operations.getSnapshot({ id })).references;

  test('count clones, later snapshots and exports, but not its own volume', async () => {
    await putSnapshot('s');
    expect(await references('s')).toEqual({ clones: 0, laterSnapshots: 0, exports: 0 });
    await putSnapshot('t');
    expect(await references('s')).toEqual({ clones: 0, laterSnapshots: 1, exports: 0 });
    await control.createVolume('c1', { source: { snapshot: 's' } });
    await control.createVolume('c2', { source: { snapshot: 's' } });
    const close = control.connect('snapshot', 's');
    expect(await references('s')).toEqual({ clones: 2, laterSnapshots: 1, exports: 1 });
    expect(await references('t')).toEqual({ clones: 0, laterSnapshots: 0, exports: 0 });
    await close();
    await control.operations.deleteVolume({ id: 'c1' });
    await control.operations.deleteSnapshot({ id: 't' });
    expect(await references('s')).toEqual({ clones: 1, laterSnapshots: 0, exports: 0 });
  });

  test("a clone's own snapshot stands for the clone", async () => {
    await putSnapshot('s');
    await control.createVolume('c', { source: { snapshot: 's' } });
    await putSnapshot('of-clone', { volume: 'c' });
    expect(await references('s')).toEqual({ clones: 1, laterSnapshots: 0, exports: 0 });
  });

  test('are the same in lists', async () => {
    await putSnapshot('s');
    await putSnapshot('t');
    await control.createVolume('c', { source: { snapshot: 's' } });
    const { items } = await control.operations.listSnapshots({
      limit: 10,
      after: undefined,
      labels: [],
      pool: undefined,
      volume: undefined,
      withSpace: true,
    });
    expect(items).toEqual([
      await control.operations.getSnapshot({ id: 's' }),
      await control.operations.getSnapshot({ id: 't' }),
    ]);
  });
});

describe('deleteSnapshot', () => {
  test('is idempotent and never minds clones', async () => {
    await putSnapshot('s');
    await control.createVolume('c', { source: { snapshot: 's' } });
    await control.operations.deleteSnapshot({ id: 's' });
    await control.operations.deleteSnapshot({ id: 's' });
    await expect(control.operations.getSnapshot({ id: 's' })).rejects.toMatchObject({
      kind: 'not-found',
    });
  });

  test('is refused while a connection has it open', async () => {
    await putSnapshot('s');
    const close = control.connect('snapshot', 's');
    await expect(control.operations.deleteSnapshot({ id: 's' })).rejects.toMatchObject({
      kind: 'in-use',
      blocker: '1 NBD connection',
    });
    await close();
    await control.operations.deleteSnapshot({ id: 's' });
  });

  test('is refused before the time that it is locked until', async () => {
    const until = new Date(Date.now() + 60_000);
    // The same instant, written for a zone two hours ahead.
    const lockedUntil = new Date(until.getTime() + 7_200_000).toISOString().replace('Z', '+02:00');
    const { object } = await putSnapshot('s', { lockedUntil });
    expect(object.lockedUntil).toBe(until.toISOString());
    await expect(control.operations.deleteSnapshot({ id: 's' })).rejects.toMatchObject({
      kind: 'failed-precondition',
      message: `Deleting snapshot "s" failed: it is locked until ${until.toISOString()}`,
      blocker: `lock until ${until.toISOString()}`,
    });
    control.aheadMs = 61_000;
    await control.operations.deleteSnapshot({ id: 's' });
  });
});

describe('countReclaimable', () => {
  test('says what deleting snapshots together frees, also over pools', async () => {
    await control.write('a');
    await putSnapshot('s');
    await putSnapshot('t');
    await control.write('a');
    await control.createPool('pool-2');
    await control.createVolume('b', { pool: 'pool-2' });
    await control.write('b');
    await putSnapshot('u', { volume: 'b' });
    await control.write('b');
    const count = (ids: string[]) => control.operations.countReclaimable({ ids });
    expect(await count(['s'])).toBe(0);
    expect(await count(['s', 't'])).toBe(clusterBytes);
    expect(await count(['s', 't', 't', 'u'])).toBe(2 * clusterBytes);
    await expect(count(['s', 'x'])).rejects.toMatchObject({ kind: 'not-found', field: 'ids' });
  });
});
