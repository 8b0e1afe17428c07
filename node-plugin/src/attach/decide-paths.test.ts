import { describe, expect, test } from '@jest/globals';
import type { NvmeController } from '../system/node-system.ts';
import { decidePaths, type PathDecision } from './decide-paths.ts';

const first = { host: '192.0.2.1', port: 4420 };
const second = { host: '192.0.2.2', port: 4420 };
const live: NvmeController = {
  name: 'nvme0',
  subsystemNqn: 'nqn.a',
  hostNqn: 'nqn.me',
  state: 'live',
  portal: first,
};

describe('decidePaths()', () => {
  test.each<[string, readonly NvmeController[], boolean, PathDecision]>([
    ['connects all where nothing is', [], true, { kind: 'connect', portals: [first, second] }],
    ['connects what is missing', [live], true, { kind: 'connect', portals: [second] }],
    [
      'leaves a path that is being connected again to the kernel',
      [{ ...live, state: 'connecting' }],
      true,
      { kind: 'connect', portals: [second] },
    ],
    [
      'has enough with one path where the kernel joins none',
      [live],
      false,
      { kind: 'connect', portals: [] },
    ],
    [
      'does not look at other subsystems',
      [{ ...live, subsystemNqn: 'nqn.b', hostNqn: 'x' }],
      true,
      { kind: 'connect', portals: [first, second] },
    ],
    [
      'waits for a controller on its way out',
      [{ ...live, state: 'deleting (no IO)' }],
      true,
      { kind: 'wait', why: 'nvme0 is deleting (no IO)' },
    ],
  ])('%s', (_, controllers, hasMultipath, decision) => {
    const wanted = { subsystemNqn: 'nqn.a', hostNqn: 'nqn.me', portals: [first, second] };
    expect(decidePaths(controllers, { ...wanted, hasMultipath })).toEqual(decision);
  });

  test('refuses a connection under another host name', () => {
    const wanted = { subsystemNqn: 'nqn.a', hostNqn: 'nqn.you', portals: [first] };
    const decision = decidePaths([live], { ...wanted, hasMultipath: true });
    expect(decision).toMatchObject({ kind: 'refuse', why: expect.stringContaining('nqn.me') });
  });
});
