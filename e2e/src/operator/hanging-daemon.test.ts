/** A daemon that takes calls and never answers makes its own objects wait, and nobody else's. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  persistentVolumeClaims,
  volumeSnapshotContents,
  volumeSnapshots,
} from '@varve/operator/kube/resource';
import { claimManifest, driverName, snapshotManifest } from '../product/manifests.ts';
import { CallGate } from './call-gate.ts';
import type { DaemonGateway } from './daemon-gateway.ts';
import { untilNothingIsLeft } from './life-cycle.ts';
import { OperatorSite } from './operator-site.ts';

/** More than a controller has workers. */
const waitingCount = 100;
/** Half of a controller's workers. */
const callsMax = 32;

const gate = new CallGate();
let site: OperatorSite;
let gateway: DaemonGateway;

beforeAll(async () => {
  site = await OperatorSite.start();
  gateway = await site.openGateway(gate);
});

afterAll(async () => {
  await gateway.close();
  await site.end();
});

function contentManifest(name: string): object {
  return {
    apiVersion: 'snapshot.storage.k8s.io/v1',
    kind: 'VolumeSnapshotContent',
    metadata: { name },
    spec: {
      deletionPolicy: 'Retain',
      driver: driverName,
      source: { snapshotHandle: `hanging/${name}` },
      volumeSnapshotRef: { namespace: 'default', name },
    },
  };
}

test('a snapshot at another daemon is taken meanwhile', async () => {
  gate.hold(/^GET \/v1\/snapshots\//);
  await site.create({
    apiVersion: 'varve.dev/v1alpha1',
    kind: 'StorageDaemon',
    metadata: { name: 'hanging' },
    spec: { endpoint: gateway.endpoint, cordoned: true },
  });
  const names = Array.from({ length: waitingCount }, (_, index) => `waiting-${index}`);
  await site.create(...names.map(contentManifest));
  await site.create(claimManifest('source', '32Mi'), snapshotManifest('snapshot', 'source'));
  await site.untilReady('snapshot');
  expect(gateway.heldCountMax).toBe(callsMax);
  gate.disarm();
  for (const name of names) await site.delete(volumeSnapshotContents, name);
  await site.delete(volumeSnapshots, 'snapshot');
  await site.delete(persistentVolumeClaims, 'source');
  await untilNothingIsLeft(site);
});
