/** What the daemon refuses for good or for a while, and what the user reads about it. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import {
  persistentVolumeClaims,
  persistentVolumes,
  volumeSnapshotContents,
  volumeSnapshots,
} from '@varve/operator/kube/resource';
import { claimManifest, snapshotManifest } from '../product/manifests.ts';
import { OperatorSite } from './operator-site.ts';

let site: OperatorSite;

beforeAll(async () => {
  site = await OperatorSite.start();
  await site.create(claimManifest('source', '32Mi'), claimManifest('other', '32Mi'));
  await site.untilBound('source');
  await site.untilBound('other');
});

afterEach(() => site.gate.disarm());

afterAll(async () => {
  await site.end();
});

function volumeOf(claim: string): string {
  return site.find(persistentVolumeClaims, claim)?.spec.volumeName ?? '';
}

/** Asks for a snapshot of `source`, and holds it up before the daemon; returns the id that it is to have there. */
async function holdSnapshot(name: string): Promise<string> {
  site.gate.refuse(/^PUT \/v1\/snapshots\//);
  await site.create(snapshotManifest(name, 'source'));
  await site.untilTold('VolumeSnapshot', name, /the test refuses this call/);
  return `snapshot-${site.find(volumeSnapshots, name)?.metadata.uid}`;
}

test('a snapshot that can never be taken says so, is not tried again, and can be deleted', async () => {
  const id = await holdSnapshot('impossible');
  await site.daemonClient.putSnapshot(id, { volume: volumeOf('other') });
  site.gate.disarm();
  const final = /^SnapshotCreationFailed: Failed to create snapshot: .*This is not tried again$/;
  await site.untilTold('VolumeSnapshot', 'impossible', final);
  const [content] = site.list(volumeSnapshotContents);
  expect(content?.metadata.annotations ?? {}).toEqual({});
  const { status } = site.find(volumeSnapshots, 'impossible') ?? {};
  expect(status).toMatchObject({
    readyToUse: false,
    conditions: [{ type: 'Ready', status: 'False', reason: 'SnapshotCreationFailed' }],
  });

  await site.delete(volumeSnapshots, 'impossible');
  await site.until('it goes', () => site.list(volumeSnapshotContents).length === 0);
  // It is another volume's: not ours to delete.
  expect(await site.heldByDaemon()).toContain(id);
  await site.daemonClient.deleteSnapshot(id);
});

test('a snapshot that is locked stays until the lock ends, and names the lock', async () => {
  const id = await holdSnapshot('locked');
  const lockedUntil = new Date(Date.now() + 3_600_000).toISOString();
  await site.daemonClient.putSnapshot(id, { volume: volumeOf('source'), lockedUntil });
  site.gate.disarm();
  await site.untilReady('locked');
  await site.delete(volumeSnapshots, 'locked');
  const refusal = await site.untilTold('VolumeSnapshot', 'locked', /^SnapshotDeleteError: /);
  expect(refusal).toContain(`it is locked until ${lockedUntil}`);
  expect(refusal).toMatch(/This is tried again with growing pauses of up to 5 minutes$/);
  expect(site.find(volumeSnapshots, 'locked')?.status?.conditions).toContainEqual(
    expect.objectContaining({ type: 'Deletable', status: 'False', reason: 'SnapshotDeleteError' }),
  );
  expect(await site.heldByDaemon()).toContain(id);
});

test('a claim that is deleted while it is made stays until its volume is gone for sure', async () => {
  const held = await site.heldByDaemon();
  site.gate.refuse(/^(PUT|DELETE) \/v1\/volumes\//);
  await site.create(claimManifest('unwanted', '32Mi'));
  await site.untilTold('PersistentVolumeClaim', 'unwanted', /^ProvisioningFailed: /);
  await site.delete(persistentVolumeClaims, 'unwanted');
  await site.untilTold('PersistentVolumeClaim', 'unwanted', /^ProvisioningCleanupFailed: /);
  expect(site.find(persistentVolumeClaims, 'unwanted')).toBeDefined();
  site.gate.disarm();
  await site.until('it goes', () => site.find(persistentVolumeClaims, 'unwanted') === undefined);
  expect(site.list(persistentVolumes)).toHaveLength(2);
  expect(await site.heldByDaemon()).toEqual(held);
});
