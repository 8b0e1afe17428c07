/** On definitions of the snapshot API that have no conditions, as upstream's, all works. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { KubernetesObject } from '@varve/operator/kube/kubernetes-object';
import type { VolumeSnapshot } from '@varve/operator/kube/snapshot-kinds';
import { volumeSnapshotContents, volumeSnapshots } from '@varve/operator/kube/resource';
import { createAll, deleteAll, untilAllIsThere, untilNothingIsLeft } from './life-cycle.ts';
import { oneMorePass } from './one-more-pass.ts';
import { OperatorSite } from './operator-site.ts';
import { upstreamDefinitions } from './upstream-manifests.ts';

let site: OperatorSite;

beforeAll(async () => {
  site = await OperatorSite.start(upstreamDefinitions());
});

afterAll(async () => {
  await site.end();
});

test('the operator works on definitions without conditions', async () => {
  await createAll(site);
  await untilAllIsThere(site);
  const find = (): VolumeSnapshot | undefined => site.find(volumeSnapshots, 'snapshot');
  const before = find();
  expect(before?.status).toMatchObject({ readyToUse: true, restoreSize: '32Mi' });
  expect(before?.status).not.toHaveProperty('conditions');
  const note = 'Ready: the snapshot is taken and can be restored from';
  const isNoted = ({ metadata }: KubernetesObject): boolean =>
    metadata.annotations?.['varve.dev/status'] === note;
  await site.until('the state is noted at both', () =>
    [...site.list(volumeSnapshots), ...site.list(volumeSnapshotContents)].every(isNoted),
  );

  const noted = find();
  await site.stopOperator();
  // A new process finds out with one write that conditions are dropped, a write that changes nothing.
  const { unrest, calls } = await oneMorePass(site);
  expect(unrest).toEqual([]);
  expect(calls).toEqual([
    'PATCH /apis/snapshot.storage.k8s.io/v1/namespaces/default/volumesnapshots/snapshot/status',
  ]);
  expect(find()?.metadata.resourceVersion).toBe(noted?.metadata.resourceVersion);

  await site.startOperator();
  await deleteAll(site);
  await untilNothingIsLeft(site);
  expect(await site.heldByDaemon()).toEqual([]);
});
