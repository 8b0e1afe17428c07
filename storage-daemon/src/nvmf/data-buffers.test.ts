import { expect, test } from '@jest/globals';

import { DataBuffers } from './data-buffers.ts';

test('buffers of usual sizes are used again, each by one at a time', () => {
  const buffers = new DataBuffers();
  const first = buffers.take(4096);
  const second = buffers.take(4096);
  expect(first.buffer).not.toBe(second.buffer);
  buffers.give(first);
  expect(buffers.take(8192)).toHaveLength(8192);
  expect(buffers.take(4096)).toBe(first);
  expect(buffers.take(4096)).not.toBe(first);
});

test('odd and large ones are not kept, and not more than the bound', () => {
  const buffers = new DataBuffers();
  for (const lengthBytes of [1024, 1024 * 1024]) {
    const buffer = buffers.take(lengthBytes);
    buffers.give(buffer);
    expect(buffers.take(lengthBytes)).not.toBe(buffer);
  }
  const given = Array.from({ length: 200 }, () => buffers.take(128 * 1024));
  for (const buffer of given) buffers.give(buffer);
  const again = new Set(given.map(() => buffers.take(128 * 1024)));
  expect(given.filter((buffer) => again.has(buffer))).toHaveLength(128);
});
