/** What only the daemon or only the cluster knows of is told, and removed where that is switched on. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  persistentVolumeClaims,
  persistentVolumes,
  storageDaemons,
} from '@varve/operator/kube/resource';
import { claimManifest, driverName } from '../product/manifests.ts';
import { untilNothingIsLeft } from './life-cycle.ts';
import { daemonName, OperatorSite } from './operator-site.ts';

const eagerRemoval = [
  '--orphan-check-seconds=1',
  '--orphan-removal=on',
  '--orphan-grace-seconds=1',
];
const unknownUid = '11111111-2222-4333-8444-555555555555';

let site: OperatorSite;

beforeAll(async () => {
  site = await OperatorSite.start([], ['--orphan-check-seconds=1']);
});

afterAll(async () => {
  await site.end();
});

async function putVolume(id: string, labels: Record<string, string>): Promise<void> {
  await site.daemonClient.putVolume(id, { pool: 'pool', sizeBytes: 4 * 1024 ** 2, labels });
}

function consistency(): string {
  const conditions = site.find(storageDaemons, daemonName)?.status?.conditions ?? [];
  const condition = conditions.find(({ type }) => type === 'Consistent');
  return `${condition?.status} ${condition?.reason}: ${condition?.message}`;
}

test('data without an object is told of, and kept', async () => {
  await site.create(claimManifest('known', '32Mi'));
  await site.untilBound('known');
  await putVolume('of-somebody-else', { team: 'blue' });
  await putVolume(`pvc-${unknownUid}`, {
    'varve.dev/kind': 'PersistentVolumeClaim',
    'varve.dev/namespace': 'default',
    'varve.dev/name': 'forgotten',
    'varve.dev/uid': unknownUid,
  });
  const told =
    `1 volume without a claim or PersistentVolume: pvc-${unknownUid} ` +
    '(PersistentVolumeClaim default/forgotten)';
  await site.until('the orphan is told', () => consistency() === `False OrphansFound: ${told}`);
  await site.untilTold('StorageDaemon', daemonName, /^OrphansFound: 1 volume without a claim/);
});

test('an object without data is told of, and kept', async () => {
  await site.create({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'hollow' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: '32Mi' },
      persistentVolumeReclaimPolicy: 'Retain',
      csi: { driver: driverName, volumeHandle: `${daemonName}/no-such-volume` },
    },
  });
  await site.until('the hollow volume is told', () =>
    consistency().includes('1 PersistentVolume without a volume at the daemon: hollow'),
  );
  await site.delete(persistentVolumes, 'hollow');
});

test('where it is switched on, data without an object is removed; that of others is not', async () => {
  await site.stopOperator();
  await site.startOperator(eagerRemoval);
  await site.untilTold('StorageDaemon', daemonName, /^OrphanRemoved: Removed volume pvc-1111/);
  await site.until('all is well', () => consistency().startsWith('True Consistent: All that'));
  const known = site.find(persistentVolumeClaims, 'known');
  expect(await site.heldByDaemon()).toEqual(
    ['of-somebody-else', `pvc-${known?.metadata.uid}`].sort(),
  );
  await site.delete(persistentVolumeClaims, 'known');
  await site.daemonClient.deleteVolume('of-somebody-else');
  await untilNothingIsLeft(site);
});
