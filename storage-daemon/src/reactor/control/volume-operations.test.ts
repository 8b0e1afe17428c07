import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import type { PutVolume } from '@varve/contract/volume';

import { TestControl } from '../../testing/test-control.ts';

const mebibyte = 1024 * 1024;
/** What the first block of a cluster takes: 15 more are reserved beside it. */
const clusterBytes = 65_536;
let control: TestControl;

beforeEach(async () => {
  control = new TestControl();
  await control.createPool('pool-1');
});

afterEach(async () => {
  await control.end();
});

async function snapshot(id: string, volume = 'a'): Promise<void> {
  await control.operations.putSnapshot({ id, body: { volume, labels: {} } });
}

function putVolume(id: string, body: Partial<PutVolume> = {}) {
  const defaults = { pool: 'pool-1', sizeBytes: 64 * mebibyte, labels: {}, limits: {} };
  return control.operations.putVolume({ id, body: { ...defaults, ...body } });
}

describe('putVolume', () => {
  test('makes the volume once; a repeat finds it as it is now', async () => {
    const first = await putVolume('a', { labels: { app: 'db' } });
    expect(first.isNew).toBe(true);
    await control.operations.patchVolume({ id: 'a', body: { sizeBytes: 65 * mebibyte } });
    const again = await putVolume('a', { labels: { app: 'other' }, limits: { readIops: 5 } });
    expect(again.isNew).toBe(false);
    expect(again.object).toEqual({ ...first.object, sizeBytes: 65 * mebibyte });
    expect(control.events.filter(({ type }) => type === 'volume-created')).toHaveLength(1);
  });

  test.each<[string, Partial<PutVolume>, string, string]>([
    ['pool', { pool: 'pool-2' }, 'pool', 'with pool "pool-1", not "pool-2"'],
    ['size', { sizeBytes: 65 * mebibyte }, 'sizeBytes', 'with sizeBytes 67108864, not 68157440'],
    ['source added', { source: { snapshot: 's' } }, 'source.snapshot', 'absent, not "s"'],
    ['source of another kind', { source: { volume: 'v' } }, 'source.volume', 'absent, not "v"'],
  ])('refuses a repeat with another %s and names the field', async (_, body, field, sentence) => {
    await control.createPool('pool-2');
    await putVolume('a');
    await expect(putVolume('a', body)).rejects.toMatchObject({
      kind: 'already-exists',
      field,
      message: expect.stringContaining(`Creating volume "a" failed: it exists and was created`),
    });
    await expect(putVolume('a', body)).rejects.toThrow(sentence);
  });

  test('compares the size as it was first given, not as it was rounded or grown', async () => {
    const { object } = await putVolume('a', { sizeBytes: 64 * mebibyte - 5 });
    expect(object.sizeBytes).toBe(64 * mebibyte);
    expect((await putVolume('a', { sizeBytes: 64 * mebibyte - 5 })).isNew).toBe(false);
    await expect(putVolume('a')).rejects.toMatchObject({ field: 'sizeBytes' });
  });

  test('finds its own work although its source is deleted meanwhile', async () => {
    await putVolume('a');
    await snapshot('s');
    const source = { snapshot: 's' };
    await putVolume('b', { source });
    await control.operations.deleteSnapshot({ id: 's' });
    const again = await putVolume('b', { source });
    expect(again.isNew).toBe(false);
    expect(again.object.source).toEqual(source);
    expect(again.object.parentSnapshot).toBeUndefined();
  });

  test.each<[string, Partial<PutVolume>, object]>([
    ['an unknown pool', { pool: 'pool-9' }, { kind: 'not-found', field: 'pool' }],
    [
      'an unknown snapshot',
      { source: { snapshot: 'x' } },
      { kind: 'not-found', field: 'source.snapshot' },
    ],
    [
      'an unknown volume',
      { source: { volume: 'x' } },
      { kind: 'not-found', field: 'source.volume' },
    ],
    [
      'a source in another pool',
      { pool: 'pool-2', source: { snapshot: 's' } },
      { kind: 'invalid-argument', field: 'pool' },
    ],
    [
      'a smaller size than the snapshot',
      { source: { snapshot: 's' }, sizeBytes: 63 * mebibyte },
      { kind: 'out-of-range', field: 'sizeBytes' },
    ],
    [
      'a smaller size than the volume',
      { source: { volume: 'a' }, sizeBytes: 63 * mebibyte },
      { kind: 'out-of-range', field: 'sizeBytes' },
    ],
    [
      'a size over the largest',
      { sizeBytes: 16 * 1024 ** 4 - mebibyte + 1 },
      { kind: 'out-of-range', field: 'sizeBytes' },
    ],
    [
      'labels that do not fit',
      {
        labels: Object.fromEntries(
          Array.from({ length: 32 }, (_, at) => [`k${at}`, 'x'.repeat(90)]),
        ),
      },
      { kind: 'invalid-argument', field: 'labels' },
    ],
  ])('refuses %s, and nothing is made', async (_, body, problem) => {
    await control.createPool('pool-2');
    await putVolume('a');
    await snapshot('s');
    await expect(putVolume('b', body)).rejects.toMatchObject(problem);
    await expect(control.operations.getVolume({ id: 'b' })).rejects.toMatchObject({
      kind: 'not-found',
    });
  });

  test('takes the largest volume', async () => {
    const { object } = await putVolume('a', { sizeBytes: 16 * 1024 ** 4 - mebibyte });
    expect(object.sizeBytes).toBe(16 * 1024 ** 4 - mebibyte);
  });

  test('gives a clone its own uuid, a larger size if asked, and the source of its data', async () => {
    const a = await putVolume('a');
    await control.write('a');
    await snapshot('s');
    const b = await putVolume('b', { source: { snapshot: 's' }, sizeBytes: 128 * mebibyte });
    expect(b.object).toMatchObject({
      sizeBytes: 128 * mebibyte,
      source: { snapshot: 's' },
      parentSnapshot: 's',
      referencedBytes: clusterBytes,
      slackBytes: clusterBytes - 4096,
      uniqueBytes: 0,
    });
    const c = await putVolume('c', { source: { volume: 'b' }, sizeBytes: 128 * mebibyte });
    expect(c.object).toMatchObject({ source: { volume: 'b' }, referencedBytes: clusterBytes });
    const { uuid, slackBytes } = await control.operations.getSnapshot({ id: 's' });
    expect(slackBytes).toBe(clusterBytes - 4096);
    const [pool] = await control.operations.listPools(undefined);
    // Shared blocks count once; slack of the pool is the sum of that of its three volumes.
    expect(pool).toMatchObject({ referencedBytes: clusterBytes, pendingFreeBytes: 0 });
    expect(pool!.slackBytes).toBe(3 * (clusterBytes - 4096));
    const { referencedBytes, metadataBytes, pendingFreeBytes, allocatedBytes } = pool!;
    expect(referencedBytes + metadataBytes + pendingFreeBytes).toBe(allocatedBytes);
    expect(allocatedBytes + pool!.freeBytes).toBe(pool!.sizeBytes);
    const uuids = [a.object.uuid, b.object.uuid, c.object.uuid, uuid];
    expect(new Set(uuids).size).toBe(4);
  });
});

describe('patchVolume', () => {
  test('states absolute values: labels and limits are replaced as a whole, the rest stays', async () => {
    await putVolume('a', { labels: { app: 'db', tier: '1' }, limits: { readIops: 5 } });
    const patch = () =>
      control.operations.patchVolume({
        id: 'a',
        body: { sizeBytes: 100 * mebibyte, labels: { app: 'web' }, limits: { writeIops: 7 } },
      });
    const expected = {
      sizeBytes: 100 * mebibyte,
      labels: { app: 'web' },
      limits: { writeIops: 7 },
    };
    expect(await patch()).toMatchObject(expected);
    const changed = control.events.length;
    expect(await patch()).toMatchObject(expected);
    expect(control.events).toHaveLength(changed);
    const unlimited = await control.operations.patchVolume({ id: 'a', body: { limits: {} } });
    expect(unlimited).toMatchObject({ ...expected, limits: {} });
  });

  test('refuses to shrink, and changes nothing then', async () => {
    await putVolume('a', { labels: { app: 'db' } });
    const shrink = control.operations.patchVolume({
      id: 'a',
      body: { sizeBytes: 63 * mebibyte, labels: {} },
    });
    await expect(shrink).rejects.toMatchObject({ kind: 'out-of-range', field: 'sizeBytes' });
    expect((await control.operations.getVolume({ id: 'a' })).labels).toEqual({ app: 'db' });
  });

  test('refuses an unknown volume', async () => {
    const patch = control.operations.patchVolume({ id: 'x', body: {} });
    await expect(patch).rejects.toMatchObject({ kind: 'not-found' });
  });
});

describe('deleteVolume', () => {
  test('is idempotent', async () => {
    await putVolume('a');
    await control.operations.deleteVolume({ id: 'a' });
    await control.operations.deleteVolume({ id: 'a' });
    await expect(control.operations.getVolume({ id: 'a' })).rejects.toMatchObject({
      kind: 'not-found',
      message: 'Reading volume "a" failed: there is no volume "a"',
    });
  });

  test('is refused while a connection has it open, and says so', async () => {
    await putVolume('a');
    const [close, closeOther] = [control.connect('volume', 'a'), control.connect('volume', 'a')];
    expect((await control.operations.getVolume({ id: 'a' })).connections).toBe(2);
    const problem = { kind: 'in-use', blocker: '2 NBD connections' };
    await expect(control.operations.deleteVolume({ id: 'a' })).rejects.toMatchObject(problem);
    await close();
    await closeOther();
    await control.operations.deleteVolume({ id: 'a' });
  });

  test('never minds snapshots and clones', async () => {
    await putVolume('a');
    await snapshot('s');
    await putVolume('b', { source: { snapshot: 's' } });
    await control.operations.deleteVolume({ id: 'a' });
    expect(await control.operations.getSnapshot({ id: 's' })).toMatchObject({ volume: 'a' });
  });
});

describe('putRevert', () => {
  const revert = (id: string, to = 's') =>
    control.operations.putRevert({ id: 'a', revert: id, snapshot: to });

  beforeEach(async () => {
    await putVolume('a');
    await snapshot('s');
  });

  test('puts the content back, keeps size, uuid and labels', async () => {
    const before = await control.operations.getVolume({ id: 'a' });
    await control.operations.patchVolume({
      id: 'a',
      body: { sizeBytes: 80 * mebibyte, labels: { app: 'db' } },
    });
    await control.write('a');
    expect((await control.operations.getVolume({ id: 'a' })).referencedBytes).toBe(clusterBytes);
    expect(await revert('r1')).toMatchObject({
      uuid: before.uuid,
      sizeBytes: 80 * mebibyte,
      labels: { app: 'db' },
      referencedBytes: 0,
      reverts: ['r1'],
    });
  });

  test('a repeat among the last 8 does nothing, also when the snapshot is gone', async () => {
    for (let count = 1; count <= 9; count++) await revert(`r${count}`);
    const { reverts } = await control.operations.getVolume({ id: 'a' });
    expect(reverts).toEqual(['r2', 'r3', 'r4', 'r5', 'r6', 'r7', 'r8', 'r9']);
    await control.write('a');
    await control.operations.deleteSnapshot({ id: 's' });
    expect(await revert('r2')).toMatchObject({ referencedBytes: clusterBytes, reverts });
    await expect(revert('r1')).rejects.toMatchObject({ kind: 'not-found', field: 'snapshot' });
  });

  test('a repeat that names another snapshot is refused', async () => {
    await snapshot('t');
    await revert('r1');
    await expect(revert('r1', 't')).rejects.toMatchObject({
      kind: 'already-exists',
      field: 'snapshot',
    });
  });

  test('is refused while the volume is open, but a repeat is answered', async () => {
    await revert('r1');
    const close = control.connect('volume', 'a');
    await expect(revert('r2')).rejects.toMatchObject({
      kind: 'in-use',
      blocker: '1 NBD connection',
    });
    expect(await revert('r1')).toMatchObject({ reverts: ['r1'] });
    await close();
    await revert('r2');
  });

  test('is refused for a snapshot of another line, of another pool, and an unknown one', async () => {
    await putVolume('b');
    await snapshot('t', 'b');
    await expect(revert('r1', 't')).rejects.toMatchObject({ kind: 'failed-precondition' });
    await control.createPool('pool-2');
    await putVolume('c', { pool: 'pool-2' });
    await snapshot('u', 'c');
    await expect(revert('r1', 'u')).rejects.toMatchObject({ kind: 'failed-precondition' });
    await expect(revert('r1', 'x')).rejects.toMatchObject({ kind: 'not-found', field: 'snapshot' });
  });
});

describe('limits', () => {
  const isAnswered = (write: Promise<unknown>): Promise<boolean> =>
    Promise.race([write.then(() => true), new Promise(setImmediate).then(() => false)]);

  function open(): { readonly write: () => Promise<unknown>; readonly close: () => Promise<void> } {
    const handle = control.volumes.open(
      { kind: 'volume', name: 'a' },
      { evicted: () => undefined },
    );
    const write = (): Promise<unknown> =>
      new Promise((resolve) => handle.volume.write(0, new Uint8Array(4096), false, resolve));
    return { write, close: () => handle.close() };
  }

  test('count when a volume is opened, and change while it is open', async () => {
    await putVolume('a', { limits: { writeIops: 1 } });
    const { write, close } = open();
    expect(await write()).toBeNull();
    const held = write();
    expect(await isAnswered(held)).toBe(false);
    await control.operations.patchVolume({ id: 'a', body: { labels: { app: 'db' } } });
    expect(await isAnswered(held)).toBe(false);
    await control.operations.patchVolume({ id: 'a', body: { limits: {} } });
    expect(await held).toBeNull();
    const body = { limits: { writeBytesPerSecond: 1 } };
    expect(await control.operations.patchVolume({ id: 'a', body })).toMatchObject(body);
    await write();
    const heldAgain = write();
    expect(await isAnswered(heldAgain)).toBe(false);
    await close();
    expect(await heldAgain).toBeNull();
    const { throttle } = await control.operations.readCounters(undefined);
    expect(throttle.count).toBe(2);
  });

  test('do not delay the end of the daemon', async () => {
    await putVolume('a', { limits: { writeIops: 1 } });
    const { write } = open();
    const writes = [write(), write(), write()];
    await control.operations.shutdown(undefined);
    expect(await Promise.all(writes)).toEqual([null, null, null]);
  });
});
