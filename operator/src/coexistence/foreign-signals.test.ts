import { describe, expect, test } from '@jest/globals';
import type { Lease, Pod } from '../kube/core-kinds.ts';
import type { KubernetesObject, ObjectMetadata } from '../kube/kubernetes-object.ts';
import { leaseSign, podSign, writeSign } from './foreign-signals.ts';

const nowMs = Date.parse('2026-11-25T08:00:00Z');

function metadata(name: string, more: Partial<ObjectMetadata> = {}): ObjectMetadata {
  return { name, namespace: 'kube-system', uid: 'u', resourceVersion: '1', ...more };
}

function lease(name: string, holderIdentity: string, renewTime: string): Lease {
  const kinds = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
  return { ...kinds, metadata: metadata(name), spec: { holderIdentity, renewTime } };
}

function pod(image: string, phase: string, more: Partial<ObjectMetadata> = {}): Pod {
  const containers = [{ image: 'example.com/other:1' }, { image }];
  const kinds = { apiVersion: 'v1', kind: 'Pod' };
  return { ...kinds, metadata: metadata('p', more), spec: { containers }, status: { phase } };
}

function written(manager: string, time: string): KubernetesObject {
  const kinds = { apiVersion: 'snapshot.storage.k8s.io/v1', kind: 'VolumeSnapshot' };
  return { ...kinds, metadata: metadata('s', { managedFields: [{ manager, time }] }) };
}

describe('a Lease', () => {
  const name = 'snapshot-controller-leader';
  const previous = lease(name, 'a', 't1');

  test('that is renewed proves a foreign controller', () => {
    const object = lease(name, 'a', 't2');
    expect(leaseSign({ type: 'modified', object, previous })).toBe(
      'Lease kube-system/snapshot-controller-leader is renewed by a',
    );
  });

  test('proves nothing when it is found, stands still, was given up or is another', () => {
    expect(leaseSign({ type: 'added', object: previous, previous: undefined })).toBeUndefined();
    const given = lease(name, '', 't2');
    expect(leaseSign({ type: 'modified', object: given, previous })).toBeUndefined();
    expect(leaseSign({ type: 'modified', object: previous, previous })).toBeUndefined();
    const other = lease('varve-operator', 'a', 't2');
    expect(leaseSign({ type: 'modified', object: other, previous })).toBeUndefined();
  });
});

describe('a pod', () => {
  const images = [
    ['registry.k8s.io/sig-storage/snapshot-controller:v8.6.0', true],
    ['localhost:5000/snapshot-controller@sha256:0123', true],
    ['quay.io/openshift/csi-snapshot-controller', true],
    ['registry.k8s.io/sig-storage/csi-snapshotter:v8.6.0', false],
    ['example.com/my-snapshot-controller-exporter:1', false],
  ] as const;

  test.each(images)('of image %s: %s', (image, isSign) => {
    expect(podSign(pod(image, 'Running')) !== undefined).toBe(isSign);
  });

  test('that has ended, or is ending, is no sign', () => {
    const [[image]] = images;
    expect(podSign(pod(image, 'Succeeded'))).toBeUndefined();
    expect(podSign(pod(image, 'Running', { deletionTimestamp: 't' }))).toBeUndefined();
  });
});

describe('a write', () => {
  const recent = written('snapshot-controller', '2026-11-25T07:59:30Z');
  const old = written('snapshot-controller', '2026-11-25T07:00:00Z');

  test('is a sign when it is seen, or was a moment ago', () => {
    const sign = 'VolumeSnapshot s was written by a snapshot-controller';
    expect(writeSign({ type: 'added', object: recent, previous: undefined }, nowMs)).toBe(sign);
    expect(writeSign({ type: 'modified', object: recent, previous: old }, nowMs)).toBe(sign);
  });

  test('is none when it is old, seen already, or somebody else’s', () => {
    const ours = written('varve-operator', '2026-11-25T07:59:30Z');
    expect(writeSign({ type: 'added', object: old, previous: undefined }, nowMs)).toBeUndefined();
    expect(
      writeSign({ type: 'modified', object: recent, previous: recent }, nowMs),
    ).toBeUndefined();
    expect(writeSign({ type: 'added', object: ours, previous: undefined }, nowMs)).toBeUndefined();
  });
});
