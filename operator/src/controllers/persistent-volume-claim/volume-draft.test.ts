import { describe, expect, test } from '@jest/globals';
import type { Volume } from '@varve/contract/volume';
import { buildClaim, buildStorageClass } from '../shared/testing/object-builders.ts';
import { draftVolume } from './volume-draft.ts';

const made: Volume = {
  id: 'pvc-claim-uid',
  uuid: '0e2d8b5a-1111-4222-8333-444455556666',
  pool: 'nvme',
  sizeBytes: 1024 ** 3,
  labels: {},
  limits: {},
  filesystem: { state: 'blank' },
  createdAt: '2026-03-01T10:00:00.000Z',
  referencedBytes: 0,
  connections: 0,
  hosts: [],
  exportName: 'volume/pvc-claim-uid',
  reverts: [],
};
const origin = {
  driverName: 'csi.varve.dev',
  provisionerIdentity: '1772359200000-4711-csi.varve.dev',
  storageClass: buildStorageClass({ mountOptions: ['noatime'] }),
  demand: {
    sizeBytes: 1024 ** 3,
    isBlock: false,
    fsType: 'ext4',
    daemon: undefined,
    pool: undefined,
  },
  daemon: 'node-1',
  volume: made,
  sourceTitle: undefined,
} as const;

describe('draftVolume()', () => {
  test('says exactly what the claim says, so that kube binds the two', () => {
    expect(draftVolume(buildClaim(), origin)).toEqual({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: {
        name: 'pvc-claim-uid',
        annotations: {
          'pv.kubernetes.io/provisioned-by': 'csi.varve.dev',
          'volume.kubernetes.io/provisioner-deletion-secret-name': '',
          'volume.kubernetes.io/provisioner-deletion-secret-namespace': '',
        },
        finalizers: ['external-provisioner.volume.kubernetes.io/finalizer'],
      },
      spec: {
        accessModes: ['ReadWriteOnce'],
        capacity: { storage: '1Gi' },
        claimRef: {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          namespace: 'app',
          name: 'data',
          uid: 'claim-uid',
          resourceVersion: '1',
        },
        csi: {
          driver: 'csi.varve.dev',
          volumeHandle: 'node-1/pvc-claim-uid',
          fsType: 'ext4',
          volumeAttributes: {
            'storage.kubernetes.io/csiProvisionerIdentity': '1772359200000-4711-csi.varve.dev',
          },
        },
        mountOptions: ['noatime'],
        persistentVolumeReclaimPolicy: 'Delete',
        storageClassName: 'fast',
        volumeMode: 'Filesystem',
      },
    });
  });

  test('keeps the file system of the source, and tells what the content came from', () => {
    const restored = draftVolume(buildClaim(), {
      ...origin,
      volume: { ...made, filesystem: { state: 'ready', type: 'xfs' } },
      sourceTitle: 'VolumeSnapshot/app/s1',
    });
    expect(restored.spec.csi?.fsType).toBe('xfs');
    expect(restored.metadata.annotations).toMatchObject({
      'varve.dev/source': 'VolumeSnapshot/app/s1',
    });
  });

  test('names no file system for a raw device, and keeps the policy of the class', () => {
    const claim = buildClaim({ spec: { volumeMode: 'Block' } });
    const draft = draftVolume(claim, {
      ...origin,
      demand: { ...origin.demand, isBlock: true },
      storageClass: buildStorageClass({ reclaimPolicy: 'Retain' }),
    });
    expect(draft.spec.csi).not.toHaveProperty('fsType');
    expect(draft.spec).not.toHaveProperty('mountOptions');
    expect(draft.spec).toMatchObject({
      volumeMode: 'Block',
      persistentVolumeReclaimPolicy: 'Retain',
    });
  });
});
