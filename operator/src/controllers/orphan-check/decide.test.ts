import { describe, expect, test } from '@jest/globals';
import type { Condition } from '../../kube/kubernetes-object.ts';
import type { StorageDaemon } from '../../kube/storage-daemon-kind.ts';
import { consistentCondition, decide } from './decide.ts';
import type { Orphan } from './world.ts';

const context = { nowMs: Date.parse('2026-11-25T08:00:00Z') };
const off = { isOn: false, graceMs: 60_000 };
const on = { isOn: true, graceMs: 60_000 };
const volume: Orphan = { kind: 'volume', name: 'pvc-1', owner: 'PersistentVolumeClaim app/data' };
const content: Orphan = { kind: 'content', name: 'snapcontent-1', owner: 'VolumeSnapshot app/s' };

function daemon(conditions: readonly Condition[] = []): StorageDaemon {
  return {
    apiVersion: 'varve.dev/v1alpha1',
    kind: 'StorageDaemon',
    metadata: { name: 'node-1', uid: 'u', resourceVersion: '1', generation: 1 },
    spec: { endpoint: 'http://127.0.0.1:1' },
    status: { conditions: [...conditions] },
  };
}

function decideOn(
  orphans: readonly Orphan[],
  { held = daemon(), rules = off, ageMs = 0 } = {},
): ReturnType<typeof decide> {
  return decide({ daemon: held, orphans, ageMsOf: () => ageMs }, rules, context);
}

describe('decide()', () => {
  test('says nothing of a daemon that never had an orphan', () => {
    expect(decideOn([])).toEqual({ conditions: undefined, events: [], removals: [] });
  });

  test('tells of both kinds, once', () => {
    const message =
      '1 volume without a claim or PersistentVolume: pvc-1 (PersistentVolumeClaim app/data). ' +
      '1 VolumeSnapshotContent without a snapshot at the daemon: snapcontent-1 (VolumeSnapshot app/s)';
    const first = decideOn([volume, content]);
    expect(first.conditions).toMatchObject([
      { type: consistentCondition, status: 'False', reason: 'OrphansFound', message },
    ]);
    expect(first.events).toEqual([{ type: 'Warning', reason: 'OrphansFound', message }]);
    const held = daemon(first.conditions);
    expect(decideOn([volume, content], { held })).toEqual({
      conditions: undefined,
      events: [],
      removals: [],
    });
  });

  test('takes it back when all is well again', () => {
    const held = daemon(decideOn([volume]).conditions);
    const { conditions, events } = decideOn([], { held });
    expect(conditions).toMatchObject([{ status: 'True', reason: 'Consistent' }]);
    expect(events).toEqual([]);
  });

  test.each([
    ['switched off', off, 120_000, []],
    ['within the grace period', on, 59_999, []],
    ['after it', on, 60_000, [volume]],
  ] as const)('removes data, never objects: %s', (_title, rules, ageMs, removals) => {
    expect(decideOn([volume, content], { rules, ageMs }).removals).toEqual(removals);
  });

  test('names a few of many', () => {
    const many = Array.from({ length: 7 }, (_, index) => ({ ...volume, name: `pvc-${index}` }));
    const [condition] = decideOn(many).conditions ?? [];
    expect(condition?.message).toMatch(/^7 volumes? .*pvc-4 \(.*\) and 2 more$/);
  });
});
