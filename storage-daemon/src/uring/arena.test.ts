import { readFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';

import { Arena, arenaAlignmentBytes, ArenaSet } from './arena.ts';

describe('Arena', () => {
  test('cuts aligned pools whose slots do not overlap', () => {
    const arena = new Arena({ sizeBytes: 4 * 4096 + 2 * 8192 });
    const small = arena.createPool({ slotBytes: 4096, slotCount: 4 });
    const large = arena.createPool({ slotBytes: 8192, slotCount: 2 });
    small.views.forEach((view, slot) => view.fill(slot + 1));
    large.views.forEach((view, slot) => view.fill(slot + 11));
    expect([...small.views, ...large.views].map((view) => new Set(view).size)).toEqual(
      Array.from({ length: 6 }, () => 1),
    );
    for (const pool of [small, large]) {
      expect(pool.addressOf(1) % arenaAlignmentBytes).toBe(0);
      expect(pool.addressOf(1) - pool.addressOf(0)).toBe(pool.slotBytes);
    }
    expect(() => arena.createPool({ slotBytes: 4096, slotCount: 1 })).toThrow('are not left');
  });

  test('lends each slot to one owner at a time', () => {
    const pool = new Arena({ sizeBytes: 8192 }).createPool({ slotBytes: 4096, slotCount: 2 });
    const slots = [pool.tryAcquire(), pool.tryAcquire()];
    expect(slots.toSorted((a, b) => a - b)).toEqual([0, 1]);
    expect(pool.tryAcquire()).toBe(-1);
    pool.release(1);
    expect(pool.freeCount).toBe(1);
    expect(() => pool.release(1)).toThrow('a slot is given back once');
    expect(pool.tryAcquire()).toBe(1);
  });

  test('knows which bytes are its own, and where they lie', () => {
    const [first, second] = [new Arena({ sizeBytes: 4096 }), new Arena({ sizeBytes: 4096 })];
    const arenas = new ArenaSet();
    arenas.add(first);
    arenas.add(second);
    expect(arenas.addressOf(second.bytes.subarray(100, 200))).toBe(second.address + 100);
    expect(arenas.addressOf(new Uint8Array(10))).toBeUndefined();
  });

  test('gives its memory back, once', () => {
    const arena = new Arena({ sizeBytes: 3 * 4096 });
    const isMapped = (): boolean =>
      readFileSync('/proc/self/maps', 'latin1')
        .split('\n')
        .map((line) => line.split(/[- ]/).map((text) => Number.parseInt(text, 16)))
        .some(([start, end]) => start! <= arena.address && arena.address < end!);
    expect(isMapped()).toBe(true);
    arena.unmap();
    expect(isMapped()).toBe(false);
    arena.unmap();
  });

  test('says what memory could not be had', () => {
    expect(() => new Arena({ sizeBytes: 2 ** 46 })).toThrow(
      expect.objectContaining({ kind: 'out-of-memory' }),
    );
  });
});
