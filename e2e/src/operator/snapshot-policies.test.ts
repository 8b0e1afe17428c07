/** Whose data goes and whose stays: reclaim and deletion policies, import of what was kept, default classes. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  volumeSnapshotClasses,
  volumeSnapshotContents,
  volumeSnapshots,
} from '@varve/operator/kube/resource';
import {
  claimManifest,
  driverName,
  restoredClaimManifest,
  snapshotManifest,
} from '../product/manifests.ts';
import { untilNothingIsLeft } from './life-cycle.ts';
import { daemonName, OperatorSite } from './operator-site.ts';

const snapshotApiVersion = 'snapshot.storage.k8s.io/v1';

let site: OperatorSite;

beforeAll(async () => {
  site = await OperatorSite.start();
});

afterAll(async () => {
  await site.end();
});

function snapshotClass(name: string, deletionPolicy: string, annotations = {}): object {
  return {
    apiVersion: snapshotApiVersion,
    kind: 'VolumeSnapshotClass',
    metadata: { name, annotations },
    driver: driverName,
    deletionPolicy,
  };
}

function snapshotOf(name: string, source: object, className?: string): object {
  return {
    apiVersion: snapshotApiVersion,
    kind: 'VolumeSnapshot',
    metadata: { name },
    spec: { source, ...(className !== undefined && { volumeSnapshotClassName: className }) },
  };
}

describe('policy Retain', () => {
  test('keeps a snapshot, which can be imported, restored from, and deleted then', async () => {
    await site.create(claimManifest('source', '32Mi'), snapshotClass('keep', 'Retain'));
    await site.untilBound('source');
    const source = { persistentVolumeClaimName: 'source' };
    await site.create(snapshotOf('kept', source, 'keep'));
    await site.untilReady('kept');
    const [content] = site.list(volumeSnapshotContents);
    const snapshotHandle = content?.status?.snapshotHandle ?? '';

    await site.delete(volumeSnapshots, 'kept');
    await site.until('it goes', () => site.find(volumeSnapshots, 'kept') === undefined);
    await site.delete(volumeSnapshotContents, content?.metadata.name ?? '');
    await site.until('its content goes', () => site.list(volumeSnapshotContents).length === 0);
    await site.delete(persistentVolumeClaims, 'source');
    await site.until('the source goes', () => site.list(persistentVolumes).length === 0);
    expect(await site.heldByDaemon()).toEqual([snapshotHandle.replace(`${daemonName}/`, '')]);

    await site.create({
      apiVersion: snapshotApiVersion,
      kind: 'VolumeSnapshotContent',
      metadata: { name: 'imported' },
      spec: {
        deletionPolicy: 'Delete',
        driver: driverName,
        source: { snapshotHandle },
        volumeSnapshotRef: { namespace: 'default', name: 'imported' },
      },
    });
    await site.create(snapshotOf('imported', { volumeSnapshotContentName: 'imported' }));
    await site.untilReady('imported');
    const { status } = site.find(volumeSnapshots, 'imported') ?? {};
    expect(status).toMatchObject({
      boundVolumeSnapshotContentName: 'imported',
      restoreSize: '32Mi',
    });
    await site.create(restoredClaimManifest('restored', '32Mi', 'imported'));
    await site.untilBound('restored');

    await site.delete(volumeSnapshots, 'imported');
    await site.delete(persistentVolumeClaims, 'restored');
    await site.delete(volumeSnapshotClasses, 'keep');
    await untilNothingIsLeft(site);
    expect(await site.heldByDaemon()).toEqual([]);
  });

  test('keeps a volume until an administrator says otherwise', async () => {
    await site.create({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'keep' },
      provisioner: driverName,
      reclaimPolicy: 'Retain',
    });
    const claim = claimManifest('kept', '32Mi') as { spec: object };
    await site.create({ ...claim, spec: { ...claim.spec, storageClassName: 'keep' } });
    await site.untilBound('kept');
    const [volume] = site.list(persistentVolumes);
    const name = volume?.metadata.name ?? '';
    await site.until('our finalizer is off: nothing is to be deleted', () => {
      const finalizers = site.find(persistentVolumes, name)?.metadata.finalizers ?? [];
      return finalizers.every((each) => !each.startsWith('external-provisioner.'));
    });
    await site.delete(persistentVolumeClaims, 'kept');
    await site.until(
      'it is released',
      () => site.find(persistentVolumes, name)?.status?.phase === 'Released',
    );
    expect(await site.heldByDaemon()).toEqual([name]);
    const body = { spec: { persistentVolumeReclaimPolicy: 'Delete' } };
    await site.client.patch(persistentVolumes, { name }, { type: 'merge', body });
    await site.delete(storageClasses, 'keep');
    await untilNothingIsLeft(site);
    expect(await site.heldByDaemon()).toEqual([]);
  });
});

describe('a pre-provisioned content', () => {
  test('whose snapshot does not exist says so, and can be deleted', async () => {
    await site.create({
      apiVersion: snapshotApiVersion,
      kind: 'VolumeSnapshotContent',
      metadata: { name: 'dangling' },
      spec: {
        deletionPolicy: 'Delete',
        driver: driverName,
        source: { snapshotHandle: `${daemonName}/no-such-snapshot` },
        volumeSnapshotRef: { namespace: 'default', name: 'dangling' },
      },
    });
    await site.create(snapshotOf('dangling', { volumeSnapshotContentName: 'dangling' }));
    const missing = /can not find snapshot for snapshotID node-1\/no-such-snapshot/;
    await site.untilTold('VolumeSnapshotContent', 'dangling', missing);
    await site.until('the snapshot says so too', () =>
      missing.test(site.find(volumeSnapshots, 'dangling')?.status?.error?.message ?? ''),
    );
    await site.delete(volumeSnapshots, 'dangling');
    await untilNothingIsLeft(site);
  });
});

describe('a snapshot without a class', () => {
  const mark = { 'snapshot.storage.kubernetes.io/is-default-class': 'true' };

  test('waits for a default class, and refuses to choose between two', async () => {
    await site.create(claimManifest('source', '32Mi'));
    await site.untilBound('source');
    const source = { persistentVolumeClaimName: 'source' };
    await site.create(snapshotOf('classless', source));
    await site.untilTold('VolumeSnapshot', 'classless', /cannot find default snapshot class/);
    await site.create(snapshotClass('one', 'Delete', mark));
    await site.untilReady('classless');
    expect(site.find(volumeSnapshots, 'classless')?.spec.volumeSnapshotClassName).toBe('one');

    await site.create(snapshotClass('two', 'Delete', mark));
    await site.create(snapshotOf('undecided', source));
    await site.untilTold('VolumeSnapshot', 'undecided', /2 default snapshot classes were found/);
    await site.delete(volumeSnapshotClasses, 'one');
    await site.untilReady('undecided');
    expect(site.find(volumeSnapshots, 'undecided')?.spec.volumeSnapshotClassName).toBe('two');

    await site.delete(volumeSnapshotClasses, 'two');
    await site.delete(volumeSnapshots, 'classless');
    await site.delete(volumeSnapshots, 'undecided');
    await site.delete(persistentVolumeClaims, 'source');
    await untilNothingIsLeft(site);
  });
});

describe('two hundred snapshots at once', () => {
  test('cost a handful of changes each', async () => {
    const count = 200;
    await site.create(claimManifest('source', '32Mi'));
    await site.untilBound('source');
    site.gate.arm();
    const names = Array.from({ length: count }, (_, index) => `many-${index}`);
    await Promise.all(names.map(async (name) => site.create(snapshotManifest(name, 'source'))));
    await site.until('all are ready and settled', () => {
      const ready = site.list(volumeSnapshots).filter(({ status }) => status?.readyToUse === true);
      const unsettled = site
        .list(volumeSnapshotContents)
        .filter(({ metadata }) => Object.keys(metadata.annotations ?? {}).length > 0);
      return ready.length === count && unsettled.length === 0;
    });
    // Finalizers, content, the snapshot at the daemon, the content's status, its mark, the snapshot's status: six. A
    // busy machine adds a status that says "not yet", and conflicts. Upstream's controllers make eleven at least.
    expect(site.gate.calls.length / count).toBeLessThan(9);
    expect(await site.heldByDaemon()).toHaveLength(count + 1);
    await Promise.all(names.map(async (name) => site.delete(volumeSnapshots, name)));
    await site.delete(persistentVolumeClaims, 'source');
    await untilNothingIsLeft(site);
    expect(await site.heldByDaemon()).toEqual([]);
  });
});
