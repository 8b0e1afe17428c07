import { expect, test } from '@jest/globals';

import { crc32c } from './crc32c.ts';

test.each([
  ['the check string', Buffer.from('123456789'), 0xe3069283],
  ['32 zeros', Buffer.alloc(32), 0x8a9136aa],
  ['32 ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ['00 to 1f', Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
  ['a block of zeros', Buffer.alloc(4096), 0x98f94189],
])('crc32c() of %s', (_, bytes, expected) => {
  expect(crc32c(bytes)).toBe(expected);
  // In two pieces, as data comes.
  expect(crc32c(bytes.subarray(5), crc32c(bytes.subarray(0, 5)))).toBe(expected);
});
