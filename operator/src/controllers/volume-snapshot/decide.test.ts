import { describe, expect, test } from '@jest/globals';
import { annotations, finalizers } from '../shared/protocol-names.ts';
import {
  buildClaim,
  buildContent,
  buildSnapshot,
  buildSnapshotClass,
  buildVolume,
} from '../shared/testing/object-builders.ts';
import { decide, type Decision } from './decide.ts';
import type { World } from './world.ts';

const context = {
  driverName: 'csi.varve.dev',
  nowMs: Date.UTC(2026, 2, 1, 11),
  hasConditions: true,
};
const bothFinalizers = [finalizers.snapshotAsSource, finalizers.snapshotBound];
const deleting = { deletionTimestamp: '2026-03-01T10:30:00Z' };

function worldWith(changes: Partial<World>): World {
  return {
    snapshot: buildSnapshot({ metadata: { finalizers: bothFinalizers } }),
    content: undefined,
    namedClass: buildSnapshotClass(),
    defaultClasses: [],
    claim: buildClaim(),
    volume: buildVolume(),
    pendingRestores: [],
    ...changes,
  };
}

function decideFor(changes: Partial<World>): Decision {
  return decide(worldWith(changes), context);
}

/** The decision to record a failure, in its essentials. */
function failureOf(decision: Decision): {
  reason: string | undefined;
  message: string | undefined;
} {
  expect(decision.kind).toBe('write-status');
  if (decision.kind !== 'write-status') throw new Error('unreachable');
  const { patch, events } = decision.write;
  expect(events).toHaveLength(1);
  expect(events[0]).toMatchObject({ type: 'Warning', message: patch.error?.message });
  const [ready] = patch.conditions ?? [];
  expect(ready).toMatchObject({
    type: 'Ready',
    status: 'False',
    reason: events[0]?.reason,
    message: patch.error?.message,
  });
  return { reason: events[0]?.reason, message: patch.error?.message };
}

describe('decide() on a snapshot of a claim', () => {
  test('does nothing for a snapshot that is gone', () => {
    expect(decideFor({ snapshot: undefined }).kind).toBe('nothing');
  });

  test('adds both finalizers before the first side effect', () => {
    expect(decideFor({ snapshot: buildSnapshot() })).toEqual({
      kind: 'add-finalizers',
      finalizers: bothFinalizers,
    });
  });

  test('adds the as-source finalizer alone when the class retains', () => {
    const namedClass = buildSnapshotClass({ deletionPolicy: 'Retain' });
    expect(decideFor({ snapshot: buildSnapshot(), namedClass })).toEqual({
      kind: 'add-finalizers',
      finalizers: [finalizers.snapshotAsSource],
    });
  });

  test('creates the content with all that is needed later', () => {
    const decision = decideFor({});
    expect(decision).toEqual({
      kind: 'create-content',
      content: {
        apiVersion: 'snapshot.storage.k8s.io/v1',
        kind: 'VolumeSnapshotContent',
        metadata: {
          name: 'snapcontent-snapshot-uid',
          finalizers: [finalizers.contentBound],
          annotations: { [annotations.contentBeingCreated]: 'yes' },
        },
        spec: {
          deletionPolicy: 'Delete',
          driver: 'csi.varve.dev',
          source: { volumeHandle: 'node-1/pvc-claim-uid' },
          sourceVolumeMode: 'Filesystem',
          volumeSnapshotClassName: 'hourly',
          volumeSnapshotRef: {
            apiVersion: 'snapshot.storage.k8s.io/v1',
            kind: 'VolumeSnapshot',
            namespace: 'app',
            name: 's1',
            uid: 'snapshot-uid',
            resourceVersion: '1',
          },
        },
      },
    });
  });

  test('says that it waits while the content has no status', () => {
    const decision = decideFor({ content: buildContent({ status: null }) });
    expect(decision).toMatchObject({
      kind: 'write-status',
      write: {
        patch: {
          boundVolumeSnapshotContentName: 'snapcontent-snapshot-uid',
          readyToUse: false,
          conditions: [{ type: 'Ready', status: 'False', reason: 'CreatingSnapshot' }],
        },
        events: [],
      },
    });
  });

  test('says nothing for a moment after the content was made: the daemon is quick', () => {
    const made = (creationTimestamp: string): Decision =>
      decideFor({ content: buildContent({ metadata: { creationTimestamp }, status: null }) });
    expect(made('2026-03-01T10:59:59Z')).toEqual({ kind: 'wait', delayMs: 1000 });
    expect(made('2026-03-01T10:59:58Z').kind).toBe('write-status');
    expect(made('2026-03-01T11:00:01Z').kind).toBe('write-status');
  });

  test('tells in one write that the content is ready', () => {
    const decision = decideFor({ content: buildContent() });
    expect(decision).toEqual({
      kind: 'write-status',
      write: {
        patch: {
          boundVolumeSnapshotContentName: 'snapcontent-snapshot-uid',
          creationTime: '2026-03-01T10:00:00Z',
          readyToUse: true,
          restoreSize: '1Gi',
          conditions: [
            {
              type: 'Ready',
              status: 'True',
              reason: 'SnapshotReady',
              message: 'The snapshot can be restored from snapcontent-snapshot-uid',
              lastTransitionTime: '2026-03-01T11:00:00Z',
              observedGeneration: 1,
            },
          ],
        },
        events: [
          {
            type: 'Normal',
            reason: 'SnapshotCreated',
            message: 'Snapshot app/s1 was successfully created by the CSI driver.',
          },
          {
            type: 'Normal',
            reason: 'SnapshotReady',
            message: 'Snapshot app/s1 is ready to use.',
          },
        ],
      },
    });
  });

  test('mirrors the failure of the content, and clears it when the content does', () => {
    const error = { time: '2026-03-01T10:00:00Z', message: 'the daemon is away' };
    const failing = buildContent({ status: { readyToUse: false, error } });
    const first = decideFor({ content: failing });
    expect(first).toMatchObject({
      kind: 'write-status',
      write: {
        patch: {
          readyToUse: false,
          error,
          conditions: [{ reason: 'SnapshotCreationFailed', message: 'the daemon is away' }],
        },
        events: [{ type: 'Warning', reason: 'SnapshotCreationFailed' }],
      },
    });
    const snapshot = buildSnapshot({
      metadata: { finalizers: bothFinalizers },
      status: { readyToUse: false, error },
    });
    expect(decideFor({ snapshot, content: buildContent() })).toMatchObject({
      kind: 'write-status',
      write: { patch: { readyToUse: true, error: null } },
    });
  });

  test.each<[string, Partial<World>, string, RegExp]>([
    [
      'the class does not exist',
      { namedClass: undefined },
      'GetSnapshotClassFailed',
      /^Failed to get snapshot class with error .*"hourly" not found$/,
    ],
    [
      'the claim does not exist',
      { claim: undefined, volume: undefined },
      'SnapshotContentCreationFailed',
      /^Failed to create snapshot content with error the PVC data does not exist/,
    ],
    [
      'the claim is Pending',
      {
        claim: buildClaim({ spec: { volumeName: '' }, status: { phase: 'Pending' } }),
        volume: undefined,
      },
      'SnapshotContentCreationFailed',
      /the PVC data is not yet bound to a PV, will not attempt to take a snapshot/,
    ],
    [
      'the claim is being deleted',
      { claim: buildClaim({ metadata: deleting }) },
      'SnapshotContentCreationFailed',
      /cannot add finalizer on claim data because it is being deleted/,
    ],
    [
      'the volume is bound to another claim',
      { volume: buildVolume({ spec: { claimRef: { namespace: 'app', name: 'data', uid: 'x' } } }) },
      'SnapshotContentCreationFailed',
      /claim in dataSource not bound or invalid/,
    ],
    [
      'the volume is not a CSI volume',
      { volume: { ...buildVolume(), spec: { ...buildVolume().spec, csi: undefined } as never } },
      'SnapshotContentCreationFailed',
      /cannot find CSI PersistentVolumeSource for volume pvc-claim-uid/,
    ],
    [
      'the volume is of another driver',
      {
        volume: buildVolume({
          spec: { csi: { driver: 'other.example.org', volumeHandle: 'v' } },
        }),
      },
      'SnapshotContentCreationFailed',
      /is of driver csi.varve.dev, but PVC data is of driver other.example.org/,
    ],
    [
      'the class has a parameter that nobody knows',
      { namedClass: buildSnapshotClass({ parameters: { quick: 'true' } }) },
      'SnapshotContentCreationFailed',
      /VolumeSnapshotClass hourly: .*parameter quick is unknown/,
    ],
    [
      'the class is of another driver',
      { namedClass: buildSnapshotClass({ driver: 'other.example.org' }) },
      'SnapshotContentCreationFailed',
      /is of driver other.example.org, but PVC data is of driver csi.varve.dev/,
    ],
    [
      "the content of its name is another snapshot's",
      {
        content: buildContent({
          spec: { volumeSnapshotRef: { namespace: 'app', name: 's1', uid: 'other' } },
        }),
      },
      'SnapshotContentMisbound',
      /\[snapcontent-snapshot-uid\] is bound to a different snapshot/,
    ],
    [
      'the content of its name is pre-provisioned',
      { content: buildContent({ spec: { source: { snapshotHandle: 'node-1/x' } } }) },
      'SnapshotContentMismatch',
      /is pre-provisioned while expecting a dynamically provisioned one/,
    ],
  ])('records a failure when %s', (_case, changes, reason, message) => {
    const failure = failureOf(decideFor(changes));
    expect(failure.reason).toBe(reason);
    expect(failure.message).toMatch(message);
  });

  test('says a failure once', () => {
    const first = decideFor({ namedClass: undefined });
    if (first.kind !== 'write-status') throw new Error(first.kind);
    const { error, conditions } = first.write.patch;
    const snapshot = buildSnapshot({
      metadata: { finalizers: bothFinalizers },
      status: { error: error ?? {}, conditions: conditions ?? [] },
    });
    expect(decideFor({ snapshot, namedClass: undefined }).kind).toBe('nothing');
  });

  test('never takes a second snapshot for one whose content was lost', () => {
    const snapshot = buildSnapshot({
      metadata: { finalizers: bothFinalizers },
      status: {
        boundVolumeSnapshotContentName: 'snapcontent-snapshot-uid',
        creationTime: '2026-03-01T10:00:00Z',
        readyToUse: true,
      },
    });
    const decision = decideFor({ snapshot });
    expect(failureOf(decision).reason).toBe('SnapshotContentMissing');
    expect(decision).toMatchObject({ write: { patch: { readyToUse: false } } });
    const unready = {
      ...snapshot,
      status: { ...snapshot.status, readyToUse: false },
    };
    expect(failureOf(decideFor({ snapshot: unready })).reason).toBe('SnapshotContentMissing');
  });

  test('needs neither class nor claim nor volume once the content is there', () => {
    const decision = decideFor({
      content: buildContent(),
      namedClass: undefined,
      claim: undefined,
      volume: undefined,
    });
    expect(decision).toMatchObject({
      kind: 'write-status',
      write: { patch: { readyToUse: true } },
    });
  });

  test.each<[string, Partial<World>]>([
    ['its content', { content: buildContent({ spec: { driver: 'other.example.org' } }) }],
    [
      'its class and volume',
      {
        namedClass: buildSnapshotClass({ driver: 'other.example.org' }),
        volume: buildVolume({ spec: { csi: { driver: 'other.example.org', volumeHandle: 'v' } } }),
      },
    ],
    [
      'its volume, while it names no class',
      {
        snapshot: buildSnapshot({ spec: { volumeSnapshotClassName: undefined as never } }),
        namedClass: undefined,
        volume: buildVolume({ spec: { csi: { driver: 'other.example.org', volumeHandle: 'v' } } }),
      },
    ],
  ])('leaves a snapshot alone that is of another driver by %s', (_case, changes) => {
    expect(decideFor(changes)).toEqual({
      kind: 'nothing',
      because: 'it belongs to another driver',
    });
  });
});

describe('decide() on a snapshot without a class', () => {
  const { volumeSnapshotClassName: _, ...spec } = buildSnapshot().spec;
  const snapshot = { ...buildSnapshot(), spec };
  const ours = buildSnapshotClass();

  test('writes the only default class of the driver into the snapshot', () => {
    expect(decideFor({ snapshot, namedClass: undefined, defaultClasses: [ours] })).toEqual({
      kind: 'choose-class',
      className: 'hourly',
    });
  });

  test.each<[string, Partial<World>, RegExp]>([
    ['there is no default', {}, /cannot find default snapshot class/],
    ['there are two', { defaultClasses: [ours, ours] }, /2 default snapshot classes were found$/],
    [
      'the claim is missing',
      { claim: undefined, volume: undefined },
      /the PVC data does not exist/,
    ],
    ['the claim is unbound', { volume: undefined }, /is not yet bound to a CSI volume/],
  ])('fails when %s, and leaves readyToUse alone', (_case, changes, message) => {
    const decision = decideFor({ snapshot, namedClass: undefined, ...changes });
    const failure = failureOf(decision);
    expect(failure.reason).toBe('SetDefaultSnapshotClassFailed');
    expect(failure.message).toMatch(/^Failed to set default snapshot class with error /);
    expect(failure.message).toMatch(message);
    expect(decision).not.toHaveProperty('write.patch.readyToUse');
  });
});

describe('decide() on a snapshot of a pre-provisioned content', () => {
  const reference = { namespace: 'app', name: 's1' };
  const source = { snapshotHandle: 'node-1/snapshot-77' };
  const snapshot = buildSnapshot({
    metadata: { finalizers: bothFinalizers },
    spec: { source: { volumeSnapshotContentName: 'imported' } },
  });
  const imported = buildContent({
    metadata: { name: 'imported' },
    spec: { source, volumeSnapshotRef: reference },
  });
  const world = { snapshot, claim: undefined, volume: undefined };

  test('claims a content that nobody has claimed', () => {
    expect(decideFor({ ...world, content: imported })).toEqual({
      kind: 'claim-content',
      content: imported,
      className: 'hourly',
    });
  });

  test('tells what a claimed content says', () => {
    const content = buildContent({
      metadata: { name: 'imported' },
      spec: { source, volumeSnapshotRef: { ...reference, uid: 'snapshot-uid' } },
    });
    expect(decideFor({ ...world, content })).toMatchObject({
      kind: 'write-status',
      write: { patch: { boundVolumeSnapshotContentName: 'imported', readyToUse: true } },
    });
  });

  test.each<[string, World['content'], string]>([
    ['is missing', undefined, 'SnapshotContentMissing'],
    ['is dynamic', buildContent(), 'SnapshotContentMismatch'],
    [
      'names another snapshot',
      buildContent({ spec: { source, volumeSnapshotRef: { ...reference, name: 's2' } } }),
      'SnapshotContentMisbound',
    ],
    [
      'was claimed by another snapshot of the same name',
      buildContent({ spec: { source, volumeSnapshotRef: { ...reference, uid: 'old' } } }),
      'SnapshotContentMisbound',
    ],
  ])('fails when the content %s', (_case, content, reason) => {
    expect(failureOf(decideFor({ ...world, content })).reason).toBe(reason);
  });

  test('becomes un-ready when its content refers to another snapshot afterwards', () => {
    const ready = { ...snapshot, status: { readyToUse: true } };
    const content = buildContent({
      spec: { source, volumeSnapshotRef: { ...reference, uid: 'x' } },
    });
    const decision = decideFor({ ...world, snapshot: ready, content });
    expect(failureOf(decision).reason).toBe('SnapshotMisbound');
    expect(decision).toMatchObject({ write: { patch: { readyToUse: false } } });
  });

  test('refuses both sources and none', () => {
    const both = { persistentVolumeClaimName: 'data', volumeSnapshotContentName: 'imported' };
    for (const source of [both, {}]) {
      const failure = failureOf(decideFor({ snapshot: buildSnapshot({ spec: { source } }) }));
      expect(failure.reason).toBe('SnapshotValidationError');
    }
  });
});

describe('decide() on a snapshot that is being deleted', () => {
  const snapshot = buildSnapshot({ metadata: { ...deleting, finalizers: bothFinalizers } });
  const released = { [annotations.contentBeingDeleted]: 'yes' };

  test('does nothing when only the finalizers of others hold it', () => {
    const held = buildSnapshot({ metadata: { ...deleting, finalizers: ['example.org/other'] } });
    expect(decideFor({ snapshot: held, content: buildContent() }).kind).toBe('nothing');
  });

  test.each<[string, World['content']]>([
    ['there is no content', undefined],
    [
      'the content is of another snapshot',
      buildContent({ spec: { volumeSnapshotRef: { namespace: 'app', name: 's1', uid: 'x' } } }),
    ],
    [
      'the content is retained and marked',
      buildContent({ metadata: { annotations: released }, spec: { deletionPolicy: 'Retain' } }),
    ],
  ])('removes the finalizers when %s', (_case, content) => {
    expect(decideFor({ snapshot, content })).toEqual({
      kind: 'remove-finalizers',
      finalizers: bothFinalizers,
    });
  });

  test('needs no class to be deleted', () => {
    expect(decideFor({ snapshot, namedClass: undefined }).kind).toBe('remove-finalizers');
  });

  test.each<[string, World['content']]>([
    ['with policy Delete', buildContent()],
    ['with policy Retain', buildContent({ spec: { deletionPolicy: 'Retain' } })],
    ['that is marked but not deleted yet', buildContent({ metadata: { annotations: released } })],
    ['that a person deleted, but that is not marked', buildContent({ metadata: deleting })],
  ])('releases a content %s', (_case, content) => {
    expect(decideFor({ snapshot, content })).toEqual({ kind: 'release-content', content });
  });

  test('waits while claims are being restored from it, and names them once', () => {
    const world = { snapshot, content: buildContent(), pendingRestores: ['r1', 'r2'] };
    const decision = decideFor(world);
    expect(decision).toMatchObject({
      kind: 'write-status',
      write: {
        patch: { conditions: [{ type: 'Deletable', reason: 'SnapshotDeletePending' }] },
        events: [{ type: 'Warning', message: /restore a PVC: r1, r2\./ as unknown as string }],
      },
    });
  });

  test('goes on with a deletion that had begun before a claim asked for it', () => {
    const content = buildContent({ metadata: { annotations: released } });
    const world = { snapshot, content, pendingRestores: ['late'] };
    expect(decideFor(world).kind).toBe('release-content');
  });

  test('waits for a content that is going, and tells what holds it', () => {
    const metadata = { ...deleting, annotations: released };
    expect(decideFor({ snapshot, content: buildContent({ metadata }) })).toEqual({
      kind: 'nothing',
      because: 'the content is being deleted',
    });
    const blocked = buildContent({
      metadata,
      status: {
        conditions: [
          {
            type: 'Deletable',
            status: 'False',
            reason: 'SnapshotDeleteError',
            message: 'an NBD connection is open',
            lastTransitionTime: '2026-03-01T10:00:00Z',
          },
        ],
      },
    });
    expect(decideFor({ snapshot, content: blocked })).toMatchObject({
      kind: 'write-status',
      write: { events: [{ message: 'an NBD connection is open' }] },
    });
  });
});

describe('decide() under a schema without conditions', () => {
  const upstream = { ...context, hasConditions: false };

  test('writes no conditions, and nothing more once the fields are there', () => {
    const first = decide(worldWith({ content: buildContent() }), upstream);
    if (first.kind !== 'write-status') throw new Error(first.kind);
    expect(first.write.patch).not.toHaveProperty('conditions');
    const { error: _, ...status } = first.write.patch;
    const snapshot = buildSnapshot({ metadata: { finalizers: bothFinalizers }, status });
    expect(decide(worldWith({ snapshot, content: buildContent() }), upstream).kind).toBe('nothing');
  });
});
