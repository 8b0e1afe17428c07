import { expect, test } from '@jest/globals';
import { parseMountTable } from './mount-table.ts';

test('parseMountTable() reads paths with blanks, optional fields, and both places of ro', () => {
  const text = [
    '36 35 259:1 / /var/lib/my\\040pods/mount rw,noatime shared:1 master:2 - ext4 /dev/nvme0n1 rw',
    '37 35 259:1 /dir /a ro - ext4 /dev/nvme0n1 rw',
    '38 35 259:2 / /b rw shared:9 - xfs /dev/nvme1n1 ro,nouuid',
    '39 35 0:5 /nvme2n1 /c rw - devtmpfs udev rw',
    '',
  ].join('\n');
  expect(parseMountTable(text)).toEqual([
    {
      path: '/var/lib/my pods/mount',
      deviceNumber: '259:1',
      root: '/',
      type: 'ext4',
      isReadOnly: false,
    },
    { path: '/a', deviceNumber: '259:1', root: '/dir', type: 'ext4', isReadOnly: true },
    { path: '/b', deviceNumber: '259:2', root: '/', type: 'xfs', isReadOnly: true },
    { path: '/c', deviceNumber: '0:5', root: '/nvme2n1', type: 'devtmpfs', isReadOnly: false },
  ]);
});

test('parseMountTable() fails at a line that it does not understand', () => {
  expect(() => parseMountTable('36 35 259:1 /\n')).toThrow('Reading the mount table failed');
});
