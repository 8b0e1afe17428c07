import { describe, expect, test } from '@jest/globals';
import type { CsiNode, VolumeAttachment } from '../../kube/core-kinds.ts';
import type { ObjectMetadata } from '../../kube/kubernetes-object.ts';
import { annotations } from '../shared/protocol-names.ts';
import { buildVolume } from '../shared/testing/object-builders.ts';
import { decide } from './decide.ts';
import type { World } from './world.ts';

const driverName = 'csi.varve.dev';
const finalizer = 'external-attacher/csi-varve-dev';
const nodeUid = '0d9e1c58-5c1f-4f6e-9a1d-3f1c2b7a4e60';
const hostNqn = `nqn.2014-08.org.nvmexpress:uuid:${nodeUid}`;
const recorded = {
  [annotations.attachmentNodeId]: 'worker-1',
  [annotations.attachmentHost]: hostNqn,
  [annotations.attachmentVolume]: 'node-1/pvc-claim-uid',
};
const grant = { handle: { daemon: 'node-1', id: 'pvc-claim-uid' }, hostNqn };
const held = { finalizers: [finalizer], annotations: recorded };
const deletionTimestamp = '2026-03-01T10:30:00Z';
const heldVolume = buildVolume({ metadata: { finalizers: [finalizer] } });

function attachment(
  metadata: Partial<ObjectMetadata> = {},
  changes: Partial<VolumeAttachment> = {},
): VolumeAttachment {
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'VolumeAttachment',
    metadata: { name: 'csi-1', uid: 'attachment-uid', resourceVersion: '1', ...metadata },
    spec: {
      attacher: driverName,
      nodeName: 'worker-1',
      source: { persistentVolumeName: 'pvc-claim-uid' },
    },
    ...changes,
  };
}

function csiNode(uid: string | undefined, drivers = [driverName]): CsiNode {
  const owner = { apiVersion: 'v1', kind: 'Node', name: 'worker-1', uid: uid ?? '' };
  const ownerReferences = uid === undefined ? [] : [owner];
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'CSINode',
    metadata: { name: 'worker-1', uid: 'csi-node-uid', resourceVersion: '1', ownerReferences },
    spec: { drivers: drivers.map((name) => ({ name, nodeID: 'worker-1' })) },
  };
}

const world: World = { attachment: attachment(), volume: heldVolume, csiNode: csiNode(nodeUid) };
const attached = { status: { attached: true } };

describe('decide() on a VolumeAttachment', () => {
  test.each<[string, Partial<World>, object]>([
    ['does nothing for one that is gone', { attachment: undefined }, { kind: 'nothing' }],
    [
      'leaves those of other drivers alone',
      { attachment: attachment({}, { spec: { ...attachment().spec, attacher: 'other' } }) },
      { kind: 'nothing' },
    ],
    [
      'waits for the volume',
      { volume: undefined },
      { kind: 'wait', message: 'PersistentVolume pvc-claim-uid does not exist' },
    ],
    [
      'attaches nothing that is being deleted',
      { volume: buildVolume({ metadata: { deletionTimestamp } }) },
      { kind: 'wait', message: 'PersistentVolume pvc-claim-uid is being deleted' },
    ],
    [
      'refuses a volume of another driver',
      { volume: buildVolume({ spec: { csi: { driver: 'other', volumeHandle: 'a/b' } } }) },
      { kind: 'wait', message: expect.stringContaining('"other"; it must be "csi.varve.dev"') },
    ],
    [
      'refuses a handle that is none of ours',
      { volume: buildVolume({ spec: { csi: { driver: driverName, volumeHandle: 'vol-1' } } }) },
      { kind: 'wait', message: 'volumeHandle "vol-1" must be <StorageDaemon>/<volume>' },
    ],
    [
      'waits for the node plugin',
      { csiNode: csiNode(nodeUid, ['other']) },
      { kind: 'wait', message: expect.stringContaining('worker-1 does not run the driver') },
    ],
    ['waits for a node that nobody owns', { csiNode: csiNode(undefined) }, { kind: 'wait' }],
    ['holds the volume first', { volume: buildVolume() }, { kind: 'hold-volume' }],
    ['records who gets access before anybody does', {}, { kind: 'record', annotations: recorded }],
    ['gives access then', { attachment: attachment(held) }, { kind: 'grant', grant }],
    [
      'gives access to the node on record even if another has its name now',
      { attachment: attachment(held), csiNode: csiNode('another-uid') },
      { kind: 'grant', grant },
    ],
    [
      'gives no access to a volume that is being deleted meanwhile',
      {
        attachment: attachment(held),
        volume: buildVolume({ metadata: { deletionTimestamp, finalizers: [finalizer] } }),
      },
      { kind: 'wait' },
    ],
    [
      'keeps an attached volume attached while it is being deleted',
      {
        attachment: attachment(held, attached),
        volume: buildVolume({ metadata: { deletionTimestamp, finalizers: [finalizer] } }),
      },
      { kind: 'grant', grant },
    ],
    [
      'fences the host on record although node and volume are gone',
      {
        attachment: attachment({ ...held, deletionTimestamp }, attached),
        volume: undefined,
        csiNode: undefined,
      },
      { kind: 'revoke', grant },
    ],
    [
      'fences what may have got access without an answer',
      { attachment: attachment({ ...held, deletionTimestamp }) },
      { kind: 'revoke', grant },
    ],
    [
      'fences what another attacher attached',
      { attachment: attachment({ finalizers: [finalizer], deletionTimestamp }, attached) },
      { kind: 'revoke', grant },
    ],
    [
      'holds what it cannot fence',
      {
        attachment: attachment({ finalizers: [finalizer], deletionTimestamp }, attached),
        csiNode: undefined,
      },
      { kind: 'cannot-revoke' },
    ],
    [
      'does not let go when the record has been damaged',
      {
        attachment: attachment({
          finalizers: [finalizer],
          annotations: { ...recorded, [annotations.attachmentVolume]: 'x' },
          deletionTimestamp,
        }),
        volume: undefined,
      },
      { kind: 'cannot-revoke' },
    ],
    [
      'lets go of what never got access',
      { attachment: attachment({ finalizers: [finalizer], deletionTimestamp }) },
      { kind: 'revoke', grant: undefined },
    ],
    [
      'has nothing to do with one that is going without our finalizer',
      { attachment: attachment({ deletionTimestamp }, attached) },
      { kind: 'nothing' },
    ],
  ])('%s', (_case, changes, expected) => {
    expect(decide({ ...world, ...changes }, driverName)).toMatchObject(expected);
  });
});
