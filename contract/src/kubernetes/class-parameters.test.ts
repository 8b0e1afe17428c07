import { describe, expect, test } from '@jest/globals';
import { checkSnapshotClassParameters, parseStorageClassParameters } from './class-parameters.ts';

describe('parseStorageClassParameters()', () => {
  test.each([
    ['no parameters at all', undefined, {}],
    ['the CSI name of the file system', { 'csi.storage.k8s.io/fstype': 'xfs' }, { fsType: 'xfs' }],
    ['the plain name in any case', { fsTYPE: 'ext4' }, { fsType: 'ext4' }],
    ['a daemon and a pool', { daemon: 'node-1', pool: 'fast' }, { daemon: 'node-1', pool: 'fast' }],
    ['secrets of CSI components', { 'csi.storage.k8s.io/node-stage-secret-name': 'x' }, {}],
  ])('takes %s', (_what, parameters, expected) => {
    expect(parseStorageClassParameters(parameters as Record<string, string>)).toEqual(expected);
  });

  test.each([
    [
      'an unknown parameter',
      { pol: 'fast' },
      'parameter pol is unknown; allowed are fsType, daemon and pool',
    ],
    [
      'an unknown reserved one',
      { 'csi.storage.k8s.io/fs': 'ext4' },
      'parameter csi.storage.k8s.io/fs is unknown in the reserved namespace',
    ],
    ['a file system that we cannot make', { fsType: 'btrfs' }, 'parameter fsType is "btrfs"'],
    [
      'the file system twice',
      { fsType: 'ext4', 'csi.storage.k8s.io/fstype': 'ext4' },
      'fsType and csi.storage.k8s.io/fstype say the same thing',
    ],
    ['a pool with a name that none can have', { pool: 'A/B' }, 'parameter pool is "A/B"'],
  ])('refuses %s by name', (_what, parameters, message) => {
    expect(() => parseStorageClassParameters(parameters as Record<string, string>)).toThrow(
      message,
    );
  });
});

describe('checkSnapshotClassParameters()', () => {
  test('takes none, and the reserved ones', () => {
    checkSnapshotClassParameters(undefined);
    checkSnapshotClassParameters({ 'csi.storage.k8s.io/snapshotter-secret-name': 'x' });
  });

  test('refuses others by name', () => {
    expect(() => checkSnapshotClassParameters({ lock: '1d' })).toThrow(
      'parameter lock is unknown; the class takes no parameters',
    );
  });
});
