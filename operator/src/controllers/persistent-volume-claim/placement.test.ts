import { describe, expect, test } from '@jest/globals';
import { buildDaemon } from '../shared/testing/object-builders.ts';
import { choosePlacement } from './placement.ts';

const demand = {
  sizeBytes: 1024 ** 3,
  isBlock: false,
  fsType: 'ext4',
  daemon: undefined,
  pool: undefined,
} as const;

const daemons = [
  buildDaemon({ name: 'a', pools: [{ name: 'slow', freeBytes: 100 }] }),
  buildDaemon({
    name: 'b',
    pools: [
      { name: 'slow', freeBytes: 300 },
      { name: 'fast', freeBytes: 200 },
      { name: 'broken', freeBytes: 900, ready: false },
    ],
  }),
  buildDaemon({ name: 'c', ready: false, pools: [{ name: 'fast', freeBytes: 900 }] }),
];

describe('choosePlacement()', () => {
  test('takes the pool with the most free space among the ready ones', () => {
    expect(choosePlacement(daemons, demand)).toEqual({ daemon: 'b', pool: 'slow' });
  });

  test('keeps to what the class says', () => {
    expect(choosePlacement(daemons, { ...demand, pool: 'fast' })).toEqual({
      daemon: 'b',
      pool: 'fast',
    });
    expect(choosePlacement(daemons, { ...demand, daemon: 'a' })).toEqual({
      daemon: 'a',
      pool: 'slow',
    });
  });

  test('names what the class asks for when nothing fits', () => {
    expect(choosePlacement(daemons, { ...demand, daemon: 'z' })).toBe(
      'there is no StorageDaemon with the name z; the claim waits for one',
    );
    expect(choosePlacement(daemons, { ...demand, daemon: 'a', pool: 'fast' })).toBe(
      'no pool can take the volume, the claim waits for one: StorageDaemon a has no ready pool with the name fast',
    );
  });
});
