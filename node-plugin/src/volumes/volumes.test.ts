import { beforeEach, describe, expect, test } from '@jest/globals';
import { benchNames, VolumeBench } from '../testing/volume-bench.ts';
import { publishVolume, unpublishVolume } from './publish-volume.ts';
import { stageVolume } from './stage-volume.ts';
import { unstageVolume } from './unstage-volume.ts';
import { expandVolume, volumeStatistics } from './volume-size.ts';

const targetPath = '/pods/a/mount';
let bench: VolumeBench;
beforeEach(() => {
  bench = new VolumeBench();
});

const stage = async (changes = {}) => stageVolume(bench.context(), bench.stageRequest(changes));
const publish = async (path = targetPath, changes = {}) =>
  publishVolume(bench.context(), bench.publishRequest(path, changes));

describe('staging', () => {
  test('formats a blank volume once, mounts it, and a repeat changes nothing', async () => {
    await stage();
    expect(bench.filesystem).toEqual({ state: 'ready', type: 'ext4' });
    expect(bench.system.mounts).toMatchObject([{ path: benchNames.stagingPath, type: 'ext4' }]);
    const before = bench.remains();
    bench.ledgerFails = () => true;
    await stage();
    expect(bench.remains()).toEqual(before);
  });

  test('connects every portal, and goes on when one of them is dead', async () => {
    await stage();
    expect(bench.system.controllers.size).toBe(2);
    await unstageVolume(bench.context(), benchNames);
    bench.system.deadPorts.add(4420);
    await stage();
    expect(bench.system.controllers.size).toBe(1);
  });

  test('connects one portal where the kernel joins no paths', async () => {
    bench.system.multipath = false;
    bench.system.deadPorts.add(4420);
    await stage();
    expect([...bench.system.controllers.values()].map(({ portal }) => portal.port)).toEqual([4421]);
  });

  test('an unreadable device is never formatted', async () => {
    bench.system.isUnreadable = true;
    await expect(stage()).rejects.toMatchObject({ kind: 'unavailable' });
    expect(bench.filesystem).toEqual({ state: 'blank' });
    expect(bench.target.content).toEqual({ kind: 'nothing' });
    expect(bench.remains()).toEqual([]);
  });

  test('a crash in mkfs heals', async () => {
    bench.system.faults = (method) => (method === 'makeFilesystem' ? 'kill' : undefined);
    await expect(stage()).rejects.toMatchObject({ cause: { name: 'KilledError' } });
    expect(bench.filesystem).toEqual({ state: 'formatting', type: 'ext4' });
    bench.system.faults = () => undefined;
    bench.system.restart();
    await stage();
    expect(bench.filesystem).toEqual({ state: 'ready', type: 'ext4' });
  });

  test('grows the file system of a volume that was restored larger', async () => {
    bench.filesystem = { state: 'ready', type: 'ext4' };
    bench.target.content = { kind: 'filesystem', type: 'ext4' };
    bench.target.filesystemBytes = 1 << 20;
    await stage();
    expect(bench.target.filesystemBytes).toBe(bench.target.sizeBytes);
  });

  test.each([
    ['another path', { stagingPath: '/elsewhere' }, 'failed-precondition'],
    [
      'another file system',
      { access: { kind: 'mount', filesystem: 'xfs', options: [] } },
      'already-exists',
    ],
    ['block access', { access: { kind: 'block' } }, 'already-exists'],
    ['another access mode', { accessMode: 'SINGLE_NODE_SINGLE_WRITER' }, 'already-exists'],
  ])('refuses %s for what is staged, and leaves it', async (_, changes, kind) => {
    await stage();
    const before = bench.remains();
    await expect(stage(changes)).rejects.toMatchObject({ kind });
    expect(bench.remains()).toEqual(before);
  });

  test('a device with another UUID is refused by name, and disconnected again', async () => {
    const metadata = { ...bench.metadata(), namespaceUuid: '11111111-2222-3333-4444-555555555555' };
    await expect(stage({ metadata })).rejects.toMatchObject({
      kind: 'failed-precondition',
      message: expect.stringMatching(/nvme0n1 of its subsystem has the UUID 0c7a.*left alone/),
    });
    expect(bench.remains()).toEqual([]);
    expect(bench.target.content).toEqual({ kind: 'nothing' });
  });

  test('a failure that cannot be undone is one after which kubelet unstages', async () => {
    bench.ledgerFails = () => true;
    bench.system.faults = (method) => (method === 'deleteController' ? 'before' : undefined);
    await expect(stage()).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('parts of daemon/pvc-1 remain'),
    });
    bench.system.faults = () => undefined;
    await unstageVolume(bench.context(), benchNames);
    expect(bench.remains()).toEqual([]);
  });

  test('no key is remembered', async () => {
    const hostKey = 'DHHC-1:00:c2VjcmV0:';
    await stage({ keys: { hostKey } });
    expect(bench.system.connectStrings[0]).toContain(hostKey);
    expect([...bench.system.states.values()].join('')).not.toContain('c2VjcmV0');
  });
});

describe('publishing', () => {
  test('two pods share a volume, and each is taken away by itself', async () => {
    await stage();
    await publish();
    await publish(targetPath);
    await publish('/pods/b/mount', { readOnly: true });
    expect(bench.system.mounts.map(({ path, isReadOnly }) => [path, isReadOnly])).toEqual([
      [benchNames.stagingPath, false],
      [targetPath, false],
      ['/pods/b/mount', true],
    ]);
    await unpublishVolume(bench.context(), { ...benchNames, targetPath });
    await unpublishVolume(bench.context(), { ...benchNames, targetPath });
    expect(bench.system.paths.has(targetPath)).toBe(false);
    expect(bench.system.mounts).toHaveLength(2);
  });

  test('the same path with other arguments is refused', async () => {
    await stage();
    await publish();
    await expect(publish(targetPath, { readOnly: true })).rejects.toMatchObject({
      kind: 'already-exists',
    });
  });

  test('ReadWriteOncePod is for one pod', async () => {
    const accessMode = 'SINGLE_NODE_SINGLE_WRITER';
    await stage({ accessMode });
    await publish(targetPath, { accessMode });
    await expect(publish('/pods/b/mount', { accessMode })).rejects.toMatchObject({
      kind: 'failed-precondition',
    });
  });

  test('what is not staged is not found', async () => {
    await expect(publish()).rejects.toMatchObject({ kind: 'not-found' });
  });

  test('a raw block device is shown as a file', async () => {
    await stage({ access: { kind: 'block' } });
    await publish(targetPath, { accessKind: 'block' });
    expect(bench.system.paths.get(targetPath)).toBe('file');
    expect(bench.system.mounts).toMatchObject([
      { path: targetPath, type: 'devtmpfs', root: '/nvme0n1' },
    ]);
    const readOnly = publish('/pods/b/mount', { accessKind: 'block', readOnly: true });
    await expect(readOnly).rejects.toMatchObject({ kind: 'invalid-argument' });
  });

  test('a volume that a pod has is not unstaged', async () => {
    await stage();
    await publish();
    await expect(unstageVolume(bench.context(), benchNames)).rejects.toMatchObject({
      kind: 'in-use',
      blocker: targetPath,
    });
    expect(bench.system.mounts).toHaveLength(2);
  });
});

describe('sizes', () => {
  test('a volume grows while a pod has it', async () => {
    await stage();
    await publish();
    bench.target.sizeBytes *= 2;
    const request = {
      ...benchNames,
      volumePath: targetPath,
      requiredBytes: bench.target.sizeBytes,
    };
    expect(await expandVolume(bench.context(), request)).toBe(bench.target.sizeBytes);
    expect(bench.target.filesystemBytes).toBe(bench.target.sizeBytes);
  });

  test('a device that does not grow is told', async () => {
    await stage();
    await publish();
    const request = { ...benchNames, volumePath: targetPath, requiredBytes: 2 ** 40 };
    await expect(expandVolume(bench.context(), request)).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining(`${2 ** 40} at least`),
    });
  });

  test('statistics name the trouble, and ask no file system that would hang', async () => {
    await stage();
    await publish();
    const request = { ...benchNames, volumePath: targetPath };
    expect(await volumeStatistics(bench.context(), request)).toMatchObject({
      isAbnormal: false,
      usage: { usedBytes: 40 },
    });
    for (const [name, each] of bench.system.controllers) {
      bench.system.controllers.set(name, { ...each, state: 'connecting' });
    }
    expect(await volumeStatistics(bench.context(), request)).toMatchObject({
      isAbnormal: true,
      message: expect.stringContaining('nvme0 to tcp://192.0.2.1:4420 is connecting'),
    });
  });

  test.each(['some/path', '/pods/other'])('at %j there is nothing', async (volumePath) => {
    await stage();
    const request = { ...benchNames, volumePath };
    await expect(volumeStatistics(bench.context(), request)).rejects.toMatchObject({
      kind: 'not-found',
    });
  });
});
