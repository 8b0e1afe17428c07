import { describe, expect, test } from '@jest/globals';
import { annotations, finalizers } from '../shared/protocol-names.ts';
import {
  buildClaim,
  buildContent,
  buildDaemon,
  buildSnapshot,
  buildStorageClass,
  buildVolume,
  type Changes,
} from '../shared/testing/object-builders.ts';
import type { PersistentVolumeClaim } from '../../kube/core-kinds.ts';
import { decide, type Decision } from './decide.ts';
import type { SourceWorld, World } from './world.ts';

const context = {
  driverName: 'csi.varve.dev',
  nowMs: Date.UTC(2026, 2, 1, 11),
  hasConditions: true,
};
const gibibyte = 1024 ** 3;
const ours = { [annotations.claimProvisioner]: 'csi.varve.dev' };
const placed = { ...ours, [annotations.claimPlacement]: 'node-1/nvme' };
const held = { finalizers: ['kubernetes.io/pvc-protection', finalizers.claimProvisioning] };
const deletionTimestamp = '2026-03-01T10:30:00Z';

/** A Pending claim of 1Gi. */
function pendingClaim(changes: Changes<PersistentVolumeClaim> = {}): PersistentVolumeClaim {
  return buildClaim({
    status: { phase: 'Pending' },
    ...changes,
    spec: { volumeName: '', ...changes.spec },
  });
}

const placedClaim = pendingClaim({ metadata: { annotations: placed, ...held } });

const readySnapshot = buildSnapshot({
  metadata: { finalizers: [finalizers.snapshotRestoring] },
  status: {
    boundVolumeSnapshotContentName: 'snapcontent-snapshot-uid',
    readyToUse: true,
    restoreSize: '1Gi',
  },
});

function snapshotSource(changes: Partial<Extract<SourceWorld, { kind: 'snapshot' }>> = {}) {
  return {
    kind: 'snapshot',
    name: 's1',
    snapshot: readySnapshot,
    content: buildContent(),
    ...changes,
  } as const;
}

function claimSource(changes: Partial<Extract<SourceWorld, { kind: 'claim' }>> = {}) {
  const protectedClaim = buildClaim({ metadata: { finalizers: [finalizers.claimCloning] } });
  return {
    kind: 'claim',
    name: 'data',
    claim: protectedClaim,
    volume: buildVolume(),
    ...changes,
  } as const;
}

function decideFor(changes: Partial<World>): Decision {
  return decide(
    {
      claim: pendingClaim(),
      className: 'fast',
      storageClass: buildStorageClass(),
      volume: undefined,
      source: { kind: 'none' },
      daemons: [buildDaemon()],
      ...changes,
    },
    context,
  );
}

/** The sentence with which the claim says why it waits. */
function waitingFor(decision: Decision): string {
  if (decision.kind !== 'write-status') throw new Error(`decided ${decision.kind}`);
  const { conditions = [], events } = decision.write;
  expect(conditions).toMatchObject([
    { type: 'Provisioned', status: 'False', reason: 'ProvisioningFailed' },
  ]);
  const [event] = events;
  expect(event).toEqual({
    type: 'Warning',
    reason: 'ProvisioningFailed',
    message: conditions[0]?.message,
  });
  return event?.message ?? '';
}

describe('decide() on a claim for an empty volume', () => {
  test('writes the place down before anything else', () => {
    expect(decideFor({})).toEqual({
      kind: 'place',
      placement: { daemon: 'node-1', pool: 'nvme' },
    });
  });

  test('asks the daemon that was written down, whatever the others have to offer now', () => {
    const daemons = [buildDaemon({ name: 'node-2', pools: [{ name: 'a', freeBytes: 9e12 }] })];
    expect(decideFor({ claim: placedClaim, daemons })).toMatchObject({
      kind: 'create-volume',
      placement: { daemon: 'node-1', pool: 'nvme' },
      order: { demand: { sizeBytes: gibibyte, fsType: 'ext4', isBlock: false }, source: undefined },
    });
  });

  test('chooses anew when the annotation is there but the finalizer is not: it was copied', () => {
    const claim = pendingClaim({ metadata: { annotations: placed } });
    expect(decideFor({ claim }).kind).toBe('place');
  });

  test('goes on once it is placed, also when the scheduler takes its node back', () => {
    const storageClass = buildStorageClass({ volumeBindingMode: 'WaitForFirstConsumer' });
    expect(decideFor({ claim: placedClaim, storageClass }).kind).toBe('create-volume');
  });

  test('waits for a node when the class wants it, then goes on', () => {
    const storageClass = buildStorageClass({ volumeBindingMode: 'WaitForFirstConsumer' });
    expect(decideFor({ storageClass }).kind).toBe('nothing');
    const annotation = { ...ours, [annotations.claimSelectedNode]: 'n1' };
    const claim = pendingClaim({ metadata: { annotations: annotation } });
    expect(decideFor({ storageClass, claim }).kind).toBe('place');
  });

  test.each<[string, Partial<World>]>([
    ['is gone', { claim: undefined }],
    ['has not been seen by kube', { claim: pendingClaim({ metadata: { annotations: {} } }) }],
    [
      'is of another provisioner',
      {
        claim: pendingClaim({
          metadata: { annotations: { [annotations.claimProvisioner]: 'other.example.org' } },
        }),
      },
    ],
    [
      'has a class of another driver',
      { storageClass: buildStorageClass({ provisioner: 'other.example.org' }) },
    ],
    ['names its volume', { claim: pendingClaim({ spec: { volumeName: 'mine' } }) }],
    ['is being deleted', { claim: pendingClaim({ metadata: { deletionTimestamp } }) }],
  ])('leaves a claim alone that %s', (_case, changes) => {
    expect(decideFor(changes).kind).toBe('nothing');
  });

  test('takes the old annotation for the provisioner', () => {
    const annotation = { [annotations.claimProvisionerBeta]: 'csi.varve.dev' };
    const claim = pendingClaim({ metadata: { annotations: annotation } });
    expect(decideFor({ claim }).kind).toBe('place');
  });

  test.each<[string, Partial<World>, RegExp]>([
    [
      'the class is missing',
      { storageClass: undefined },
      /^storageclass.* "fast" not found; the claim waits for it$/,
    ],
    [
      'there is a selector',
      { claim: pendingClaim({ spec: { selector: {} } }) },
      /^claim Selector is not supported$/,
    ],
    [
      'the access mode is shared',
      { claim: pendingClaim({ spec: { accessModes: ['ReadWriteMany'] } }) },
      /ReadWriteMany is not supported: use ReadWriteOnce or ReadWriteOncePod/,
    ],
    [
      'the size is none',
      { claim: pendingClaim({ spec: { resources: { requests: { storage: '0' } } } }) },
      /"0" is not a size/,
    ],
    [
      'a class parameter is misspelt',
      { storageClass: buildStorageClass({ parameters: { fsTyp: 'xfs' } }) },
      /StorageClass fast: .*fsTyp is unknown/,
    ],
    [
      'xfs would not fit',
      {
        claim: pendingClaim({ spec: { resources: { requests: { storage: '256Mi' } } } }),
        storageClass: buildStorageClass({ parameters: { fsType: 'xfs' } }),
      },
      /xfs file system needs at least 300Mi/,
    ],
    ['there is no daemon', { daemons: [] }, /there is no StorageDaemon; the claim waits for one$/],
    [
      'no daemon can take it',
      {
        daemons: [
          buildDaemon({ name: 'b', cordoned: true }),
          buildDaemon({ name: 'a', ready: false }),
          buildDaemon({ name: 'c', pools: [] }),
        ],
      },
      /a is not ready; StorageDaemon b is cordoned; StorageDaemon c has no ready pool$/,
    ],
  ])('says why it waits when %s', (_case, changes, message) => {
    expect(waitingFor(decideFor(changes))).toMatch(message);
  });

  test('says it once', () => {
    const first = decideFor({ daemons: [] });
    if (first.kind !== 'write-status') throw new Error(first.kind);
    const claim = pendingClaim({
      status: { phase: 'Pending', conditions: first.write.conditions ?? [] },
    });
    expect(decideFor({ claim, daemons: [] }).kind).toBe('nothing');
  });

  test('allows a small raw device whatever the file system of the class', () => {
    const claim = pendingClaim({
      spec: { volumeMode: 'Block', resources: { requests: { storage: '1Mi' } } },
    });
    const storageClass = buildStorageClass({ parameters: { fsType: 'xfs' } });
    expect(decideFor({ claim, storageClass }).kind).toBe('place');
  });
});

describe('decide() on a claim that is to be restored', () => {
  test('is placed beside its source, then asks for a volume of it', () => {
    const source = snapshotSource();
    const usable = {
      kind: 'snapshot',
      handle: { daemon: 'node-1', id: 'snapshot-snapshot-uid' },
      title: 'VolumeSnapshot/app/s1',
    };
    expect(decideFor({ source })).toMatchObject({ kind: 'place-beside-source', source: usable });
    expect(decideFor({ source, claim: placedClaim })).toMatchObject({
      kind: 'create-volume',
      order: { source: usable },
    });
  });

  test('needs no daemon that takes new volumes', () => {
    const daemons = [buildDaemon({ cordoned: true })];
    expect(decideFor({ source: snapshotSource(), daemons }).kind).toBe('place-beside-source');
  });

  test('protects the snapshot before the daemon is asked', () => {
    const { finalizers: _, ...metadata } = readySnapshot.metadata;
    const snapshot = { ...readySnapshot, metadata };
    expect(decideFor({ source: snapshotSource({ snapshot }), claim: placedClaim })).toEqual({
      kind: 'protect-snapshot',
      snapshot,
    });
  });

  test('may be larger than the snapshot', () => {
    const claim = pendingClaim({ spec: { resources: { requests: { storage: '5Gi' } } } });
    expect(decideFor({ source: snapshotSource(), claim }).kind).toBe('place-beside-source');
  });

  test('may ask for the same odd size as the source, which the daemon rounds up', () => {
    const claim = pendingClaim({ spec: { resources: { requests: { storage: '100M' } } } });
    const status = { ...readySnapshot.status, restoreSize: '96Mi' };
    const source = snapshotSource({ snapshot: { ...readySnapshot, status } });
    expect(decideFor({ source, claim }).kind).toBe('place-beside-source');
  });

  test('is restored from a snapshot that is deleted meanwhile, as long as the data is held', () => {
    const metadata = { ...readySnapshot.metadata, deletionTimestamp };
    const source = snapshotSource({ snapshot: { ...readySnapshot, metadata } });
    expect(decideFor({ source, claim: placedClaim }).kind).toBe('create-volume');
    const unprotected = { ...metadata, finalizers: [finalizers.snapshotAsSource] };
    const waiting = snapshotSource({ snapshot: { ...readySnapshot, metadata: unprotected } });
    expect(decideFor({ source: waiting, claim: placedClaim }).kind).toBe('create-volume');
  });

  const releasing = buildContent({
    metadata: { annotations: { [annotations.contentBeingDeleted]: 'yes' } },
  });
  const dying = {
    ...readySnapshot,
    metadata: { ...readySnapshot.metadata, deletionTimestamp, finalizers: [] },
  };
  const { status: readyStatus = {} } = readySnapshot;
  const tooLarge = { ...readySnapshot, status: { ...readyStatus, restoreSize: '2Gi' } };
  const unready = {
    ...readySnapshot,
    status: { ...readyStatus, readyToUse: false, error: { message: 'the daemon is away' } },
  };

  test.each<[string, SourceWorld, RegExp]>([
    ['does not exist', snapshotSource({ snapshot: undefined }), /snapshot s1 not found in namesp/],
    [
      'is being deleted',
      snapshotSource({ snapshot: dying, content: releasing }),
      /snapshot s1 is being deleted/,
    ],
    ['is not bound', snapshotSource({ snapshot: buildSnapshot() }), /snapshot s1 not bound$/],
    ['has lost its content', snapshotSource({ content: undefined }), /snapcontent.* not found/],
    [
      'has a content of another snapshot',
      snapshotSource({
        content: buildContent({
          spec: { volumeSnapshotRef: { namespace: 'app', name: 's1', uid: 'x' } },
        }),
      }),
      /is bound to a different snapshot/,
    ],
    [
      'is of another driver',
      snapshotSource({ content: buildContent({ spec: { driver: 'other.example.org' } }) }),
      /is of driver other.example.org, not of csi.varve.dev/,
    ],
    [
      'is not ready, and says why',
      snapshotSource({ snapshot: unready }),
      /snapshot s1 is not Ready: the daemon is away/,
    ],
    [
      'has no handle',
      snapshotSource({ content: buildContent({ status: null }) }),
      /has no snapshot handle/,
    ],
    [
      'is larger',
      snapshotSource({ snapshot: tooLarge }),
      /requested volume size 1073741824 is less than the size 2147483648 for the source snapshot s1/,
    ],
    [
      'is of another volume mode',
      snapshotSource({ content: buildContent({ spec: { sourceVolumeMode: 'Block' } }) }),
      /mode Filesystem differs from the source's Block: .*allow-volume-mode-change: "true"/,
    ],
  ])('waits, and says so, when the snapshot %s', (_case, source, message) => {
    expect(waitingFor(decideFor({ source }))).toMatch(message);
    // Not even when the daemon could be asked at once.
    expect(waitingFor(decideFor({ source, claim: placedClaim }))).toMatch(message);
  });

  test('may change the volume mode when an administrator allows it', () => {
    const content = buildContent({
      metadata: { annotations: { [annotations.contentAllowsModeChange]: 'true' } },
      spec: { sourceVolumeMode: 'Block' },
    });
    expect(decideFor({ source: snapshotSource({ content }) }).kind).toBe('place-beside-source');
  });

  test('does not leave the daemon of its source for what the class says', () => {
    const storageClass = buildStorageClass({ parameters: { daemon: 'node-2' } });
    const decision = decideFor({ source: snapshotSource(), storageClass });
    expect(waitingFor(decision)).toMatch(/source is on StorageDaemon node-1.*on node-2 only/);
  });
});

describe('decide() on a claim that is to be a clone', () => {
  test('is placed beside its source, then asks for a volume of it', () => {
    const source = claimSource();
    const usable = {
      kind: 'volume',
      handle: { daemon: 'node-1', id: 'pvc-claim-uid' },
      title: 'PersistentVolumeClaim/app/data',
    };
    expect(decideFor({ source })).toMatchObject({ kind: 'place-beside-source', source: usable });
    expect(decideFor({ source, claim: placedClaim })).toMatchObject({
      kind: 'create-volume',
      order: { source: usable },
    });
  });

  test('protects the source claim before the daemon is asked', () => {
    const unprotected = buildClaim();
    const source = claimSource({ claim: unprotected });
    expect(decideFor({ source, claim: placedClaim })).toEqual({
      kind: 'protect-claim',
      source: unprotected,
    });
  });

  test.each<[string, SourceWorld, RegExp]>([
    ['does not exist', claimSource({ claim: undefined }), /PVC data not found in namespace app/],
    [
      'is being deleted',
      claimSource({ claim: buildClaim({ metadata: { deletionTimestamp } }) }),
      /PVC data is being deleted/,
    ],
    [
      'is not bound',
      claimSource({ claim: pendingClaim() }),
      /PVC data is not bound; the claim waits for it/,
    ],
    ['has lost its volume', claimSource({ volume: undefined }), /PV .* not found/],
    [
      'is of another driver',
      claimSource({
        volume: buildVolume({ spec: { csi: { driver: 'other.example.org', volumeHandle: 'v' } } }),
      }),
      /is of driver other.example.org/,
    ],
    [
      'has a larger volume than it asked for, since it was expanded',
      claimSource({ volume: buildVolume({ spec: { capacity: { storage: '2Gi' } } }) }),
      /requested volume size 1073741824 is less than the size 2147483648 for the source PVC data/,
    ],
    [
      'is of another volume mode',
      claimSource({ claim: buildClaim({ spec: { volumeMode: 'Block' } }) }),
      /mode Filesystem differs from Block/,
    ],
  ])('waits, and says so, when the source %s', (_case, source, message) => {
    expect(waitingFor(decideFor({ source, claim: placedClaim }))).toMatch(message);
  });
});

describe('decide() on a claim whose source is wrong', () => {
  test.each<[string, SourceWorld, RegExp]>([
    [
      'is of a kind that nobody here can read',
      { kind: 'unsupported', title: 'Foo "x" of API group "y"', isOtherNamespace: false },
      /Foo "x" of API group "y" is not a source that csi.varve.dev can read. Use kind Volume/,
    ],
    [
      'is in another namespace',
      { kind: 'unsupported', title: 'VolumeSnapshot "x"', isOtherNamespace: true },
      /must be in the namespace of the claim/,
    ],
    [
      'was dropped by the API server',
      { kind: 'dropped', title: 'dataSource with kind "VolumeSnapshot"' },
      /dataSource with kind "VolumeSnapshot".*an empty volume is not what was asked for/,
    ],
  ])('never makes an empty volume when it %s', (_case, source, message) => {
    expect(waitingFor(decideFor({ source }))).toMatch(message);
    expect(waitingFor(decideFor({ source, claim: placedClaim }))).toMatch(message);
  });
});

describe('decide() on a claim whose volume exists', () => {
  const volume = buildVolume();

  test('leaves the claim to kube until it is bound', () => {
    expect(decideFor({ claim: placedClaim, volume }).kind).toBe('nothing');
  });

  test('lets go of a bound claim, then takes the condition away', () => {
    const bound = buildClaim({ metadata: { annotations: placed, ...held } });
    expect(decideFor({ claim: bound, volume })).toEqual({ kind: 'release' });
    const condition = {
      type: 'Provisioned',
      status: 'False',
      reason: 'ProvisioningFailed',
      message: '',
      lastTransitionTime: '2026-03-01T10:00:00Z',
    } as const;
    const other = { ...condition, type: 'Resizing' };
    const told = buildClaim({ status: { phase: 'Bound', conditions: [condition, other] } });
    expect(decideFor({ claim: told, volume })).toEqual({
      kind: 'clear-condition',
      conditions: [other],
    });
    expect(decideFor({ claim: buildClaim(), volume }).kind).toBe('nothing');
  });

  test('lets go of a claim that is deleted before it is bound: the volume is reclaimed later', () => {
    const metadata = { annotations: placed, ...held, deletionTimestamp };
    expect(decideFor({ claim: pendingClaim({ metadata }), volume })).toEqual({ kind: 'release' });
  });
});

describe('decide() on a claim that is given up', () => {
  const metadata = { annotations: placed, ...held };

  test('deletes what may have been made, at the place that was written down', () => {
    const abandon = { kind: 'abandon', placement: { daemon: 'node-1', pool: 'nvme' } };
    const deleted = pendingClaim({ metadata: { ...metadata, deletionTimestamp } });
    expect(decideFor({ claim: deleted })).toEqual(abandon);
    const bound = pendingClaim({ metadata, spec: { volumeName: 'another' } });
    expect(decideFor({ claim: bound })).toEqual(abandon);
  });

  test('needs neither class nor source for it', () => {
    const claim = pendingClaim({ metadata: { ...metadata, deletionTimestamp } });
    const world = {
      claim,
      storageClass: undefined,
      source: snapshotSource({ snapshot: undefined }),
    };
    expect(decideFor(world).kind).toBe('abandon');
  });

  test('never deletes the volume of a claim that had been bound to it', () => {
    const claim = buildClaim({ metadata: { ...metadata, deletionTimestamp } });
    expect(decideFor({ claim })).toEqual({ kind: 'release' });
  });
});
