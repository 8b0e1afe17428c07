/** On definitions of the snapshot API that have no conditions, as upstream's, all works. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  managedByLabel,
  type CustomResourceManifest,
} from '@varve/contract/kubernetes/custom-resource';
import { snapshotManifests } from '@varve/contract/kubernetes/resource-catalogue';
import { volumeSnapshots } from '@varve/operator/kube/resource';
import { createAll, deleteAll, untilAllIsThere, untilNothingIsLeft } from './life-cycle.ts';
import { oneMorePass } from './one-more-pass.ts';
import { OperatorSite } from './operator-site.ts';

let site: OperatorSite;

beforeAll(async () => {
  site = await OperatorSite.start(snapshotManifests().map(asUpstream));
});

afterAll(async () => {
  await site.end();
});

/** The definition without what we add, and without our label: not ours to change. */
function asUpstream(manifest: CustomResourceManifest): object {
  const text = JSON.stringify(manifest, (key, value: unknown) =>
    key === 'conditions' || key === managedByLabel.key ? undefined : value,
  );
  return JSON.parse(text) as object;
}

test('the operator works on definitions without conditions', async () => {
  await createAll(site);
  await untilAllIsThere(site);
  const before = site.find(volumeSnapshots, 'snapshot');
  expect(before?.status).toMatchObject({ readyToUse: true, restoreSize: '32Mi' });
  expect(before?.status).not.toHaveProperty('conditions');

  await site.stopOperator();
  // A new process finds out with one write that conditions are dropped, a write that changes nothing.
  const { unrest, calls } = await oneMorePass(site);
  expect(unrest).toEqual([]);
  expect(calls).toEqual([
    'PATCH /apis/snapshot.storage.k8s.io/v1/namespaces/default/volumesnapshots/snapshot/status',
  ]);
  expect(site.find(volumeSnapshots, 'snapshot')?.metadata.resourceVersion).toBe(
    before?.metadata.resourceVersion,
  );

  await site.startOperator();
  await deleteAll(site);
  await untilNothingIsLeft(site);
  expect(await site.heldByDaemon()).toEqual([]);
});
