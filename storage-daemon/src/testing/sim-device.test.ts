import { describe, expect, test } from '@jest/globals';

import type { DeviceError } from '../device/block-device.ts';
import { blockSizeBytes } from '../units.ts';
import { SeededRandom } from './seeded-random.ts';
import { SeededScheduler } from './seeded-scheduler.ts';
import { SimDevice, type SimDeviceOptions } from './sim-device.ts';
import { SimImage } from './sim-image.ts';

const sizeBlocks = 16;

interface Bench {
  readonly device: SimDevice;
  readonly scheduler: SeededScheduler;
  readonly finished: string[];
  read(block: number): number;
  write(block: number, value: number, fua?: boolean): void;
}

function createBench(seed: number, options: Partial<SimDeviceOptions>, image?: SimImage): Bench {
  const random = new SeededRandom(seed);
  const scheduler = new SeededScheduler(random);
  const device = new SimDevice(
    { name: 'disk', hasVolatileCache: true, ...options },
    { image: image ?? new SimImage(sizeBlocks), scheduler, random },
  );
  const finished: string[] = [];
  return {
    device,
    scheduler,
    finished,
    read(block) {
      const target = new Uint8Array(blockSizeBytes);
      device.read(block * blockSizeBytes, target, () => {});
      run(scheduler);
      return target[0]!;
    },
    write(block, value, fua = false) {
      const source = new Uint8Array(blockSizeBytes).fill(value);
      device.write(block * blockSizeBytes, source, fua, (error) => {
        finished.push(error ? `${block} failed` : `${block}=${value}`);
      });
    },
  };
}

function run(scheduler: SeededScheduler): void {
  while (scheduler.step());
}

function valuesAfterCrash(
  seeds: number,
  options: Partial<SimDeviceOptions>,
  scenario: (bench: Bench) => void,
): Set<string> {
  const outcomes = new Set<string>();
  for (let seed = 0; seed < seeds; seed++) {
    const bench = createBench(seed, options);
    scenario(bench);
    const image = bench.device.crash('power');
    outcomes.add([0, 1, 2].map((block) => image.read(block)?.[0] ?? 0).join(''));
  }
  return outcomes;
}

describe('SimDevice', () => {
  test('completes after the call, in an order that the seed decides', () => {
    const orders = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const bench = createBench(seed, {});
      for (const block of [0, 1, 2]) bench.write(block, block + 1);
      expect(bench.finished).toEqual([]);
      run(bench.scheduler);
      orders.add(bench.finished.join(' '));
      expect([bench.read(0), bench.read(1), bench.read(2)]).toEqual([1, 2, 3]);
    }
    expect(orders.size).toBe(6);
  });

  test('a power cut keeps any subset of un-flushed writes', () => {
    const outcomes = valuesAfterCrash(200, {}, (bench) => {
      for (const block of [0, 1, 2]) bench.write(block, 1);
      run(bench.scheduler);
    });
    expect([...outcomes].toSorted()).toEqual(
      ['000', '001', '010', '011', '100', '101', '110', '111'].toSorted(),
    );
  });

  test('a power cut keeps flushed and FUA writes, and writes without a volatile cache', () => {
    const flushed = valuesAfterCrash(50, {}, (bench) => {
      bench.write(0, 1);
      run(bench.scheduler);
      bench.device.flush(() => {});
      run(bench.scheduler);
      bench.write(1, 1, true);
      run(bench.scheduler);
    });
    expect([...flushed]).toEqual(['110']);
    const uncached = valuesAfterCrash(50, { hasVolatileCache: false }, (bench) => {
      bench.write(2, 1);
      run(bench.scheduler);
    });
    expect([...uncached]).toEqual(['001']);
  });

  test('a flush covers only writes that completed before it was asked for', () => {
    const outcomes = valuesAfterCrash(100, {}, (bench) => {
      bench.device.flush(() => {});
      bench.write(0, 1);
      run(bench.scheduler);
    });
    expect([...outcomes].toSorted()).toEqual(['000', '100']);
  });

  test('an older cached version may survive the newer one', () => {
    const outcomes = valuesAfterCrash(100, {}, (bench) => {
      bench.write(0, 1);
      run(bench.scheduler);
      bench.write(0, 2);
      run(bench.scheduler);
    });
    expect([...outcomes].toSorted()).toEqual(['000', '100', '200']);
  });

  test('a FUA write replaces cached versions for good', () => {
    const outcomes = valuesAfterCrash(100, {}, (bench) => {
      bench.write(0, 1);
      run(bench.scheduler);
      bench.write(0, 2, true);
      run(bench.scheduler);
    });
    expect([...outcomes]).toEqual(['200']);
  });

  test('a kill keeps the cache, and the next flush makes it durable', () => {
    for (let seed = 0; seed < 50; seed++) {
      const bench = createBench(seed, {});
      bench.write(0, 1);
      run(bench.scheduler);
      const survivor = createBench(seed, {}, bench.device.crash('kill'));
      expect(survivor.read(0)).toBe(1);
      survivor.device.flush(() => {});
      run(survivor.scheduler);
      expect(survivor.device.crash('power').read(0)?.[0]).toBe(1);
    }
  });

  test('a power cut tears blocks at 512 bytes only where the device does', () => {
    const countsOfNewSectors = (tearsBlocks: boolean) => {
      const counts = new Set<number>();
      for (let seed = 0; seed < 200; seed++) {
        const bench = createBench(seed, { tearsBlocks });
        bench.write(0, 1);
        const kept = bench.device.crash('power').read(0) ?? new Uint8Array(blockSizeBytes);
        let newSectors = 0;
        for (let start = 0; start < blockSizeBytes; start += 512) {
          const sector = kept.subarray(start, start + 512);
          expect(sector.every((byte) => byte === sector[0])).toBe(true);
          newSectors += sector[0]!;
        }
        counts.add(newSectors);
      }
      return counts;
    };
    expect(countsOfNewSectors(false)).toEqual(new Set([0, 8]));
    expect(countsOfNewSectors(true).size).toBeGreaterThan(3);
  });

  test('deallocated blocks read as what they were, zeros or rubbish, and a power cut may undo it', () => {
    const seen = new Set<string>();
    const kept = new Set<boolean>();
    for (let seed = 0; seed < 40; seed++) {
      const bench = createBench(seed, { hasVolatileCache: true });
      bench.write(2, 7, true);
      bench.device.deallocate(2 * blockSizeBytes, blockSizeBytes, () => {});
      run(bench.scheduler);
      const found = bench.device.image.read(2)!;
      const isOne = found.every((byte) => byte === found[0]);
      seen.add(isOne ? String(found[0]) : 'rubbish');
      kept.add(bench.device.crash('power').read(2)![0] === 7);
    }
    expect(seen).toEqual(new Set(['0', '7', 'rubbish']));
    expect(kept).toEqual(new Set([true, false]));
  });

  test('fails the requests it is told to, and leaves old or new content', () => {
    const found = new Set<number>();
    for (let seed = 0; seed < 20; seed++) {
      const bench = createBench(seed, {
        failRequest: (kind, index) => kind === 'write' && index === 1,
      });
      bench.write(0, 1);
      bench.write(1, 1);
      run(bench.scheduler);
      expect(bench.finished.toSorted()).toEqual(['0=1', '1 failed']);
      found.add(bench.read(1));
    }
    expect(found).toEqual(new Set([0, 1]));
  });

  test('counts writes, bytes, FUA and flushes', () => {
    const bench = createBench(1, {});
    bench.write(0, 1);
    bench.write(1, 1, true);
    bench.device.flush(() => {});
    run(bench.scheduler);
    bench.read(0);
    expect(bench.device.counters).toEqual({
      reads: 1,
      readBytes: 4096,
      writes: 2,
      writtenBytes: 8192,
      fuaWrites: 1,
      flushes: 1,
      deallocations: 0,
    });
  });

  test('completes nothing after a crash', () => {
    const bench = createBench(1, {});
    bench.write(0, 1);
    bench.device.crash('kill');
    run(bench.scheduler);
    expect(bench.finished).toEqual([]);
  });

  test('close() waits for requests under way and refuses later ones', async () => {
    const bench = createBench(1, {});
    bench.write(0, 1);
    const closed = bench.device.close();
    const errors: (DeviceError | null)[] = [];
    bench.device.flush((error) => errors.push(error));
    run(bench.scheduler);
    await closed;
    await bench.device.close();
    expect(bench.finished).toEqual(['0=1']);
    expect(errors.map((error) => error?.kind)).toEqual(['closed']);
  });
});

describe('SimImage', () => {
  test('a clone does not see later writes of the original', () => {
    const image = new SimImage(sizeBlocks);
    image.writeCached(0, new Uint8Array(blockSizeBytes).fill(1));
    const clone = image.clone();
    image.writeDurable(0, new Uint8Array(blockSizeBytes).fill(2));
    expect(clone.read(0)?.[0]).toBe(1);
    expect(clone.cached().length).toBe(1);
    expect(image.cached().length).toBe(0);
  });
});
