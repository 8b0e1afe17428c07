import { describe, expect, test } from '@jest/globals';
import { annotations, finalizers } from '../shared/protocol-names.ts';
import { buildContent } from '../shared/testing/object-builders.ts';
import { decide, type Decision } from './decide.ts';
import type { World } from './world.ts';

const context = {
  driverName: 'csi.varve.dev',
  nowMs: Date.UTC(2026, 2, 1, 11),
  hasConditions: true,
};
const held = { finalizers: [finalizers.contentBound] };
const deleting = { ...held, deletionTimestamp: '2026-03-01T10:30:00Z' };
const beingCreated = { [annotations.contentBeingCreated]: 'yes' };
const beingDeleted = { [annotations.contentBeingDeleted]: 'yes' };
const handle = { daemon: 'node-1', id: 'snapshot-snapshot-uid' };

function decideFor(content: World['content'], claimant: World['claimant'] = 'alive'): Decision {
  return decide({ content, claimant }, context);
}

describe('decide() on a content of a volume', () => {
  test('does nothing for a content that is gone, or of another driver', () => {
    expect(decideFor(undefined).kind).toBe('nothing');
    const foreign = buildContent({ spec: { driver: 'other.example.org' }, status: null });
    expect(decideFor(foreign)).toEqual({
      kind: 'nothing',
      because: 'it belongs to another driver',
    });
  });

  test('puts finalizer and mark in place, in one write, before the daemon is asked', () => {
    expect(decideFor(buildContent({ status: null }))).toEqual({
      kind: 'prepare',
      addsFinalizer: true,
      marks: true,
    });
    expect(decideFor(buildContent({ metadata: held, status: null }))).toEqual({
      kind: 'prepare',
      addsFinalizer: false,
      marks: true,
    });
    const marked = buildContent({ metadata: { annotations: beingCreated }, status: null });
    expect(decideFor(marked)).toEqual({ kind: 'prepare', addsFinalizer: true, marks: false });
  });

  test('asks for a snapshot whose id derives from the UID of the VolumeSnapshot', () => {
    const content = buildContent({
      metadata: { ...held, annotations: beingCreated },
      status: null,
    });
    expect(decideFor(content)).toEqual({
      kind: 'take-snapshot',
      handle,
      volumeId: 'pvc-claim-uid',
    });
  });

  test('asks again with the same arguments while a failure is recorded and the mark stands', () => {
    const content = buildContent({
      metadata: { ...held, annotations: beingCreated },
      status: { readyToUse: false, error: { message: 'the daemon is away' } },
    });
    expect(decideFor(content)).toMatchObject({ kind: 'take-snapshot', handle });
  });

  test('takes the mark away once the answer is recorded', () => {
    const content = buildContent({ metadata: { ...held, annotations: beingCreated } });
    expect(decideFor(content)).toEqual({ kind: 'settle' });
  });

  test('is at rest when the snapshot is taken', () => {
    expect(decideFor(buildContent({ metadata: held })).kind).toBe('nothing');
  });

  test('protects a content that somebody else has created ready', () => {
    expect(decideFor(buildContent())).toEqual({
      kind: 'prepare',
      addsFinalizer: true,
      marks: false,
    });
  });

  test('does not try again after a failure that no retry can mend', () => {
    const content = buildContent({
      metadata: held,
      status: { readyToUse: false, error: { message: 'refused' } },
    });
    expect(decideFor(content).kind).toBe('nothing');
  });

  test('gives up on a volume handle that is none of ours, and tells it once', () => {
    const metadata = { ...held, annotations: beingCreated };
    const spec = { source: { volumeHandle: 'vol-123' } };
    const decision = decideFor(buildContent({ metadata, spec, status: null }));
    expect(decision).toMatchObject({
      kind: 'give-up',
      write: {
        patch: { readyToUse: false, error: { message: expect.stringContaining('"vol-123"') } },
        events: [{ type: 'Warning', reason: 'SnapshotCreationFailed' }],
      },
    });
  });

  test('does not start for a snapshot that is already being deleted', () => {
    const content = buildContent({
      metadata: { ...held, annotations: beingDeleted },
      status: null,
    });
    expect(decideFor(content).kind).toBe('nothing');
  });

  test('leaves a content alone that no snapshot has claimed', () => {
    const spec = { volumeSnapshotRef: { namespace: 'app', name: 's1' } };
    expect(decideFor(buildContent({ spec, status: null }), 'none').kind).toBe('nothing');
  });

  test('goes on when its snapshot is missing', () => {
    expect(decideFor(buildContent({ metadata: held }), 'gone').kind).toBe('nothing');
    const content = buildContent({
      metadata: { ...held, annotations: beingCreated },
      status: null,
    });
    expect(decideFor(content, 'gone').kind).toBe('take-snapshot');
  });

  test('reports a content with both sources or none', () => {
    const both = { volumeHandle: 'node-1/v', snapshotHandle: 'node-1/s' };
    for (const source of [both, {}]) {
      expect(decideFor(buildContent({ spec: { source } })).kind).toBe('report-invalid');
    }
  });
});

describe('decide() on a pre-provisioned content', () => {
  const source = { snapshotHandle: 'node-1/imported' };
  const unclaimed = { source, volumeSnapshotRef: { namespace: 'app', name: 's1' } };

  test('looks for the snapshot, claimed or not', () => {
    const query = { kind: 'query-snapshot', handle: { daemon: 'node-1', id: 'imported' } };
    expect(decideFor(buildContent({ metadata: held, spec: { source }, status: null }))).toEqual(
      query,
    );
    expect(decideFor(buildContent({ spec: unclaimed, status: null }), 'none')).toEqual(query);
  });

  test('gets its finalizer when a snapshot claims it', () => {
    expect(decideFor(buildContent({ spec: { source } }))).toEqual({
      kind: 'prepare',
      addsFinalizer: true,
      marks: false,
    });
  });

  test('is at rest when the snapshot was found', () => {
    expect(decideFor(buildContent({ metadata: held, spec: { source } })).kind).toBe('nothing');
  });

  test('tells of a handle that is none of ours', () => {
    const spec = { source: { snapshotHandle: 'snap-77' } };
    expect(decideFor(buildContent({ metadata: held, spec, status: null }))).toMatchObject({
      kind: 'write-status',
      write: {
        patch: {
          error: {
            message: expect.stringContaining('can not find snapshot for snapshotID snap-77'),
          },
        },
        events: [{ reason: 'SnapshotContentCheckandUpdateFailed' }],
      },
    });
  });
});

describe('decide() on a content that is being deleted', () => {
  const released = { ...deleting, annotations: beingDeleted };

  test('does nothing when our finalizer is gone', () => {
    const metadata = { ...deleting, finalizers: ['example.org/other'] };
    expect(decideFor(buildContent({ metadata })).kind).toBe('nothing');
  });

  test.each<[string, World['content'], World['claimant'], Decision]>([
    [
      'deletes the data when its snapshot is being deleted',
      buildContent({ metadata: released }),
      'alive',
      { kind: 'delete-snapshot', handle },
    ],
    [
      'lets go and keeps the data when the policy is Retain',
      buildContent({ metadata: released, spec: { deletionPolicy: 'Retain' } }),
      'alive',
      { kind: 'remove-finalizer' },
    ],
    [
      'deletes the data when a person deletes it and no snapshot of its UID exists any more',
      buildContent({ metadata: deleting }),
      'gone',
      { kind: 'delete-snapshot', handle },
    ],
    [
      'lets go when nothing was ever taken or asked for',
      buildContent({ metadata: released, status: null }),
      'alive',
      { kind: 'remove-finalizer' },
    ],
    [
      'deletes what may have been taken without an answer: the mark still stands',
      buildContent({
        metadata: { ...deleting, annotations: { ...beingDeleted, ...beingCreated } },
        status: null,
      }),
      'alive',
      { kind: 'delete-snapshot', handle },
    ],
    [
      'finishes a creation when a person deletes it while its snapshot lives',
      buildContent({ metadata: { ...deleting, annotations: beingCreated }, status: null }),
      'alive',
      { kind: 'take-snapshot', handle, volumeId: 'pvc-claim-uid' },
    ],
    [
      'deletes the data of a pre-provisioned one that nobody has claimed',
      buildContent({
        metadata: deleting,
        spec: {
          source: { snapshotHandle: 'node-1/imported' },
          volumeSnapshotRef: { namespace: 'app', name: 's1' },
        },
        status: { snapshotHandle: 'node-1/imported', readyToUse: true },
      }),
      'none',
      { kind: 'delete-snapshot', handle: { daemon: 'node-1', id: 'imported' } },
    ],
    [
      'lets a pre-provisioned one go whose snapshot was never found',
      buildContent({
        metadata: released,
        spec: { source: { snapshotHandle: 'unknown' } },
        status: { readyToUse: false, error: { message: 'can not find it' } },
      }),
      'alive',
      { kind: 'remove-finalizer' },
    ],
  ])('%s', (_case, content, claimant, decision) => {
    expect(decideFor(content, claimant)).toEqual(decision);
  });

  test('waits for its snapshot, and says so once', () => {
    const first = decideFor(buildContent({ metadata: deleting }));
    expect(first).toMatchObject({
      kind: 'write-status',
      write: {
        patch: { conditions: [{ type: 'Deletable', status: 'False', reason: 'BoundToSnapshot' }] },
        events: [{ message: expect.stringContaining('VolumeSnapshot app/s1 uses this content') }],
      },
    });
    if (first.kind !== 'write-status') return;
    const { conditions = [] } = first.write.patch;
    const told = buildContent({ metadata: deleting, status: { readyToUse: true, conditions } });
    expect(decideFor(told).kind).toBe('nothing');
  });
});
