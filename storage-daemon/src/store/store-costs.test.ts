/** What an operation costs, in device writes and bytes: counted on the device, not timed. */
import { describe, expect, test } from '@jest/globals';

import { SeededRandom } from '../testing/seeded-random.ts';
import { SimulatedMachine, blankImages } from '../testing/runs/simulated-machine.ts';
import { storeEngine } from '../testing/store-engine.ts';
import { blockSizeBytes } from '../units.ts';
import type { NodeIo, Store } from './store-api.ts';

interface Cost {
  readonly writes: number;
  readonly writtenBytes: number;
  readonly reads: number;
  readonly records: number;
}

class CountedPool {
  readonly machine: SimulatedMachine;
  readonly store: Store;

  private constructor(machine: SimulatedMachine, store: Store) {
    this.machine = machine;
    this.store = store;
  }

  /** A pool on which nothing is written by itself. */
  static async open(): Promise<CountedPool> {
    const machine = new SimulatedMachine(
      {
        hasVolatileCache: true,
        tearsBlocks: false,
        stallChance: 0,
        trace: () => {},
        bootIndex: 0,
      },
      { images: blankImages([65_536]), random: new SeededRandom(1) },
    );
    await machine.format(storeEngine, 1, {});
    const heal = { intervalMs: Infinity };
    const options = { journalTimerMs: Infinity, checkpointIntervalMs: Infinity, heal };
    const store = await machine.drive('opening', machine.open(storeEngine, options));
    return new CountedPool(machine, store);
  }

  async createVolume(name: string, sizeBlocks: number): Promise<NodeIo> {
    const uuid = new Uint8Array(16);
    const options = { name, uuid, sizeBlocks, attributes: '{}' };
    await this.machine.drive('create', this.store.createVolume(options));
    return this.store.openIo({ kind: 'volume', name });
  }

  snapshot(volume: string, name: string): Promise<unknown> {
    const options = { name, volume, uuid: new Uint8Array(16), attributes: '{}' };
    return this.machine.drive('snapshot', this.store.createSnapshot(options));
  }

  write(io: NodeIo, lbn: number, blockCount = 1): Promise<void> {
    const source = new Uint8Array(blockCount * blockSizeBytes).fill(1 + (lbn % 200));
    return this.io((done) => io.write(lbn, source, false, done));
  }

  read(io: NodeIo, lbn: number, blockCount: number): Promise<void> {
    const target = new Uint8Array(blockCount * blockSizeBytes);
    return this.io((done) => io.read(lbn, target, done));
  }

  flush(io: NodeIo): Promise<void> {
    return this.io((done) => io.flush(done));
  }

  io(submit: (done: (error: Error | null) => void) => void): Promise<void> {
    const answered = new Promise<void>((resolve, reject) => {
      submit((error) => (error ? reject(error) : resolve()));
    });
    return this.machine.drive('i/o', answered);
  }

  /** What `work` costs on the device. */
  async costOf(work: () => Promise<unknown>): Promise<Cost> {
    const counters = () => ({ ...this.machine.devices[0]!.counters });
    const before = counters();
    const recordsBefore = this.store.counters().journalRecords;
    await work();
    const after = counters();
    return {
      writes: after.writes - before.writes,
      writtenBytes: after.writtenBytes - before.writtenBytes,
      reads: after.reads - before.reads,
      records: this.store.counters().journalRecords - recordsBefore,
    };
  }
}

const oneJournalBlock = { writes: 1, writtenBytes: blockSizeBytes, reads: 0, records: 1 };

describe('a snapshot', () => {
  const volumes: Readonly<Record<string, { sizeBlocks: number; writtenLbns: number[] }>> = {
    'an empty volume of 1 MiB': { sizeBlocks: 256, writtenLbns: [] },
    'a volume of 64 MiB with data all over it': {
      sizeBlocks: 16_384,
      writtenLbns: Array.from({ length: 200 }, (_, index) => index * 80),
    },
    'a volume of 1 TiB with data at both ends': {
      sizeBlocks: 2 ** 28,
      writtenLbns: [0, 2 ** 28 - 1],
    },
    'the largest volume': { sizeBlocks: 2 ** 32 - 16, writtenLbns: [0, 2 ** 32 - 17] },
  };
  for (const [what, { sizeBlocks, writtenLbns }] of Object.entries(volumes)) {
    test(`of ${what} is one write of 4 KiB`, async () => {
      const pool = await CountedPool.open();
      const io = await pool.createVolume('v', sizeBlocks);
      for (const lbn of writtenLbns) await pool.write(io, lbn);
      await pool.flush(io);
      expect(await pool.costOf(() => pool.snapshot('v', 's'))).toEqual(oneJournalBlock);
    });
  }

  test('of a volume with 300 snapshots is one write of 4 KiB', async () => {
    const pool = await CountedPool.open();
    const io = await pool.createVolume('v', 4096);
    for (let round = 0; round < 300; round++) {
      await pool.write(io, round);
      await pool.snapshot('v', `s${round}`);
    }
    await pool.machine.drive('checkpoint', pool.store.checkpoint());
    expect(await pool.costOf(() => pool.snapshot('v', 'last'))).toEqual(oneJournalBlock);
  });
});

describe('a write', () => {
  test('of 4 KiB to a shared block writes 4 KiB and reads nothing; its record joins the next flush', async () => {
    const pool = await CountedPool.open();
    const io = await pool.createVolume('v', 4096);
    await pool.write(io, 0, 64);
    await pool.flush(io);
    await pool.snapshot('v', 's');
    const first = await pool.costOf(() => pool.write(io, 7));
    expect(first).toEqual({ writes: 1, writtenBytes: blockSizeBytes, reads: 0, records: 1 });
    const flush = await pool.costOf(() => pool.flush(io));
    expect(flush).toEqual({ ...oneJournalBlock, records: 0 });
  });

  test('to an own block goes in place: no record, no metadata, however often', async () => {
    const pool = await CountedPool.open();
    const io = await pool.createVolume('v', 4096);
    await pool.write(io, 0, 64);
    await pool.flush(io);
    const cost = await pool.costOf(async () => {
      for (let round = 0; round < 100; round++) await pool.write(io, round % 64);
      await pool.flush(io);
    });
    const writtenBytes = 100 * blockSizeBytes;
    expect(cost).toEqual({ writes: 100, writtenBytes, reads: 0, records: 0 });
    const checkpoint = await pool.costOf(async () => {
      await pool.machine.drive('checkpoint', pool.store.checkpoint());
      await pool.write(io, 3);
      await pool.machine.drive('checkpoint', pool.store.checkpoint());
    });
    // The first checkpoint stores the map once; the second has nothing to do.
    const again = await pool.costOf(() =>
      pool.machine.drive('checkpoint', pool.store.checkpoint()),
    );
    expect(checkpoint.records).toBe(0);
    expect(again.writes).toBe(0);
  });

  test('of 1 MiB to fresh space is one device write and one record', async () => {
    const pool = await CountedPool.open();
    const io = await pool.createVolume('v', 4096);
    const cost = await pool.costOf(() => pool.write(io, 0, 256));
    expect(cost).toEqual({ writes: 1, writtenBytes: 2 ** 20, reads: 0, records: 1 });
  });

  test('of 4 MiB to fresh space is few device writes and few records', async () => {
    const pool = await CountedPool.open();
    const io = await pool.createVolume('v', 4096);
    const cost = await pool.costOf(() => pool.write(io, 0, 1024));
    expect(cost.writtenBytes).toBe(2 ** 22);
    expect(cost.writes).toBeLessThanOrEqual(2);
    expect(cost.records).toBeLessThanOrEqual(2);
    const read = await pool.costOf(() => pool.read(io, 0, 1024));
    expect(read.reads).toBeLessThanOrEqual(2);
  });

  test('beside others in a cluster is one device write and one record; over them it is no record', async () => {
    const pool = await CountedPool.open();
    const io = await pool.createVolume('v', 4096);
    await pool.write(io, 5);
    const beside = await pool.costOf(() => pool.write(io, 6, 4));
    expect(beside).toEqual({ writes: 1, writtenBytes: 4 * blockSizeBytes, reads: 0, records: 1 });
    const over = await pool.costOf(() => pool.write(io, 5, 5));
    expect(over).toEqual({ writes: 1, writtenBytes: 5 * blockSizeBytes, reads: 0, records: 0 });
  });
});

test('discarding an empty volume of 16 TiB - 64 KiB writes nothing', async () => {
  const pool = await CountedPool.open();
  const io = await pool.createVolume('v', 2 ** 32 - 16);
  const cost = await pool.costOf(() => pool.io((done) => io.discard(0, 2 ** 32 - 16, done)));
  expect(cost).toEqual({ writes: 0, writtenBytes: 0, reads: 0, records: 0 });
});
