import { describe, expect, test } from '@jest/globals';
import { buildClaim } from '../shared/testing/object-builders.ts';
import { findDroppedSource } from './dropped-source.ts';

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

function applied(spec: object): Record<string, string> {
  return { [lastApplied]: JSON.stringify({ kind: 'PersistentVolumeClaim', spec }) };
}

describe('findDroppedSource()', () => {
  test('quotes what was applied with kubectl', () => {
    const dataSource = { kind: 'VolumeSnapshot', name: 's1', apiGroup: 'storage.k8s.io' };
    const claim = buildClaim({ metadata: { annotations: applied({ dataSource }) } });
    expect(findDroppedSource(claim)).toBe(
      'dataSource with kind "VolumeSnapshot", name "s1" and apiGroup "storage.k8s.io"',
    );
  });

  test('sees from the record of field owners that one was written', () => {
    const managedFields = [
      { manager: 'kubectl-create', fieldsV1: { 'f:spec': { 'f:dataSource': {} } } },
    ];
    expect(findDroppedSource(buildClaim({ metadata: { managedFields } }))).toBe('dataSource');
  });

  test('finds none where none was written, or where it is still there', () => {
    expect(findDroppedSource(buildClaim())).toBeUndefined();
    const managedFields = [{ manager: 'x', fieldsV1: { 'f:spec': { 'f:accessModes': {} } } }];
    const metadata = { managedFields, annotations: applied({ accessModes: [] }) };
    expect(findDroppedSource(buildClaim({ metadata }))).toBeUndefined();
    const dataSource = { kind: 'PersistentVolumeClaim', name: 'data' };
    const kept = buildClaim({
      metadata: { annotations: applied({ dataSource }) },
      spec: { dataSource },
    });
    expect(findDroppedSource(kept)).toBeUndefined();
  });

  test('is not misled by an annotation that is not JSON', () => {
    const annotations = { [lastApplied]: '{' };
    expect(findDroppedSource(buildClaim({ metadata: { annotations } }))).toBeUndefined();
  });
});
