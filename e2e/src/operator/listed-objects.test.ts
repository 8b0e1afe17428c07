/** What a ConfigMap lists is there as soon as its definitions are, and is the administrator's from then on. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { storageDaemons, volumeSnapshotClasses } from '@varve/operator/kube/resource';
import { OperatorSite } from './operator-site.ts';

const listed = `
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshotClass
metadata: { name: listed }
driver: csi.varve.dev
deletionPolicy: Retain
---
apiVersion: varve.dev/v1alpha1
kind: StorageDaemon
metadata: { name: far-away }
spec: { endpoint: 'ftp://nowhere' }
`;

let site: OperatorSite;

beforeAll(async () => {
  const metadata = { name: 'objects' };
  const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { list: listed } };
  site = await OperatorSite.start([configMap], ['--listed-objects=default/objects']);
});

afterAll(async () => {
  await site.end();
});

test('listed objects are created, and those that are refused are told of', async () => {
  await site.until(
    'the class is there',
    () => site.find(volumeSnapshotClasses, 'listed')?.deletionPolicy === 'Retain',
  );
  await site.untilTold(
    'ConfigMap',
    'objects',
    /^InvalidListedObject: .*spec.endpoint: Invalid value: "ftp:/,
  );
  expect(site.find(storageDaemons, 'far-away')).toBeUndefined();
});
