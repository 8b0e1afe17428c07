import { describe, expect, test } from '@jest/globals';
import type { NvmeDevice } from '../system/node-system.ts';
import { decideDevice, type DeviceDecision } from './decide-device.ts';

const wanted = { subsystemNqn: 'nqn.a', namespaceUuid: 'uuid-a', minimumBytes: 1000 };
const right: NvmeDevice = {
  path: '/dev/nvme0n1',
  subsystemNqn: 'nqn.a',
  namespaceUuid: 'uuid-a',
  sizeBytes: 1000,
  deviceNumber: '259:0',
};
const other = { ...right, path: '/dev/nvme1n1', subsystemNqn: 'nqn.b', namespaceUuid: 'uuid-b' };

describe('decideDevice()', () => {
  test.each<[string, readonly NvmeDevice[], DeviceDecision['kind']]>([
    ['finds the device that matches in all', [other, right], 'found'],
    ['takes one that has grown', [{ ...right, sizeBytes: 2000 }], 'found'],
    ['finds nothing among others', [other], 'absent'],
    ['finds nothing where nothing is', [], 'absent'],
    ['says when the size is that of before', [{ ...right, sizeBytes: 999 }], 'too-small'],
    ['refuses another UUID in the subsystem', [{ ...right, namespaceUuid: 'x' }], 'mismatch'],
    ['refuses a namespace without a UUID', [{ ...right, namespaceUuid: '' }], 'mismatch'],
    ['refuses the UUID in another subsystem', [{ ...right, subsystemNqn: 'x' }], 'mismatch'],
    [
      'refuses although the right one is there too',
      [right, { ...other, namespaceUuid: 'uuid-a' }],
      'mismatch',
    ],
    [
      'refuses two devices that nothing joins',
      [right, { ...right, path: '/dev/nvme2n1' }],
      'mismatch',
    ],
  ])('%s', (_, devices, kind) => {
    expect(decideDevice(devices, wanted).kind).toBe(kind);
  });
});
