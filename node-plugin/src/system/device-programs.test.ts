import { expect, test } from '@jest/globals';
import { parseProbe } from './device-programs.ts';

test.each([
  ['DEVNAME=/dev/a\nUUID=1\nTYPE=ext4\nUSAGE=filesystem\n', { kind: 'filesystem', type: 'ext4' }],
  ['DEVNAME=/dev/a\nPTTYPE=gpt\n', { kind: 'other', what: 'a gpt partition table' }],
  ['DEVNAME=/dev/a\nTYPE=LVM2_member\nUSAGE=raid\n', { kind: 'other', what: 'LVM2_member' }],
  ['DEVNAME=/dev/a\n', { kind: 'other', what: 'something unknown' }],
])('parseProbe() of %j', (text, result) => {
  expect(parseProbe(text)).toEqual(result);
});
