import { describe, expect, test } from '@jest/globals';
import type { VolumeAttachment } from '../../kube/core-kinds.ts';
import type { ObjectMetadata } from '../../kube/kubernetes-object.ts';
import type { VolumeRevert } from '../../kube/volume-revert-kind.ts';
import {
  buildClaim,
  buildContent,
  buildSnapshot,
  buildVolume,
  driverName,
} from '../shared/testing/object-builders.ts';
import { decide } from './decide.ts';
import { refusedReason } from './progress.ts';
import type { World } from './world.ts';

const deletionTimestamp = '2026-03-01T10:30:00Z';

function buildRevert(
  metadata: Partial<ObjectMetadata> = {},
  changes: { readonly safetySnapshot?: boolean; readonly reason?: string } = {},
): VolumeRevert {
  const { safetySnapshot, reason } = changes;
  const condition = {
    type: 'Reverted',
    status: reason === 'Reverted' ? 'True' : 'False',
    message: 'm',
    lastTransitionTime: deletionTimestamp,
  } as const;
  return {
    apiVersion: 'varve.dev/v1alpha1',
    kind: 'VolumeRevert',
    metadata: {
      namespace: 'app',
      name: 'back',
      uid: 'u2',
      resourceVersion: '1',
      creationTimestamp: '2026-03-01T10:00:00Z',
      ...metadata,
    },
    spec: {
      persistentVolumeClaimName: 'data',
      volumeSnapshotName: 's1',
      ...(safetySnapshot === undefined ? {} : { safetySnapshot }),
    },
    ...(reason === undefined ? {} : { status: { conditions: [{ ...condition, reason }] } }),
  };
}

const attachment: VolumeAttachment = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'VolumeAttachment',
  metadata: { name: 'a', uid: 'a', resourceVersion: '1' },
  spec: {
    attacher: driverName,
    nodeName: 'worker-7',
    source: { persistentVolumeName: 'pvc-claim-uid' },
  },
};
const ready = { boundVolumeSnapshotContentName: 'snapcontent-snapshot-uid', readyToUse: true };
const content = buildContent();
const safety = buildSnapshot({ metadata: { name: 'before-revert-u2' }, status: ready });
const claimStatus = { phase: 'Pending' as const };

const settled: World = {
  revert: buildRevert(),
  claim: buildClaim(),
  volume: buildVolume(),
  attachments: [],
  snapshot: buildSnapshot({ status: ready }),
  content,
  safetySnapshot: safety,
  siblings: [buildRevert()],
};

const decideFor = (changes: Partial<World>) => decide({ ...settled, ...changes }, driverName);

describe('decide()', () => {
  test('reverts when all is there and nobody uses the volume', () => {
    expect(decideFor({})).toEqual({
      kind: 'revert',
      volume: { daemon: 'node-1', id: 'pvc-claim-uid' },
      snapshot: { daemon: 'node-1', id: 'snapshot-snapshot-uid' },
    });
  });

  test.each<[string, Partial<World>]>([
    ['is gone', { revert: undefined }],
    ['is being deleted', { revert: buildRevert({ deletionTimestamp }) }],
    ['is done', { revert: buildRevert({}, { reason: 'Reverted' }) }],
    ['was refused', { revert: buildRevert({}, { reason: refusedReason }) }],
  ])('does nothing when the revert %s', (_case, changes) => {
    expect(decideFor(changes).kind).toBe('nothing');
  });

  test.each<[string, Partial<World>, string]>([
    ['there is no claim', { claim: undefined }, 'ClaimNotFound'],
    [
      'the claim is being deleted',
      { claim: buildClaim({ metadata: { deletionTimestamp } }) },
      'ClaimBeingDeleted',
    ],
    ['the claim is pending', { claim: buildClaim({ status: claimStatus }) }, 'ClaimNotBound'],
    ['the volume is gone', { volume: undefined }, 'ClaimNotBound'],
    [
      'the volume is another claim’s',
      { volume: buildVolume({ spec: { claimRef: { uid: 'other' } } }) },
      'ClaimNotBound',
    ],
    ['there is no snapshot', { snapshot: undefined }, 'SnapshotNotFound'],
    [
      'the snapshot is being deleted',
      { snapshot: buildSnapshot({ metadata: { deletionTimestamp }, status: ready }) },
      'SnapshotBeingDeleted',
    ],
    ['the snapshot is not ready', { snapshot: buildSnapshot() }, 'SnapshotNotReady'],
    [
      'the content is another snapshot’s',
      { content: buildContent({ spec: { volumeSnapshotRef: { name: 's1', uid: 'other' } } }) },
      'SnapshotNotReady',
    ],
    ['a node has the volume', { attachments: [attachment] }, 'VolumeAttached'],
    [
      'an earlier revert is under way',
      {
        siblings: [
          buildRevert(),
          buildRevert({ name: 'first', uid: 'u9', creationTimestamp: '2026-03-01T09:00:00Z' }),
        ],
      },
      'EarlierRevert',
    ],
    [
      'the safety snapshot is being taken',
      { safetySnapshot: buildSnapshot() },
      'SafetySnapshotNotReady',
    ],
  ])('waits while %s', (_case, changes, reason) => {
    expect(decideFor(changes)).toMatchObject({ kind: 'wait', reason });
  });

  test('names the node that has the volume, and takes no safety snapshot under it', () => {
    const decision = decideFor({ attachments: [attachment], safetySnapshot: undefined });
    expect(decision).toMatchObject({ message: expect.stringContaining('"worker-7"') });
  });

  test.each<[string, Partial<World>]>([
    [
      'volume of another driver',
      { volume: buildVolume({ spec: { csi: { driver: 'other', volumeHandle: 'a/b' } } }) },
    ],
    ['snapshot of another driver', { content: buildContent({ spec: { driver: 'other' } }) }],
    [
      'snapshot at another daemon',
      {
        content: buildContent({
          status: { snapshotHandle: 'node-2/snapshot-snapshot-uid', readyToUse: true },
        }),
      },
    ],
    [
      'snapshot of another mode',
      { content: buildContent({ spec: { sourceVolumeMode: 'Block' } }) },
    ],
  ])('refuses a %s', (_case, changes) => {
    expect(decideFor(changes).kind).toBe('refuse');
  });

  test('takes a safety snapshot first, unless told not to', () => {
    expect(decideFor({ safetySnapshot: undefined })).toEqual({
      kind: 'take-safety-snapshot',
      className: 'hourly',
    });
    const revert = buildRevert({}, { safetySnapshot: false });
    expect(decideFor({ revert, safetySnapshot: undefined }).kind).toBe('revert');
  });

  test('waits for no earlier revert that is finished, nor for a later one', () => {
    const earlier = { name: 'x', uid: 'u1', creationTimestamp: '2026-03-01T09:00:00Z' };
    const later = { name: 'y', uid: 'u3' };
    for (const reason of ['Reverted', refusedReason]) {
      const siblings = [buildRevert(earlier, { reason }), buildRevert(later), buildRevert()];
      expect(decideFor({ siblings }).kind).toBe('revert');
    }
  });
});
