/** A claim is put back to a snapshot in place: with a safety snapshot, never under a user, and once. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  persistentVolumeClaims,
  volumeReverts,
  volumeSnapshots,
} from '@varve/operator/kube/resource';
import type { VolumeRevert } from '@varve/operator/kube/volume-revert-kind';
import { claimManifest, snapshotManifest } from '../product/manifests.ts';
import { untilNothingIsLeft } from './life-cycle.ts';
import { oneMorePass } from './one-more-pass.ts';
import { OperatorSite } from './operator-site.ts';

const hostNqn = 'nqn.2014-08.org.nvmexpress:uuid:0f1f5c7e-3c60-4d7c-8f0e-0a53a3f6b1c2';

let site: OperatorSite;

beforeAll(async () => {
  site = await OperatorSite.start();
  await site.create(claimManifest('data', '32Mi'));
  await site.untilBound('data');
  await site.create(snapshotManifest('blank', 'data'));
  await site.untilReady('blank');
});

afterAll(async () => {
  await site.end();
});

function revertManifest(name: string, snapshot: string, safetySnapshot?: boolean): object {
  return {
    apiVersion: 'varve.dev/v1alpha1',
    kind: 'VolumeRevert',
    metadata: { name },
    spec: {
      persistentVolumeClaimName: 'data',
      volumeSnapshotName: snapshot,
      ...(safetySnapshot === undefined ? {} : { safetySnapshot }),
    },
  };
}

function findRevert(name: string): VolumeRevert {
  const revert = site.find(volumeReverts, name);
  if (revert === undefined) throw new Error(`there is no VolumeRevert ${name}`);
  return revert;
}

const reasonOf = (name: string): string | undefined =>
  site.find(volumeReverts, name)?.status?.conditions?.[0]?.reason;

const volumeId = (): string => `pvc-${site.find(persistentVolumeClaims, 'data')?.metadata.uid}`;

test('the volume is put back in place, and what was there before is in a snapshot', async () => {
  // The state of the file system goes with the content.
  await site.daemonClient.putFilesystem(volumeId(), { state: 'formatting', type: 'ext4' });
  await site.daemonClient.putFilesystem(volumeId(), { state: 'ready', type: 'ext4' });
  await site.create(revertManifest('back', 'blank'));
  await site.until('the volume is put back', () => reasonOf('back') === 'Reverted');
  const { metadata, status } = findRevert('back');
  const volume = await site.daemonClient.getVolume(volumeId());
  expect(volume).toMatchObject({
    filesystem: { state: 'blank' },
    reverts: [`revert-${metadata.uid}`],
    sizeBytes: 32 * 1024 ** 2,
  });
  const safety = site.find(volumeSnapshots, status?.safetySnapshotName ?? '');
  expect(safety?.status?.readyToUse).toBe(true);
  const held = await site.daemonClient.getSnapshot(`snapshot-${safety?.metadata.uid}`);
  expect(held.filesystem).toMatchObject({ state: 'ready', type: 'ext4' });
});

test('a volume that a host has is not put back until the host lets go', async () => {
  await site.daemonClient.putHost({ volume: volumeId(), hostNqn }, {});
  await site.create(revertManifest('under-a-user', 'blank', false));
  await site.untilTold('VolumeRevert', 'under-a-user', /^DaemonRefused: .*tried again/);
  expect((await site.daemonClient.getVolume(volumeId())).reverts).toHaveLength(1);
  await site.daemonClient.deleteHost({ volume: volumeId(), hostNqn });
  await site.until('the volume is put back', () => reasonOf('under-a-user') === 'Reverted');
  expect((await site.daemonClient.getVolume(volumeId())).reverts).toHaveLength(2);
});

test('a revert without its snapshot says so, and can be withdrawn', async () => {
  await site.create(revertManifest('to-nothing', 'no-such-snapshot'));
  await site.until('it says so', () => reasonOf('to-nothing') === 'SnapshotNotFound');
  await site.delete(volumeReverts, 'to-nothing');
});

test('what is done is not done again, and goes with nothing left behind', async () => {
  await site.stopOperator();
  const report = await oneMorePass(site);
  expect(report).toMatchObject({ unrest: [], calls: [] });
  await site.startOperator();
  const safetyName = findRevert('back').status?.safetySnapshotName ?? '';
  for (const name of ['back', 'under-a-user']) await site.delete(volumeReverts, name);
  for (const name of ['blank', safetyName]) await site.delete(volumeSnapshots, name);
  await site.delete(persistentVolumeClaims, 'data');
  await untilNothingIsLeft(site);
});
