/** A volume goes from node to node, and has one at a time: attach, fence, detach. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { parseAttachmentMetadata } from '@varve/contract/kubernetes/attachment-metadata';
import {
  persistentVolumeClaims,
  volumeAttachments,
  type Resource,
} from '@varve/operator/kube/resource';
import { claimManifest, driverName } from '../product/manifests.ts';
import { untilNothingIsLeft } from './life-cycle.ts';
import { OperatorSite } from './operator-site.ts';

const nodes: Resource = {
  group: '',
  version: 'v1',
  plural: 'nodes',
  kind: 'Node',
  isNamespaced: false,
};

const uids = { alpha: '', beta: '' };
type NodeName = keyof typeof uids;

let site: OperatorSite;
let volumeName: string;
let volumeId: string;

beforeAll(async () => {
  site = await OperatorSite.start();
  for (const name of ['alpha', 'beta'] as const) {
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name } };
    const { metadata } = await site.client.create(nodes, node);
    uids[name] = metadata.uid;
    await site.create(csiNode(name, metadata.uid));
  }
  await site.create(claimManifest('data', '32Mi'));
  await site.untilBound('data');
  volumeName = site.find(persistentVolumeClaims, 'data')?.spec.volumeName ?? '';
  volumeId = volumeName;
});

afterEach(() => site.gate.disarm());

afterAll(async () => {
  await site.end();
});

function csiNode(name: string, uid: string): object {
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'CSINode',
    metadata: { name, ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid }] },
    spec: { drivers: [{ name: driverName, nodeID: name }] },
  };
}

async function attach(name: string, nodeName: string): Promise<void> {
  await site.create({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'VolumeAttachment',
    metadata: { name },
    spec: { attacher: driverName, nodeName, source: { persistentVolumeName: volumeName } },
  });
}

const statusOf = (name: string) => site.find(volumeAttachments, name)?.status;
const hostOf = (node: NodeName) => `nqn.2014-08.org.nvmexpress:uuid:${uids[node]}`;
const hosts = async () => (await site.daemonClient.getVolume(volumeId)).hosts;

async function untilAttached(name: string): Promise<void> {
  await site.until(`${name} is attached`, () => statusOf(name)?.attached === true);
}

test('a node is told where its volume is, once it has access', async () => {
  await attach('first', 'alpha');
  await untilAttached('first');
  const volume = await site.daemonClient.getVolume(volumeId);
  expect(parseAttachmentMetadata(statusOf('first')?.attachmentMetadata ?? {})).toMatchObject({
    hostNqn: hostOf('alpha'),
    subsystemNqn: volume.nvme?.subsystemNqn,
    namespaceUuid: volume.uuid,
    sizeBytes: 32 * 1024 * 1024,
    portals: [{ host: '127.0.0.1' }],
  });
  expect(volume.hosts).toEqual([hostOf('alpha')]);
});

test('a second node gets the volume when the first is fenced, and not before', async () => {
  await attach('second', 'beta');
  await site.until('the second waits', () =>
    (statusOf('second')?.attachError?.message ?? '').includes(hostOf('alpha')),
  );
  expect(statusOf('second')?.attached).toBe(false);
  expect(await hosts()).toEqual([hostOf('alpha')]);
  await site.delete(volumeAttachments, 'first');
  await untilAttached('second');
  expect(site.find(volumeAttachments, 'first')).toBeUndefined();
  expect(statusOf('second')?.attachError).toBeUndefined();
  expect(await hosts()).toEqual([hostOf('beta')]);
});

test('what is attached outlives its claim until it is detached', async () => {
  await site.delete(persistentVolumeClaims, 'data');
  await site.until('the data is wanted back by the node', () =>
    site
      .eventsOf('PersistentVolume', volumeName)
      .some((each) => each.startsWith('VolumeFailedDelete: ') && each.includes(hostOf('beta'))),
  );
  await site.delete(volumeAttachments, 'second');
  await site.until('it is detached', () => site.find(volumeAttachments, 'second') === undefined);
  await untilNothingIsLeft(site);
});

test('an attachment to a node without the plugin says so, and that its volume is missing', async () => {
  await attach('nowhere', 'gamma');
  await site.untilTold(
    'VolumeAttachment',
    'nowhere',
    /^AttachFailed: PersistentVolume \S+ does not exist/,
  );
  expect(statusOf('nowhere')?.attached).toBe(false);
  await site.delete(volumeAttachments, 'nowhere');
  await site.until('it is gone', () => site.find(volumeAttachments, 'nowhere') === undefined);
});
