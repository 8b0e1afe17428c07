import { describe, expect, test } from '@jest/globals';
import type { PersistentVolumeClaim } from '../../kube/core-kinds.ts';
import { annotations, finalizers } from '../shared/protocol-names.ts';
import { buildClaim, buildContent, buildSnapshot } from '../shared/testing/object-builders.ts';
import { decideClaim, decideSnapshot, type ClaimWorld, type Decision } from './decide.ts';

const context = {
  driverName: 'csi.varve.dev',
  nowMs: Date.UTC(2026, 2, 1, 11),
  hasConditions: true,
};
const { claimAsSource, claimCloning, claimProvisioning, snapshotRestoring } = finalizers;
const deletionTimestamp = '2026-03-01T10:30:00Z';
const beingCreated = { [annotations.contentBeingCreated]: 'yes' };

function claimWith(held: readonly string[], isDeleted = false): PersistentVolumeClaim {
  return buildClaim({
    metadata: { finalizers: held, ...(isDeleted ? { deletionTimestamp } : {}) },
  });
}

function copyOf(phase: 'Pending' | 'Bound', held: readonly string[]): PersistentVolumeClaim {
  return buildClaim({ metadata: { name: 'copy', finalizers: held }, status: { phase } });
}

function decideFor(changes: Partial<ClaimWorld>): Decision {
  const claim = claimWith([claimAsSource, claimCloning]);
  return decideClaim(
    { claim, isOurs: true, isSnapshotController: true, snapshots: [], clones: [], ...changes },
    context,
  );
}

const remove = (...list: string[]): Decision => ({ kind: 'remove-finalizers', finalizers: list });
const unready = buildSnapshot();
const taking = buildContent({ metadata: { annotations: beingCreated }, status: null });

describe('decideClaim()', () => {
  test('lets go of a claim that nobody needs', () => {
    expect(decideFor({})).toEqual(remove(claimAsSource, claimCloning));
    expect(decideFor({ claim: claimWith([claimAsSource]) })).toEqual(remove(claimAsSource));
    expect(decideFor({ claim: claimWith([]) }).kind).toBe('nothing');
    expect(decideFor({ claim: undefined }).kind).toBe('nothing');
  });

  test('touches no claim of another driver', () => {
    expect(decideFor({ isOurs: false }).kind).toBe('nothing');
  });

  test.each<[string, ClaimWorld['snapshots'][number], boolean]>([
    ['is asked for, but has no content yet', { snapshot: unready, content: undefined }, true],
    ['is being taken', { snapshot: unready, content: taking }, true],
    [
      'is tried again after a failure',
      {
        snapshot: unready,
        content: buildContent({
          metadata: { annotations: beingCreated },
          status: { error: { message: 'away' } },
        }),
      },
      true,
    ],
    [
      'was given up',
      { snapshot: unready, content: buildContent({ status: { error: { message: 'no' } } }) },
      false,
    ],
    ['is taken, though its status lags', { snapshot: unready, content: buildContent() }, false],
    [
      'is ready',
      { snapshot: buildSnapshot({ status: { readyToUse: true } }), content: buildContent() },
      false,
    ],
    [
      'is being deleted',
      { snapshot: buildSnapshot({ metadata: { deletionTimestamp } }), content: taking },
      false,
    ],
  ])('holds the claim or not while a snapshot %s', (_case, requested, isHeld) => {
    const decision = decideFor({ claim: claimWith([claimAsSource]), snapshots: [requested] });
    expect(decision.kind).toBe(isHeld ? 'nothing' : 'remove-finalizers');
  });

  test('does not hold a claim that is being deleted for a snapshot that has not begun', () => {
    const snapshots = [{ snapshot: unready, content: undefined }];
    const claim = claimWith([claimAsSource], true);
    expect(decideFor({ claim, snapshots })).toEqual(remove(claimAsSource));
  });

  test.each<[string, PersistentVolumeClaim, boolean]>([
    ['is being made', copyOf('Pending', [claimProvisioning]), true],
    ['has not begun', copyOf('Pending', []), false],
    ['is bound', copyOf('Bound', [claimProvisioning]), false],
  ])('holds the claim or not while a clone %s', (_case, clone, isHeld) => {
    const decision = decideFor({ claim: claimWith([claimCloning]), clones: [clone] });
    expect(decision.kind).toBe(isHeld ? 'nothing' : 'remove-finalizers');
  });

  test('says once what holds a claim that is being deleted', () => {
    const world = {
      claim: claimWith([claimAsSource, claimCloning], true),
      snapshots: [{ snapshot: unready, content: taking }],
      clones: [copyOf('Pending', [claimProvisioning])],
    };
    const first = decideFor(world);
    expect(first).toMatchObject({
      kind: 'tell-blocker',
      conditions: [{ type: 'Deletable', status: 'False', reason: 'UsedAsSource' }],
      event: {
        type: 'Warning',
        message: expect.stringContaining(
          'VolumeSnapshot s1 is being taken of it, and 1 more like it',
        ),
      },
    });
    if (first.kind !== 'tell-blocker') return;
    const told = {
      ...world.claim,
      status: { ...world.claim.status, conditions: first.conditions ?? [] },
    };
    expect(decideFor({ ...world, claim: told }).kind).toBe('nothing');
  });
});

describe('decideSnapshot()', () => {
  const snapshot = buildSnapshot({ metadata: { finalizers: [snapshotRestoring] } });

  test('holds the snapshot while a claim is being restored from it', () => {
    const restores = [copyOf('Pending', [claimProvisioning])];
    expect(decideSnapshot({ snapshot, restores }).kind).toBe('nothing');
  });

  test('lets go when all are bound, gone, or have not begun', () => {
    const restores = [copyOf('Bound', [claimProvisioning]), copyOf('Pending', [])];
    expect(decideSnapshot({ snapshot, restores })).toEqual(remove(snapshotRestoring));
    expect(decideSnapshot({ snapshot, restores: [] })).toEqual(remove(snapshotRestoring));
  });

  test('does nothing for a snapshot that is gone or not held', () => {
    expect(decideSnapshot({ snapshot: undefined, restores: [] }).kind).toBe('nothing');
    expect(decideSnapshot({ snapshot: unready, restores: [] }).kind).toBe('nothing');
  });
});
