/**
 * The role of the snapshot controller: taken at once where the definitions are ours, after canaries that nobody
 * answered where they are not, and given up at once when a foreign controller shows itself.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { persistentVolumeClaims, volumeSnapshots } from '@varve/operator/kube/resource';
import { claimManifest, snapshotManifest } from '../product/manifests.ts';
import { ForeignController } from './foreign-controller.ts';
import { untilNothingIsLeft } from './life-cycle.ts';
import { OperatorSite } from './operator-site.ts';
import { upstreamDefinitions } from './upstream-manifests.ts';

const canaryLabel = 'varve.dev/canary';

let site: OperatorSite;
let foreign: ForeignController;

beforeAll(async () => {
  site = await OperatorSite.start(upstreamDefinitions());
  foreign = new ForeignController(site.kubeConfig);
  await site.create(claimManifest('source', '32Mi'));
  await site.untilBound('source');
});

afterAll(async () => {
  await foreign.stop();
  await site.end();
});

function canaries(): readonly string[] {
  return site
    .list(volumeSnapshots)
    .filter(({ metadata }) => metadata.labels?.[canaryLabel] !== undefined)
    .map(({ metadata }) => metadata.name);
}

describe('on definitions of others the operator', () => {
  test('says what a snapshot waits for, and takes it when no canary was answered', async () => {
    await site.stopOperator();
    await site.startOperator();
    await site.create(snapshotManifest('first', 'source'));
    const waiting = /^FindingSnapshotController: .* until 20..-.*Z at the latest; the snapshot is/;
    await site.untilTold('VolumeSnapshot', 'first', waiting);
    await site.untilReady('first');
    expect(canaries()).toEqual([]);
  });

  test('stops at the first write of a foreign controller, and goes on when that is gone', async () => {
    foreign.start();
    await foreign.touch('first');
    await site.create(snapshotManifest('second', 'source'));
    // It has the role for as long as it answers: canaries too.
    await site.until('a canary was sent and answered', () => foreign.answeredCanaryCount > 0);
    const second = site.find(volumeSnapshots, 'second');
    const writers = second?.metadata.managedFields?.map(({ manager }) => manager) ?? [];
    expect(writers).not.toContain('varve-operator');
    expect(second?.status?.boundVolumeSnapshotContentName).toBeUndefined();
    await foreign.stop();
    await site.untilReady('second');
  });

  test('leaves nothing of it behind', async () => {
    await site.delete(volumeSnapshots, 'first');
    await site.delete(volumeSnapshots, 'second');
    await site.delete(persistentVolumeClaims, 'source');
    await untilNothingIsLeft(site);
    expect(await site.heldByDaemon()).toEqual([]);
  });
});
