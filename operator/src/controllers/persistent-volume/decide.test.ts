import { describe, expect, test } from '@jest/globals';
import { annotations, finalizers } from '../shared/protocol-names.ts';
import { buildVolume } from '../shared/testing/object-builders.ts';
import { decide, type Decision, type World } from './decide.ts';

const ours = { [annotations.volumeProvisionedBy]: 'csi.varve.dev' };
const held = { annotations: ours, finalizers: [finalizers.volumeProvisioned] };
const deletionTimestamp = '2026-03-01T10:30:00Z';
const released = { phase: 'Released' } as const;
const retain = { persistentVolumeReclaimPolicy: 'Retain' } as const;

function decideFor(volume: World['volume']): Decision {
  return decide({ volume }, 'csi.varve.dev');
}

describe('decide() on a PersistentVolume', () => {
  test.each<[string, World['volume'], Decision['kind']]>([
    ['does nothing for a volume that is gone', undefined, 'nothing'],
    [
      'leaves a volume of another driver alone',
      buildVolume({
        spec: { csi: { driver: 'other.example.org', volumeHandle: 'v' } },
        status: released,
      }),
      'nothing',
    ],
    ['does nothing for a protected volume in use', buildVolume({ metadata: held }), 'nothing'],
    ['protects a volume in use', buildVolume(), 'add-finalizer'],
    [
      'does not protect a volume that is not bound yet',
      buildVolume({ status: { phase: 'Available' } }),
      'nothing',
    ],
    [
      'lets go of a volume whose data is kept',
      buildVolume({ metadata: held, spec: retain }),
      'remove-finalizer',
    ],
    [
      'lets go of it also when it is being deleted',
      buildVolume({ metadata: { ...held, deletionTimestamp }, spec: retain, status: released }),
      'remove-finalizer',
    ],
    [
      'keeps the data of a released volume with policy Retain',
      buildVolume({ spec: retain, status: released }),
      'nothing',
    ],
    [
      'deletes the data of a released volume',
      buildVolume({ metadata: held, status: released }),
      'delete-volume',
    ],
    [
      'deletes it also when a person deleted the object first',
      buildVolume({ metadata: { ...held, deletionTimestamp }, status: released }),
      'delete-volume',
    ],
    [
      'waits with a volume that a person deletes while a claim has it',
      buildVolume({ metadata: { ...held, deletionTimestamp } }),
      'nothing',
    ],
    [
      'has nothing to do with a volume that is going without our finalizer',
      buildVolume({ metadata: { annotations: ours, deletionTimestamp }, status: released }),
      'nothing',
    ],
    [
      'does not delete what somebody else provisioned',
      buildVolume({ metadata: { annotations: {} }, status: released }),
      'nothing',
    ],
    [
      'tells of a handle that is none of ours',
      buildVolume({
        metadata: held,
        spec: { csi: { driver: 'csi.varve.dev', volumeHandle: 'vol-123' } },
        status: released,
      }),
      'tell-failure',
    ],
  ])('%s', (_case, volume, kind) => {
    expect(decideFor(volume).kind).toBe(kind);
  });

  test('deletes at the daemon that the handle names', () => {
    expect(decideFor(buildVolume({ metadata: held, status: released }))).toEqual({
      kind: 'delete-volume',
      handle: { daemon: 'node-1', id: 'pvc-claim-uid' },
    });
  });
});
