import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import type { PutHost } from '@varve/contract/host';

import { DhchapGroup, DhchapHash } from '../../nvmf/auth/dhchap-parameters.ts';
import { TestControl } from '../../testing/test-control.ts';
import { HostGrants } from '../host-grants.ts';

const hostA = 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-00000000000a';
const hostB = 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-00000000000b';
const plainKey = 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:';
const hashedKey = 'DHHC-1:03:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:';

let control: TestControl;
let grants: HostGrants;

beforeEach(async () => {
  control = new TestControl();
  await control.createPool('pool-1');
  await control.createVolume('a');
  grants = new HostGrants(control.pools);
});

afterEach(async () => {
  await control.end();
});

function putHost(hostNqn: string, body: PutHost = {}) {
  return control.operations.putHost({ id: 'a', hostNqn, body });
}

function deleteHost(hostNqn: string) {
  return control.operations.deleteHost({ id: 'a', hostNqn });
}

describe('putHost', () => {
  test('grants access once; a repeat finds it', async () => {
    const first = await putHost(hostA);
    const again = await putHost(hostA);
    expect([first.isNew, again.isNew]).toEqual([true, false]);
    expect(again.object).toEqual(first.object);
    expect(grants.grantOf('a', hostA)).toEqual({});
    expect(control.events.filter(({ message }) => message.includes(hostA))).toHaveLength(1);
    expect((await control.operations.getVolume({ id: 'a' })).hosts).toEqual([hostA]);
  });

  test('keeps keys for connections, and shows only that they are there', async () => {
    const { object } = await putHost(hostA, { hostKey: plainKey, controllerKey: hashedKey });
    expect(object).toMatchObject({
      hostKey: { transformation: 'none' },
      controllerKey: { transformation: 'SHA-512' },
    });
    expect(grants.grantOf('a', hostA)).toEqual({ secret: plainKey, controllerSecret: hashedKey });
    const views = [
      object,
      await control.operations.getHost({ id: 'a', hostNqn: hostA }),
      await control.operations.listHosts({ id: 'a' }),
      await control.operations.getVolume({ id: 'a' }),
      control.events,
    ];
    expect(JSON.stringify(views)).not.toContain('ia6z');
  });

  test('demands a hash function and a group, where that is said', async () => {
    const choices = { hash: 'SHA-384', dhGroup: 'ffdhe4096' } as const;
    const { object } = await putHost(hostA, { hostKey: plainKey, ...choices });
    expect(object).toMatchObject(choices);
    expect(grants.grantOf('a', hostA)).toEqual({
      secret: plainKey,
      hash: DhchapHash.SHA_384,
      group: DhchapGroup.FFDHE_4096,
    });
  });

  test('replaces all keys: what is not given is gone', async () => {
    await putHost(hostA, { hostKey: plainKey, controllerKey: hashedKey });
    await putHost(hostA, { hostKey: hashedKey });
    expect(grants.grantOf('a', hostA)).toEqual({ secret: hashedKey });
    await putHost(hostA);
    expect(grants.grantOf('a', hostA)).toEqual({});
  });

  test('is refused while another host has access, who keeps it', async () => {
    await putHost(hostA);
    await expect(putHost(hostB)).rejects.toMatchObject({
      kind: 'in-use',
      blocker: `host/${hostA}`,
      message: expect.stringContaining('one writer'),
    });
    expect([grants.grantOf('a', hostA), grants.grantOf('a', hostB)]).toEqual([{}, undefined]);
  });

  test('is refused while the volume is open over NBD; later connections may only read', async () => {
    const node = { kind: 'volume', name: 'a' } as const;
    expect(control.volumes.describe(node)?.isReadOnly).toBe(false);
    const close = control.connect('volume', 'a');
    await expect(putHost(hostA)).rejects.toMatchObject({
      kind: 'in-use',
      blocker: '1 NBD connection',
    });
    await close();
    await putHost(hostA);
    expect(control.volumes.describe(node)?.isReadOnly).toBe(true);
    const closeReader = control.connect('volume', 'a');
    // The holder goes on: new keys are no new grant.
    await putHost(hostA, { hostKey: plainKey });
    await deleteHost(hostA);
    await closeReader();
    expect(control.volumes.describe(node)?.isReadOnly).toBe(false);
  });

  test.each(['hostKey', 'controllerKey'] as const)(
    'refuses a mistyped %s without quoting it',
    async (field) => {
      const mistyped = plainKey.replace('ia6z', 'ja6z');
      const failure = putHost(hostA, { hostKey: plainKey, [field]: mistyped });
      await expect(failure).rejects.toMatchObject({
        kind: 'invalid-argument',
        field,
        message: expect.stringContaining(`${field} has a wrong checksum`),
      });
      await expect(failure).rejects.not.toThrow('ja6z');
      expect(grants.grantOf('a', hostA)).toBeUndefined();
    },
  );

  test('names the grant if the volume has no room for it, and leaves the volume as it was', async () => {
    const labels = Object.fromEntries(
      Array.from({ length: 10 }, (_, index) => [`label-${index}`, 'x'.repeat(250)]),
    );
    await control.operations.patchVolume({ id: 'a', body: { labels } });
    const longNqn = `nqn.2014-08.com.example:${'h'.repeat(199)}`;
    await expect(
      putHost(longNqn, { hostKey: plainKey, controllerKey: plainKey }),
    ).rejects.toMatchObject({
      kind: 'invalid-argument',
      field: 'hostNqn',
      message: expect.stringMatching(
        /the grant takes 3\d\d bytes as JSON; .* at most \d+ are allowed/,
      ),
    });
    expect(grants.grantOf('a', longNqn)).toBeUndefined();
  });

  test('of an unknown volume is not found', async () => {
    await expect(
      control.operations.putHost({ id: 'none', hostNqn: hostA, body: {} }),
    ).rejects.toMatchObject({ kind: 'not-found' });
  });
});

describe('deleteHost', () => {
  test('revokes; a repeat and a stranger are fine, and the next host may come', async () => {
    await putHost(hostA, { hostKey: plainKey });
    await deleteHost(hostB);
    expect(grants.grantOf('a', hostA)).toEqual({ secret: plainKey });
    await deleteHost(hostA);
    await deleteHost(hostA);
    expect(grants.grantOf('a', hostA)).toBeUndefined();
    await putHost(hostB);
    expect(grants.grantOf('a', hostB)).toEqual({});
    await control.operations.deleteHost({ id: 'none', hostNqn: hostA });
  });

  test('answers when the host is fenced, and only then; a repeat waits for the same', async () => {
    await putHost(hostA);
    const { promise, resolve } = Promise.withResolvers<void>();
    const fenced: unknown[] = [];
    control.fence = (volumeId, hostNqn) => {
      fenced.push([volumeId, hostNqn, grants.grantOf(volumeId, hostNqn)]);
      return promise;
    };
    let answered = 0;
    const revokes = [deleteHost(hostA), deleteHost(hostA)].map((revoke) =>
      revoke.then(() => answered++),
    );
    while (fenced.length < 2) await new Promise(setImmediate);
    // Nothing may be let in while the old connections are ended.
    expect(fenced).toEqual([
      ['a', hostA, undefined],
      ['a', hostA, undefined],
    ]);
    expect(answered).toBe(0);
    resolve();
    await Promise.all(revokes);
    expect(answered).toBe(2);
  });
});

test('deleteHost() does not wait for the rate of a limited volume, which keeps its limits', async () => {
  await control.operations.patchVolume({ id: 'a', body: { limits: { writeIops: 1 } } });
  await putHost(hostA);
  const handle = control.volumes.open({ kind: 'volume', name: 'a' }, { evicted: () => undefined });
  const write = (): Promise<unknown> =>
    new Promise((resolve) => handle.volume.write(0, new Uint8Array(4096), false, resolve));
  const writes = [write(), write(), write()];
  control.fence = async () => void (await Promise.all(writes));
  await deleteHost(hostA);
  expect(await Promise.all(writes)).toEqual([null, null, null]);
  const later = [write(), write()];
  await later[0];
  expect(handle.volume.inFlightCount).toBe(1);
  await handle.close();
  await Promise.all(later);
});

describe('a grant', () => {
  test('is found by its host and volume alone', async () => {
    await control.createVolume('b');
    await putHost(hostA);
    expect(grants.grantOf('b', hostA)).toBeUndefined();
    expect(grants.grantOf('a', hostA.slice(0, -1))).toBeUndefined();
    expect(grants.grantOf('none', hostA)).toBeUndefined();
    expect(grants.count).toBe(1);
    await expect(control.operations.getHost({ id: 'a', hostNqn: hostB })).rejects.toMatchObject({
      kind: 'not-found',
      field: 'hostNqn',
    });
  });

  test.each<[string, () => Promise<unknown>]>([
    ['deleted', () => control.operations.deleteVolume({ id: 'a' })],
    ['reverted', () => control.operations.putRevert({ id: 'a', revert: 'r', snapshot: 's' })],
  ])('keeps its volume from being %s', async (_, change) => {
    await control.operations.putSnapshot({ id: 's', body: { volume: 'a', labels: {} } });
    await putHost(hostA);
    await expect(change()).rejects.toMatchObject({ kind: 'in-use', blocker: `host/${hostA}` });
    await deleteHost(hostA);
    await change();
  });

  test('is not inherited by snapshots and what is made from them', async () => {
    await putHost(hostA, { hostKey: plainKey });
    await control.operations.putSnapshot({ id: 's', body: { volume: 'a', labels: {} } });
    await control.createVolume('from-snapshot', { source: { snapshot: 's' } });
    await control.createVolume('from-volume', { source: { volume: 'a' } });
    expect(grants.count).toBe(1);
    for (const id of ['from-snapshot', 'from-volume']) {
      expect(grants.grantOf(id, hostA)).toBeUndefined();
      expect((await control.operations.getVolume({ id })).hosts).toEqual([]);
    }
  });

  test('survives other changes of its volume', async () => {
    await putHost(hostA, { hostKey: plainKey });
    await control.operations.patchVolume({
      id: 'a',
      body: { labels: { app: 'db' }, limits: { readIops: 10 }, sizeBytes: 128 * 1024 * 1024 },
    });
    await control.operations.putFilesystem({
      id: 'a',
      body: { state: 'formatting', type: 'ext4' },
    });
    expect(grants.grantOf('a', hostA)).toEqual({ secret: plainKey });
  });
});
