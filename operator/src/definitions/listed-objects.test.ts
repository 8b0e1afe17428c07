import { beforeEach, describe, expect, test } from '@jest/globals';
import { silentLogger } from '@varve/common/logger';
import { ManualClock } from '@varve/common/testing/manual-clock';
import type { KubernetesObject } from '../kube/kubernetes-object.ts';
import { configMaps, storageDaemons, volumeSnapshotClasses } from '../kube/resource.ts';
import { failure, MemoryCluster } from '../testing/memory-cluster.ts';
import { createListedObjects } from './listed-objects.ts';

const at = { namespace: 'varve-system', name: 'objects' };
const daemonText = `
apiVersion: varve.dev/v1alpha1
kind: StorageDaemon
metadata:
  name: node-1
spec:
  endpoint: unix:///run/varve.sock
`;
const classText = `
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshotClass
metadata:
  name: fast
driver: csi.varve.dev
deletionPolicy: Delete
`;

let cluster: MemoryCluster;
let told: string[];

beforeEach(() => {
  cluster = new MemoryCluster(new ManualClock());
  told = [];
});

async function createFrom(data: Readonly<Record<string, string>>): Promise<void> {
  cluster.put(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: at, data });
  const tell = (_object: KubernetesObject, reason: string, message: string): void => {
    told.push(`${reason}: ${message}`);
  };
  await createListedObjects(at, {
    client: cluster,
    events: { normal: tell, warning: tell },
    log: silentLogger(),
  });
}

describe('createListedObjects()', () => {
  test('creates what is absent, and leaves what is there as it is', async () => {
    const held = { apiVersion: 'varve.dev/v1alpha1', kind: 'StorageDaemon' };
    const spec = { endpoint: 'http://127.0.0.1:9400' };
    cluster.put(storageDaemons, { ...held, metadata: { name: 'node-1' }, spec });
    await createFrom({ 'objects.yaml': `${daemonText}---${classText}---\n` });
    expect(cluster.peek(storageDaemons, 'node-1')?.spec).toEqual(spec);
    expect(cluster.peek(volumeSnapshotClasses, 'fast')?.driver).toBe('csi.varve.dev');
    expect(told).toEqual([]);
  });

  test('tells of what it cannot create, and creates the others', async () => {
    await createFrom({
      'a.yaml': 'kind: [',
      'b.yaml': 'kind: StorageDaemon',
      'c.yaml': 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n',
      'd.yaml': classText,
    });
    expect(told).toEqual([
      expect.stringMatching(/^InvalidListedObject: Reading "a.yaml" failed: /),
      'InvalidListedObject: Reading "b.yaml" failed: it must have apiVersion, kind and metadata.name',
      'InvalidListedObject: Reading "c.yaml" failed: v1 Secret "s" is not of the kinds ' +
        'StorageDaemon, VolumeSnapshotClass, StorageClass',
    ]);
    expect(cluster.peekAll(volumeSnapshotClasses)).toHaveLength(1);
  });

  test('fails where trying again may help', async () => {
    cluster.onCall = ({ verb }) => {
      if (verb === 'create') throw failure('server-error');
    };
    await expect(createFrom({ 'd.yaml': classText })).rejects.toMatchObject({
      kind: 'server-error',
    });
  });
});
