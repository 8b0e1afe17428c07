/** Claims with a source: its size, wrong ones, late ones. A claim with a source never gets an empty volume. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  persistentVolumeClaims,
  persistentVolumes,
  volumeSnapshots,
} from '@varve/operator/kube/resource';
import {
  claimManifest,
  restoredClaimManifest,
  snapshotManifest,
  type ClaimSource,
} from '../product/manifests.ts';
import { untilNothingIsLeft } from './life-cycle.ts';
import { OperatorSite } from './operator-site.ts';

const apiGroup = 'snapshot.storage.k8s.io';
const existing = { apiGroup, kind: 'VolumeSnapshot', name: 'snapshot' };

let site: OperatorSite;

beforeAll(async () => {
  site = await OperatorSite.start();
  await site.create(claimManifest('source', '64Mi'), snapshotManifest('snapshot', 'source'));
  await site.untilBound('source');
  await site.untilReady('snapshot');
});

afterEach(async () => {
  site.gate.disarm();
  for (const { metadata } of site.list(persistentVolumeClaims)) {
    if (metadata.name !== 'source') await site.delete(persistentVolumeClaims, metadata.name);
  }
  await site.until('only the source is left', () => site.list(persistentVolumes).length === 1);
});

afterAll(async () => {
  await site.delete(persistentVolumeClaims, 'source');
  await site.delete(volumeSnapshots, 'snapshot');
  await untilNothingIsLeft(site);
  await site.end();
});

function withSource(name: string, field: 'dataSource' | 'dataSourceRef', source: object): object {
  const manifest = claimManifest(name, '64Mi') as { spec: object };
  return { ...manifest, spec: { ...manifest.spec, [field]: source } };
}

describe('a restore', () => {
  test('may be larger, and says what it came from', async () => {
    await site.create(restoredClaimManifest('larger', '100Mi', 'snapshot'));
    await site.untilBound('larger');
    const claim = site.find(persistentVolumeClaims, 'larger');
    const volume = site.find(persistentVolumes, claim?.spec.volumeName ?? '');
    expect(claim?.status?.capacity).toEqual({ storage: '100Mi' });
    expect(volume?.metadata.annotations).toMatchObject({
      'varve.dev/source': 'VolumeSnapshot/default/snapshot',
    });
    const made = await site.daemonClient.getVolume(volume?.metadata.name ?? '');
    const snapshotId = `snapshot-${site.find(volumeSnapshots, 'snapshot')?.metadata.uid}`;
    expect(made).toMatchObject({
      sizeBytes: 100 * 1024 ** 2,
      source: { snapshot: snapshotId },
      labels: { 'varve.dev/namespace': 'default', 'varve.dev/name': 'larger' },
    });
    expect(site.eventsOf('PersistentVolumeClaim', 'larger')).toContainEqual(
      expect.stringMatching(/^ProvisioningSucceeded: Successfully provisioned volume pvc-/),
    );
  });

  test('that comes before its snapshot waits for it', async () => {
    await site.create(restoredClaimManifest('early', '64Mi', 'late'));
    await site.untilTold('PersistentVolumeClaim', 'early', /snapshot late not found/);
    await site.create(snapshotManifest('late', 'source'));
    await site.untilBound('early');
    await site.until(
      'nothing is said to be wrong any more',
      () => site.find(persistentVolumeClaims, 'early')?.status?.conditions?.length !== 1,
    );
    await site.delete(volumeSnapshots, 'late');
  });

  test('of a snapshot that is deleted at the same moment still gets its data', async () => {
    await site.create(snapshotManifest('dying', 'source'));
    await site.untilReady('dying');
    await site.create(restoredClaimManifest('last', '64Mi', 'dying'));
    await site.delete(volumeSnapshots, 'dying');
    await site.untilBound('last');
    await site.until('the snapshot goes', () => site.find(volumeSnapshots, 'dying') === undefined);
  });

  test('says what it waits for while the daemon is away, and gets there when it is back', async () => {
    site.gate.refuse(/^PUT \/v1\/volumes\//);
    await site.create(restoredClaimManifest('patient', '64Mi', 'snapshot'));
    const refusal = /^ProvisioningFailed: .*the test refuses this call/;
    await site.untilTold('PersistentVolumeClaim', 'patient', refusal);
    const claim = site.find(persistentVolumeClaims, 'patient');
    expect(claim?.metadata.annotations).toMatchObject({ 'varve.dev/placement': 'node-1/pool' });
    expect(claim?.status?.conditions).toMatchObject([{ type: 'Provisioned', status: 'False' }]);
    site.gate.disarm();
    await site.untilBound('patient');
  });
});

describe('a claim with a wrong source', () => {
  const cases: readonly (readonly [string, object, RegExp])[] = [
    [
      'a snapshot that does not exist',
      withSource('missing-snapshot', 'dataSource', { ...existing, name: 'no-such' }),
      /snapshot no-such not found in namespace default/,
    ],
    [
      'a claim that does not exist',
      withSource('missing-claim', 'dataSource', { kind: 'PersistentVolumeClaim', name: 'no-such' }),
      /PVC no-such not found in namespace default/,
    ],
    [
      'less space than the snapshot has',
      restoredClaimManifest('smaller-restore', '63Mi', 'snapshot'),
      /requested volume size 66060288 is less than the size 67108864 for the source snapshot/,
    ],
    [
      'less space than the source claim has',
      claimManifest('smaller-clone', '32Mi', { kind: 'PersistentVolumeClaim', name: 'source' }),
      /requested volume size 33554432 is less than the size 67108864 for the source PVC source/,
    ],
    [
      'a kind that nobody knows, which the API server drops',
      withSource('wrong-kind', 'dataSource', { ...existing, kind: 'VolumeSnapshott' }),
      /was written with a dataSource.*an empty volume is not what was asked for/,
    ],
    [
      'an API group that nobody knows, which the API server drops',
      withSource('wrong-group', 'dataSource', { ...existing, apiGroup: 'storage.k8s.io' }),
      /was written with a dataSource.*an empty volume is not what was asked for/,
    ],
    [
      'a reference to a kind that nobody knows, which the API server keeps',
      withSource('wrong-reference', 'dataSourceRef', { ...existing, kind: 'Backup' }),
      /Backup "snapshot" of API group "snapshot.storage.k8s.io" is not a source that csi.varve/,
    ],
  ];

  test.each(cases)('(%s) is told what is wrong, and gets no volume', async (_case, claim, form) => {
    const held = await site.heldByDaemon();
    await site.create(claim);
    const { name } = (claim as { metadata: { name: string } }).metadata;
    await site.untilTold('PersistentVolumeClaim', name, form);
    const { status } = site.find(persistentVolumeClaims, name) ?? {};
    expect(status?.phase).toBe('Pending');
    expect(status?.conditions).toMatchObject([
      { type: 'Provisioned', status: 'False', reason: 'ProvisioningFailed' },
    ]);
    expect(await site.heldByDaemon()).toEqual(held);
  });
});

describe('a clone', () => {
  test('keeps its source while it is made, which says so, and survives it', async () => {
    const source: ClaimSource = { kind: 'PersistentVolumeClaim', name: 'template' };
    await site.create(claimManifest('template', '32Mi'));
    await site.untilBound('template');
    site.gate.refuse(/^PUT \/v1\/volumes\//);
    await site.create(claimManifest('copy', '48Mi', source));
    await site.untilTold('PersistentVolumeClaim', 'copy', /the test refuses this call/);
    await site.delete(persistentVolumeClaims, 'template');
    await site.untilTold(
      'PersistentVolumeClaim',
      'template',
      /^UsedAsSource: .*PVC copy is being cloned from it$/,
    );
    site.gate.disarm();
    await site.untilBound('copy');
    await site.until(
      'the template goes',
      () => site.find(persistentVolumeClaims, 'template') === undefined,
    );
  });
});
