import { expect, test } from '@jest/globals';
import { mountOptionsOf } from './mount-options.ts';

test('mountOptionsOf() adds nouuid for xfs and ro for readers, once', () => {
  expect(mountOptionsOf('ext4', ['noatime'], false)).toEqual(['noatime']);
  expect(mountOptionsOf('xfs', ['nouuid', 'discard'], true)).toEqual(['nouuid', 'discard', 'ro']);
});

test.each(['bind', 'remount,rw', 'loop=/etc/passwd', 'a b', 'noatime\n', 'X-mount.mkdir', ''])(
  'mountOptionsOf() refuses the option %j',
  (option) => {
    const refused = expect.objectContaining({ kind: 'invalid-argument', field: 'mountOptions' });
    expect(() => mountOptionsOf('ext4', [option], false)).toThrow(refused);
  },
);
