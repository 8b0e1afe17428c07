import { describe, expect, test } from '@jest/globals';

import type { NodeIo } from '../store/store-api.ts';
import { blockSizeBytes } from '../units.ts';
import { MemoryStore } from './memory-store.ts';

const uuid = new Uint8Array(16);
const a = { kind: 'volume', name: 'a' } as const;
const b = { kind: 'volume', name: 'b' } as const;
const s = { kind: 'snapshot', name: 's' } as const;

function newStore(sizeBlocks = 100): MemoryStore {
  return new MemoryStore({ poolName: 'memory', sizeBlocks });
}

async function complete(submit: (done: (error: Error | null) => void) => void): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    submit((error) => (error ? reject(error) : resolve()));
  });
}

async function write(io: NodeIo, lbn: number, value: number): Promise<void> {
  const bytes = new Uint8Array(blockSizeBytes).fill(value);
  await complete((done) => io.write(lbn, bytes, false, done));
}

async function firstBytes(io: NodeIo, count: number): Promise<number[]> {
  const bytes = new Uint8Array(count * blockSizeBytes);
  await complete((done) => io.read(0, bytes, done));
  return Array.from({ length: count }, (_, index) => bytes[index * blockSizeBytes]!);
}

describe('MemoryStore', () => {
  test('a snapshot and its clone keep the bytes of the instant; sizes are exact', async () => {
    const store = newStore();
    await store.createVolume({ name: 'a', uuid, sizeBlocks: 10, attributes: '{}' });
    const io = store.openIo(a);
    await write(io, 0, 1);
    await write(io, 1, 2);
    await store.createSnapshot({ name: 's', uuid, volume: 'a', attributes: '{}' });
    await write(io, 1, 3);
    const clone = { name: 'b', uuid, source: s, sizeBlocks: 20, attributes: '{}' };
    expect(await store.createClone(clone)).toMatchObject({ parentSnapshot: 's', sizeBlocks: 20 });

    expect(await firstBytes(io, 3)).toEqual([1, 3, 0]);
    expect(await firstBytes(store.openIo(s), 3)).toEqual([1, 2, 0]);
    expect(await firstBytes(store.openIo(b), 3)).toEqual([1, 2, 0]);
    expect(await store.nodeSpace(a)).toEqual({
      referencedBlocks: 2,
      slackBlocks: 0,
      uniqueBlocks: 1,
      reclaimableBlocks: 1,
    });
    expect(store.find(s)?.childCount).toBe(2);
    expect(store.space().allocatedBlocks).toBe(3);
  });

  test('deletes in any order give all space back, refusing only what is open', async () => {
    const store = newStore();
    await store.createVolume({ name: 'a', uuid, sizeBlocks: 10, attributes: '{}' });
    const io = store.openIo(a);
    await write(io, 0, 1);
    await store.createSnapshot({ name: 's', uuid, volume: 'a', attributes: '{}' });
    await store.createClone({ name: 'b', uuid, source: a, sizeBlocks: 10, attributes: '{}' });
    await expect(store.deleteNode(a)).rejects.toMatchObject({ kind: 'failed-precondition' });
    await io.close();
    await store.deleteNode(a);
    await store.deleteNode(s);
    expect(store.space().allocatedBlocks).toBe(1);
    await store.deleteNode(b);
    expect(store.space().allocatedBlocks).toBe(0);
    await expect(store.deleteNode(b)).rejects.toMatchObject({ kind: 'not-found' });
  });

  test('revert puts back the content of a snapshot of the same line only', async () => {
    const store = newStore();
    await store.createVolume({ name: 'a', uuid, sizeBlocks: 10, attributes: '{}' });
    await store.createVolume({ name: 'b', uuid, sizeBlocks: 10, attributes: '{}' });
    await store.createSnapshot({ name: 's', uuid, volume: 'a', attributes: '{}' });
    const io = store.openIo(a);
    await write(io, 0, 1);
    await io.close();
    expect(await store.revert('a', 's', '{"r":1}')).toMatchObject({ attributes: '{"r":1}' });
    expect(await firstBytes(store.openIo(a), 1)).toEqual([0]);
    await expect(store.revert('b', 's', '{}')).rejects.toMatchObject({
      kind: 'failed-precondition',
    });
  });

  test('extents have no gaps and stop at the limit; a full pool refuses writes', async () => {
    const store = newStore(2);
    await store.createVolume({ name: 'a', uuid, sizeBlocks: 2 ** 31, attributes: '{}' });
    const io = store.openIo(a);
    await write(io, 5, 1);
    await write(io, 6, 1);
    await expect(write(io, 9, 1)).rejects.toMatchObject({ kind: 'insufficient-space' });
    expect(await io.allocation(1, 2 ** 31 - 1, 9)).toEqual([
      { lbn: 1, blockCount: 4, state: 'hole' },
      { lbn: 5, blockCount: 2, state: 'data' },
      { lbn: 7, blockCount: 2 ** 31 - 7, state: 'hole' },
    ]);
    expect(await io.allocation(1, 10, 2)).toHaveLength(2);
    await complete((done) => io.discard(0, 2 ** 31, done));
    expect(store.space().allocatedBlocks).toBe(0);
  });
});
