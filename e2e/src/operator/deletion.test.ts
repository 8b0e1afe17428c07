/** What a deletion takes along, what it waits for, and what it says meanwhile. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  volumeSnapshotClasses,
  volumeSnapshotContents,
  volumeSnapshots,
  type Resource,
} from '@varve/operator/kube/resource';
import {
  claimManifest,
  driverName,
  restoredClaimManifest,
  snapshotManifest,
  sourcePage,
} from '../product/manifests.ts';
import { untilNothingIsLeft } from './life-cycle.ts';
import { OperatorSite } from './operator-site.ts';

const namespaces: Resource = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  isNamespaced: false,
};

let site: OperatorSite;

beforeAll(async () => {
  site = await OperatorSite.start();
});

afterEach(() => site.gate.disarm());

afterAll(async () => {
  await site.end();
});

async function createClaim(name: string): Promise<void> {
  await site.create(claimManifest(name, '32Mi'));
  await site.untilBound(name);
}

async function createSnapshot(name: string, claim: string): Promise<void> {
  await site.create(snapshotManifest(name, claim));
  await site.untilReady(name);
}

const objects: readonly (readonly [Resource, string])[] = [
  [persistentVolumeClaims, 'source'],
  [volumeSnapshots, 'snapshot'],
  [persistentVolumeClaims, 'restored'],
];

const orders = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
].map((order) => order.map((index) => objects[index] ?? objects[0]!));

describe('deleting', () => {
  test.each(orders.map((order) => [order.map(([, name]) => name).join(', '), order] as const))(
    '%s, each to its end, leaves nothing',
    async (_title, order) => {
      await createClaim('source');
      await createSnapshot('snapshot', 'source');
      await site.create(restoredClaimManifest('restored', '32Mi', 'snapshot'));
      await site.untilBound('restored');
      for (const [resource, name] of order) {
        await site.delete(resource, name);
        await site.until(`${name} is gone`, () => site.find(resource, name) === undefined);
      }
      await untilNothingIsLeft(site);
      expect(await site.heldByDaemon()).toEqual([]);
    },
  );

  test('the classes takes nothing along, and keeps nothing from being deleted', async () => {
    await createClaim('source');
    await createSnapshot('snapshot', 'source');
    const held = await site.heldByDaemon();
    await site.delete(storageClasses, sourcePage.storageClass);
    await site.delete(volumeSnapshotClasses, sourcePage.snapshotClass);
    expect(await site.heldByDaemon()).toEqual(held);
    await site.delete(volumeSnapshots, 'snapshot');
    await site.delete(persistentVolumeClaims, 'source');
    await untilNothingIsLeft(site);
    expect(await site.heldByDaemon()).toEqual([]);
    await site.createClasses();
  });

  test('the namespace takes all in it along', async () => {
    const namespace = 'short-lived';
    const draft = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
    await site.client.create(namespaces, draft);
    await site.createIn(
      namespace,
      claimManifest('source', '32Mi'),
      snapshotManifest('snapshot', 'source'),
      restoredClaimManifest('restored', '32Mi', 'snapshot'),
    );
    await site.untilReady('snapshot');
    await site.untilBound('restored');
    await site.client.delete(namespaces, { name: namespace });
    await site.until('it is gone', () => site.find(namespaces, namespace) === undefined);
    await untilNothingIsLeft(site);
    expect(await site.heldByDaemon()).toEqual([]);
  });

  test('a snapshot waits for the claim that is to be restored from it, and names it', async () => {
    const waiting = 'waits-for-pod';
    await createClaim('source');
    await createSnapshot('snapshot', 'source');
    await site.create({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: waiting },
      provisioner: driverName,
      volumeBindingMode: 'WaitForFirstConsumer',
    });
    const restored = restoredClaimManifest('restored', '32Mi', 'snapshot') as { spec: object };
    await site.create({ ...restored, spec: { ...restored.spec, storageClassName: waiting } });
    await site.delete(volumeSnapshots, 'snapshot');
    const waits = /^SnapshotDeletePending: .*restore a PVC: restored\./;
    await site.untilTold('VolumeSnapshot', 'snapshot', waits);
    const { conditions } = site.find(volumeSnapshots, 'snapshot')?.status ?? {};
    expect(conditions).toContainEqual(
      expect.objectContaining({ type: 'Deletable', status: 'False' }),
    );
    await site.delete(persistentVolumeClaims, 'restored');
    await site.until('it goes', () => site.find(volumeSnapshots, 'snapshot') === undefined);
    await site.delete(persistentVolumeClaims, 'source');
    await site.delete(storageClasses, waiting);
    await untilNothingIsLeft(site);
    expect(await site.heldByDaemon()).toEqual([]);
  });

  test('a content waits for its snapshot, says so, and goes with it', async () => {
    await createClaim('source');
    await createSnapshot('snapshot', 'source');
    const [content] = site.list(volumeSnapshotContents);
    const { name } = content?.metadata ?? { name: '' };
    await site.delete(volumeSnapshotContents, name);
    const waits = /^BoundToSnapshot: VolumeSnapshot default\/snapshot uses this content/;
    await site.untilTold('VolumeSnapshotContent', name, waits);
    expect(site.find(volumeSnapshots, 'snapshot')?.status?.readyToUse).toBe(true);
    await site.delete(volumeSnapshots, 'snapshot');
    await site.delete(persistentVolumeClaims, 'source');
    await untilNothingIsLeft(site);
    expect(await site.heldByDaemon()).toEqual([]);
  });

  test('a volume object waits for its claim, and goes with it', async () => {
    await createClaim('source');
    const [volume] = site.list(persistentVolumes);
    await site.delete(persistentVolumes, volume?.metadata.name ?? '');
    expect(await site.heldByDaemon()).toHaveLength(1);
    await site.delete(persistentVolumeClaims, 'source');
    await untilNothingIsLeft(site);
    expect(await site.heldByDaemon()).toEqual([]);
  });

  test('what the daemon refuses to delete says why, and goes when the daemon agrees', async () => {
    await createClaim('source');
    await createSnapshot('snapshot', 'source');
    const content = site.list(volumeSnapshotContents)[0]?.metadata.name ?? '';
    const volume = site.list(persistentVolumes)[0]?.metadata.name ?? '';
    site.gate.refuse(/^DELETE \/v1\//);
    await site.delete(volumeSnapshots, 'snapshot');
    await site.delete(persistentVolumeClaims, 'source');
    const refusal = /^SnapshotDeleteError: Failed to delete snapshot: .*the test refuses this call/;
    await site.untilTold('VolumeSnapshotContent', content, refusal);
    await site.untilTold('VolumeSnapshot', 'snapshot', refusal);
    await site.untilTold(
      'PersistentVolume',
      volume,
      /^VolumeFailedDelete: .*the test refuses this/,
    );
    expect(await site.heldByDaemon()).toHaveLength(2);
    site.gate.disarm();
    await untilNothingIsLeft(site);
    expect(await site.heldByDaemon()).toEqual([]);
  });
});
