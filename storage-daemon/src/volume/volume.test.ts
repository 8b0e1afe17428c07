import { describe, expect, test } from '@jest/globals';

import type { IoCompletion, NodeIo } from '../store/store-api.ts';
import { MemoryStore } from '../testing/memory-store.ts';
import { SeededRandom } from '../testing/seeded-random.ts';
import { Volume, type VolumeCompletion } from './volume.ts';
import type { VolumeError } from './volume-error.ts';

const node = { kind: 'volume', name: 'v' } as const;

async function newStore({ sizeBlocks = 16, poolBlocks = 1000 } = {}): Promise<MemoryStore> {
  const store = new MemoryStore({ poolName: 'memory', sizeBlocks: poolBlocks });
  await store.createVolume({ name: 'v', uuid: new Uint8Array(16), sizeBlocks, attributes: '{}' });
  return store;
}

function volumeOver(io: NodeIo): Volume {
  return new Volume({ label: 'volume/v' }, { io, clockMs: () => performance.now() });
}

function answer(submit: (done: VolumeCompletion) => void): Promise<VolumeError | null> {
  return new Promise((resolve) => {
    submit(resolve);
  });
}

async function content(volume: Volume): Promise<Uint8Array> {
  const bytes = new Uint8Array(volume.sizeBytes);
  expect(await answer((done) => volume.read(0, bytes, done))).toBeNull();
  return bytes;
}

/** A node whose requests take effect in an order that the seed chooses, one at each call of `step`. */
class ReorderingIo implements NodeIo {
  readonly readOnly = false;
  readonly #io: NodeIo;
  readonly #random: SeededRandom;
  readonly #waiting: (() => void)[] = [];

  constructor(io: NodeIo, random: SeededRandom) {
    this.#io = io;
    this.#random = random;
  }

  get sizeBlocks(): number {
    return this.#io.sizeBlocks;
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  step(): void {
    const [next] = this.#waiting.splice(this.#random.below(this.#waiting.length), 1);
    next?.();
  }

  read(lbn: number, target: Uint8Array, done: IoCompletion): void {
    this.#waiting.push(() => this.#io.read(lbn, target, done));
  }

  write(lbn: number, source: Uint8Array, fua: boolean, done: IoCompletion): void {
    this.#waiting.push(() => this.#io.write(lbn, source, fua, done));
  }

  discard(lbn: number, blockCount: number, done: IoCompletion): void {
    this.#waiting.push(() => this.#io.discard(lbn, blockCount, done));
  }

  writeZeroes(lbn: number, blockCount: number, fua: boolean, done: IoCompletion): void {
    this.#waiting.push(() => this.#io.writeZeroes(lbn, blockCount, fua, done));
  }

  flush(done: IoCompletion): void {
    this.#waiting.push(() => this.#io.flush(done));
  }

  allocation: NodeIo['allocation'] = (lbn, blockCount, extentsMax) =>
    this.#io.allocation(lbn, blockCount, extentsMax);

  close(): Promise<void> {
    return this.#io.close();
  }
}

/** A change that was asked for: its bytes all became `value` between two moments. */
interface Change {
  readonly from: number;
  readonly to: number;
  readonly value: number;
  readonly asked: number;
  answered: number;
}

/** Values that byte `at` may show to a read between two moments. */
function allowedValues(changes: readonly Change[], at: number, asked: number, answered: number) {
  const touching = changes.filter(
    ({ from, to, asked }) => from <= at && at < to && asked < answered,
  );
  const last = touching.filter(
    (change) => !touching.some((later) => later.asked > change.answered && later.answered < asked),
  );
  const untouched = touching.every((change) => change.answered >= asked);
  return new Set([...last.map(({ value }) => value), ...(untouched ? [0] : [])]);
}

async function runConcurrently(seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  const store = await newStore({ sizeBlocks: 6 });
  const io = new ReorderingIo(store.openIo(node), random);
  const volume = volumeOver(io);
  const changes: Change[] = [];
  let moment = 0;
  const pending = { count: 0 };

  const checkRead = (offset: number, target: Uint8Array, asked: number) => {
    const answered = ++moment;
    target.forEach((value, index) => {
      const isEdge = index === 0 || value !== target[index - 1] || index === target.length - 1;
      if (!isEdge && index % 97 !== 0) return;
      const allowed = allowedValues(changes, offset + index, asked, answered);
      if (!allowed.has(value)) {
        throw new Error(
          `seed ${seed}: byte ${offset + index} is ${value}, allowed ${[...allowed].join()}`,
        );
      }
    });
  };
  const ask = () => {
    const from = random.chance(0.3) ? random.below(6) * 4096 : random.below(volume.sizeBytes);
    const length = random.chance(0.3) ? 4096 * (1 + random.below(2)) : 1 + random.below(9000);
    const to = Math.min(volume.sizeBytes, from + length);
    const asked = ++moment;
    pending.count++;
    const kind = random.below(5);
    if (kind === 0) {
      const target = new Uint8Array(to - from).fill(0xee);
      volume.read(from, target, (error) => {
        pending.count--;
        expect(error).toBeNull();
        checkRead(from, target, asked);
      });
      return;
    }
    const value = kind === 1 ? 0 : 1 + random.below(200);
    const change: Change = { from, to, value, asked, answered: Infinity };
    changes.push(change);
    const done: VolumeCompletion = (error) => {
      pending.count--;
      expect(error).toBeNull();
      change.answered = ++moment;
    };
    const fua = random.chance(0.2);
    if (kind === 1) {
      volume.writeZeroes(from, to - from, { fua, keepAllocated: random.chance(0.3) }, done);
    } else volume.write(from, new Uint8Array(to - from).fill(value), fua, done);
  };

  for (let count = 0; count < 60; count++) {
    ask();
    while (io.waitingCount > 0 && random.chance(0.6)) {
      io.step();
      await new Promise(setImmediate);
    }
  }
  while (pending.count > 0) {
    io.step();
    await new Promise(setImmediate);
  }
  const asked = ++moment;
  const bytes = new Uint8Array(volume.sizeBytes);
  const read = answer((done) => volume.read(0, bytes, done));
  io.step();
  await read;
  checkRead(0, bytes, asked);
}

describe('Volume', () => {
  test('changes of any bytes, in any order of effects, lose no update (200 seeds)', async () => {
    for (let seed = 1; seed <= 200; seed++) await runConcurrently(seed);
  });

  test('write zeroes clears exactly its bytes and gives back blocks that became zero', async () => {
    const store = await newStore();
    const volume = volumeOver(store.openIo(node));
    const ones = new Uint8Array(16 * 4096).fill(1);
    await answer((done) => volume.write(0, ones, false, done));
    const options = { fua: true, keepAllocated: false };
    await answer((done) => volume.writeZeroes(100, 3 * 4096, options, done));
    const expected = new Uint8Array(16 * 4096).fill(1).fill(0, 100, 100 + 3 * 4096);
    expect(Buffer.compare(await content(volume), expected)).toBe(0);
    expect(store.space().allocatedBlocks).toBe(14);
    await answer((done) => volume.writeZeroes(0, 100, options, done));
    expect(store.space().allocatedBlocks).toBe(13);
    const keep = { fua: false, keepAllocated: true };
    await answer((done) => volume.writeZeroes(0, 16 * 4096, keep, done));
    expect(store.space().allocatedBlocks).toBe(16);
    expect((await content(volume)).every((byte) => byte === 0)).toBe(true);
  });

  test('discard gives back the whole blocks inside its range and leaves the rest alone', async () => {
    const store = await newStore();
    const volume = volumeOver(store.openIo(node));
    const ones = new Uint8Array(16 * 4096).fill(1);
    await answer((done) => volume.write(0, ones, false, done));
    expect(await answer((done) => volume.discard(1, 4 * 4096, false, done))).toBeNull();
    const expected = new Uint8Array(16 * 4096).fill(1).fill(0, 4096, 4 * 4096);
    expect(Buffer.compare(await content(volume), expected)).toBe(0);
    expect(await answer((done) => volume.discard(10, 4096, false, done))).toBeNull();
    expect(await answer((done) => volume.discard(10, 4096, true, done))).toBeNull();
    expect(store.space().allocatedBlocks).toBe(13);
  });

  test('refuses what lies outside, before anything is read or written; empty requests succeed', async () => {
    const volume = volumeOver((await newStore()).openIo(node));
    const { sizeBytes } = volume;
    const bytes = new Uint8Array(2);
    const zero = { fua: false, keepAllocated: false };
    const refused = { kind: 'out-of-range' };
    expect(await answer((done) => volume.read(sizeBytes - 1, bytes, done))).toMatchObject(refused);
    expect(await answer((done) => volume.write(sizeBytes, bytes, true, done))).toMatchObject({
      kind: 'out-of-range',
      message: 'Write 2 bytes at 65536 of volume/v: it has 65536 bytes',
    });
    expect(await answer((done) => volume.writeZeroes(1, sizeBytes, zero, done))).toMatchObject(
      refused,
    );
    expect(await answer((done) => volume.discard(2 ** 52, 1, false, done))).toMatchObject(refused);
    await expect(volume.allocation(sizeBytes, 1, 1)).rejects.toMatchObject(refused);
    expect(await answer((done) => volume.read(sizeBytes, new Uint8Array(0), done))).toBeNull();
    expect((await content(volume)).every((byte) => byte === 0)).toBe(true);
  });

  test('shows a resize at once', async () => {
    const store = await newStore();
    const volume = volumeOver(store.openIo(node));
    await store.resize('v', 17);
    expect(volume.sizeBytes).toBe(17 * 4096);
    const block = new Uint8Array(4096);
    expect(await answer((done) => volume.write(16 * 4096, block, false, done))).toBeNull();
  });

  test('a snapshot can be read and flushed, not changed', async () => {
    const store = await newStore();
    const uuid = new Uint8Array(16);
    await store.createSnapshot({ name: 's', uuid, volume: 'v', attributes: '{}' });
    const volume = volumeOver(store.openIo({ kind: 'snapshot', name: 's' }));
    const zero = { fua: false, keepAllocated: false };
    const refused = { kind: 'read-only' };
    const bytes = new Uint8Array(1);
    expect(await answer((done) => volume.write(0, bytes, false, done))).toMatchObject(refused);
    expect(await answer((done) => volume.writeZeroes(0, 1, zero, done))).toMatchObject(refused);
    expect(await answer((done) => volume.discard(0, 1, false, done))).toMatchObject(refused);
    expect(await answer((done) => volume.flush(done))).toBeNull();
    expect(await answer((done) => volume.read(0, bytes, done))).toBeNull();
  });

  test('extents are cut to the bytes asked for', async () => {
    const volume = volumeOver((await newStore()).openIo(node));
    await answer((done) => volume.write(4096, new Uint8Array(4096).fill(1), false, done));
    expect(await volume.allocation(100, 10_000, 9)).toEqual([
      { offsetBytes: 100, lengthBytes: 3996, state: 'hole' },
      { offsetBytes: 4096, lengthBytes: 4096, state: 'data' },
      { offsetBytes: 8192, lengthBytes: 1908, state: 'hole' },
    ]);
    expect(await volume.allocation(100, 10_000, 1)).toHaveLength(1);
    expect(await volume.allocation(0, 0, 1)).toEqual([]);
  });

  test('a full pool and a broken one are different answers', async () => {
    const store = await newStore({ poolBlocks: 1 });
    const volume = volumeOver(store.openIo(node));
    const blocks = new Uint8Array(8192);
    expect(await answer((done) => volume.write(0, blocks, false, done))).toMatchObject({
      kind: 'no-space',
    });
    await store.close();
    expect(await answer((done) => volume.write(0, blocks, false, done))).toMatchObject({
      kind: 'io',
    });
  });

  test('close answers what is under way, refuses what comes later with the reason', async () => {
    const store = await newStore();
    const io = new ReorderingIo(store.openIo(node), new SeededRandom(1));
    const volume = volumeOver(io);
    const order: string[] = [];
    const written = answer((done) => volume.write(1, new Uint8Array(10), false, done));
    const closed = volume.close('it is being deleted');
    expect(await answer((done) => volume.flush(done))).toMatchObject({
      kind: 'closed',
      message: 'Flush 0 bytes at 0 of volume/v: it is being deleted',
    });
    await expect(volume.allocation(0, 1, 1)).rejects.toMatchObject({ kind: 'closed' });
    expect(volume.inFlightCount).toBe(1);
    void written.then(() => order.push('written'));
    void closed.then(() => order.push('closed'));
    io.step();
    await new Promise(setImmediate);
    expect(order).toEqual([]);
    io.step();
    expect(await written).toBeNull();
    await closed;
    expect(order).toEqual(['written', 'closed']);
    await volume.close('again');
    await store.deleteNode(node);
  });

  test('counts requests, bytes and failures by kind', async () => {
    const volume = volumeOver((await newStore()).openIo(node));
    await answer((done) => volume.write(0, new Uint8Array(5000), false, done));
    await answer((done) => volume.read(0, new Uint8Array(10), done));
    await answer((done) => volume.read(volume.sizeBytes, new Uint8Array(10), done));
    const counts = volume.statistics.read();
    expect(counts.write).toMatchObject({ count: 1, bytes: 5000, errorCount: 0 });
    expect(counts.read).toMatchObject({ count: 2, bytes: 10, errorCount: 1 });
    expect(counts.discard.count).toBe(0);
    expect(counts.read.buckets.reduce((sum, count) => sum + count)).toBe(2);
  });
});

describe('limits', () => {
  /** The clock stands still: without help, only what a burst allows gets through. */
  async function limitedVolume(): Promise<{ volume: Volume; answered: () => number }> {
    const store = await newStore();
    const volume = new Volume({ label: 'volume/v' }, { io: store.openIo(node), clockMs: () => 0 });
    volume.setLimits({ writeIops: 1, readIops: 1 });
    let count = 0;
    const done: VolumeCompletion = (error) => {
      expect(error).toBeNull();
      count++;
    };
    for (let index = 0; index < 4; index++) {
      volume.write(index * 4096, new Uint8Array(4096).fill(index + 1), false, done);
      volume.read(0, new Uint8Array(4096), done);
      volume.discard(8 * 4096, 4096, false, done);
      volume.writeZeroes(9 * 4096, 4096, { fua: false, keepAllocated: false }, done);
    }
    return { volume, answered: () => count };
  }

  test('hold back reads and changes, and never a flush', async () => {
    const { volume, answered } = await limitedVolume();
    expect(await answer((done) => volume.flush(done))).toBeNull();
    expect([answered(), volume.inFlightCount]).toEqual([2, 14]);
    await volume.close('the test ends');
  });

  test('of whoever is gone drop what waits, and nothing of it is ever done', async () => {
    const { volume } = await limitedVolume();
    const failures: unknown[] = [];
    const gone: VolumeCompletion = (error) => failures.push(error?.kind);
    const stays: VolumeCompletion = (error) => expect(error).toBeNull();
    const bytes = new Uint8Array(4096).fill(9);
    volume.write(4 * 4096, bytes, false, gone);
    volume.write(5 * 4096, bytes, false, stays);
    volume.dropWaiting(new Set([gone]));
    // Never before the call returns.
    expect(failures).toEqual([]);
    volume.setLimits({});
    expect(await answer((done) => volume.flush(done))).toBeNull();
    expect(failures).toEqual(['io']);
    const after = await content(volume);
    expect([after[4 * 4096], after[5 * 4096]]).toEqual([0, 9]);
    await volume.close('the test ends');
  });

  test('let everything go when the volume closes', async () => {
    const { volume, answered } = await limitedVolume();
    await volume.close('it is closed');
    expect([answered(), volume.inFlightCount]).toEqual([16, 0]);
    expect(volume.throttleCounts.count).toBe(14);
  });

  test('that are taken away let go what waits, and later requests pass unseen', async () => {
    const { volume, answered } = await limitedVolume();
    volume.setLimits({});
    for (const fill of [8, 9]) {
      const bytes = new Uint8Array(4096).fill(fill);
      expect(await answer((done) => volume.write(0, bytes, false, done))).toBeNull();
    }
    expect([answered(), volume.inFlightCount]).toEqual([16, 0]);
    expect(volume.throttleCounts.count).toBe(14);
    expect((await content(volume)).subarray(4095, 4097)).toEqual(Uint8Array.of(9, 2));
    await volume.close('the test ends');
  });
});
