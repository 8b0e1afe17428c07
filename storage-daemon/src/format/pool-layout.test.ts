import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { refusal } from '../testing/format/decoding.ts';
import { blockSizeBytes } from '../units.ts';
import {
  cellRootBlock,
  cellsMax,
  checkGeometry,
  groupBlocksMax,
  journalBlockOf,
  layOutDevices,
  leafBlocks,
  mapLevel,
  poolBlocksMax,
  spanBlocks,
  superblockBlocks,
} from './pool-layout.ts';
import { rootCopies } from './cell-root.ts';
import { poolDevicesMax, type PoolGeometry, type SuperblockDevice } from './superblock.ts';

interface Region {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

const geometry: PoolGeometry = {
  groupBlocks: 32_768,
  ringBlocks: 1024,
  cellCount: 1,
  tableFanOut: 256,
  leafClusters: 256,
  reserveBlocks: 64,
};
const uuid = new Uint8Array(16);
const gibibyteBlocks = 2 ** 30 / blockSizeBytes;

function block(name: string, start: number): Region {
  return { name, start, end: start + 1 };
}

/** Everything that has a place on a device, from the functions that the store asks for it. */
function regionsOf(options: PoolGeometry, device: SuperblockDevice, deviceIndex: number): Region[] {
  const regions = superblockBlocks(device.sizeBlocks).map((start, copy) =>
    block(`superblock ${copy}`, start),
  );
  if (deviceIndex === 0) {
    for (let cell = 0; cell < options.cellCount; cell++) {
      for (let copy = 0; copy < rootCopies; copy++) {
        for (const generation of [0, 1]) {
          regions.push(
            block(`root ${cell}/${generation}/${copy}`, cellRootBlock(cell, generation, copy)),
          );
        }
      }
      const start = journalBlockOf(options, cell, 0);
      const last = journalBlockOf(options, cell, options.ringBlocks - 1);
      expect(last - start).toBe(options.ringBlocks - 1);
      regions.push({ name: `journal ${cell}`, start, end: last + 1 });
    }
  }
  const start = device.groupStartBlock;
  const end = start + device.groupCount * options.groupBlocks;
  if (device.groupCount > 0) regions.push({ name: 'groups', start, end });
  return regions.sort((a, b) => a.start - b.start);
}

function expectDisjoint(regions: readonly Region[], sizeBlocks: number): void {
  const wrong = regions.filter(({ start, end }, index) => {
    const next = regions[index + 1]?.start ?? sizeBlocks;
    return start < 0 || start >= end || end > next;
  });
  expect(wrong).toEqual([]);
}

describe('the layout of a pool', () => {
  test.each<[string, Partial<PoolGeometry>, number[]]>([
    ['one small device', {}, [65_536]],
    ['the smallest device', { ringBlocks: 8, groupBlocks: 16 }, [1552]],
    [
      '64 cells with the largest rings',
      { cellCount: 64, ringBlocks: 16_384 },
      [2048 * gibibyteBlocks],
    ],
    [
      '16 devices of 1 TiB',
      { cellCount: 64 },
      Array.from({ length: 16 }, () => 1023 * gibibyteBlocks),
    ],
    ['shrunk geometry', { groupBlocks: 256, ringBlocks: 16, cellCount: 8 }, [9999, 2000, 768]],
  ])('has no overlap and ends inside the device: %s', (_, change, sizes) => {
    const options = { ...geometry, ...change };
    const devices = layOutDevices(
      options,
      sizes.map((sizeBlocks) => ({ uuid, sizeBlocks })),
    );
    checkGeometry(options, devices);
    for (const [index, device] of devices.entries()) {
      expectDisjoint(regionsOf(options, device, index), device.sizeBlocks);
    }
  });

  test('has no overlap for any geometry that is accepted', () => {
    const anyGeometry = fc.record({
      groupBlocks: fc.integer({ min: 16, max: groupBlocksMax }),
      ringBlocks: fc.integer({ min: 8, max: 2000 }),
      cellCount: fc.integer({ min: 1, max: cellsMax }),
      tableFanOut: fc.integer({ min: 2, max: 256 }),
      leafClusters: fc.integer({ min: 1, max: 256 }),
      reserveBlocks: fc.nat(1000),
    });
    const anySizes = fc.array(fc.integer({ min: 1, max: 300_000 }), {
      minLength: 1,
      maxLength: poolDevicesMax,
    });
    let accepted = 0;
    fc.assert(
      fc.property(anyGeometry, anySizes, (options, sizes) => {
        const devices = layOutDevices(
          options,
          sizes.map((sizeBlocks) => ({ uuid, sizeBlocks })),
        );
        if (refusal(() => checkGeometry(options, devices)) !== 'accepted') return;
        accepted++;
        let firstGroup = 0;
        for (const [index, device] of devices.entries()) {
          expectDisjoint(regionsOf(options, device, index), device.sizeBlocks);
          expect(device.firstGroup).toBe(firstGroup);
          firstGroup += device.groupCount;
        }
      }),
      { numRuns: 500 },
    );
    expect(accepted).toBeGreaterThan(20);
  });

  test('keeps copies a MiB apart, and groups on whole MiB', () => {
    const [device] = layOutDevices(geometry, [{ uuid, sizeBlocks: 65_536 }]);
    expect(superblockBlocks(65_536)).toEqual([0, 256, 65_280]);
    expect(cellRootBlock(63, 1, 0)).toBe(512 + 127);
    expect(cellRootBlock(63, 1, 1) - cellRootBlock(63, 1, 0)).toBe(256);
    expect(device!.groupStartBlock % 256).toBe(0);
  });
});

describe('checkGeometry()', () => {
  const sizes = [{ uuid, sizeBlocks: 65_536 }];

  test.each<[string, Partial<PoolGeometry>]>([
    ['groups of 15 blocks', { groupBlocks: 15 }],
    ['groups above one bitmap page', { groupBlocks: 32_769 }],
    ['a ring of 7 blocks', { ringBlocks: 7 }],
    ['a ring above 2^20 blocks', { ringBlocks: 2 ** 20 + 1 }],
    ['no cell', { cellCount: 0 }],
    ['65 cells', { cellCount: 65 }],
    ['a fan-out of 1', { tableFanOut: 1 }],
    ['a fan-out of 257', { tableFanOut: 257 }],
    ['leaves of nothing', { leafClusters: 0 }],
    ['leaves of 257 clusters', { leafClusters: 257 }],
    ['rings that leave no group', { ringBlocks: 60_000 }],
    ['rings that reach the last MiB', { ringBlocks: 65_000 }],
  ])('refuses %s', (_, change) => {
    const options = { ...geometry, ...change };
    expect(refusal(() => checkGeometry(options, layOutDevices(options, sizes)))).toBe('range');
  });

  test.each<[string, (device: SuperblockDevice) => SuperblockDevice]>([
    ['a first group that does not follow', (device) => ({ ...device, firstGroup: 1 })],
    ['a group too many', (device) => ({ ...device, groupCount: device.groupCount + 1 })],
    ['groups inside the fixed area', (device) => ({ ...device, groupStartBlock: 256 })],
  ])('refuses a device table with %s', (_, change) => {
    const devices = layOutDevices(geometry, sizes).map(change);
    expect(refusal(() => checkGeometry(geometry, devices))).toBe('range');
  });

  test('refuses a device whose copies of the superblock would overlap', () => {
    const devices = layOutDevices(geometry, [...sizes, { uuid, sizeBlocks: 767 }]);
    expect(refusal(() => checkGeometry(geometry, devices))).toBe('range');
  });

  test('refuses more blocks than a block number can name', () => {
    const huge = Array.from({ length: 2 }, () => ({
      uuid,
      sizeBlocks: poolBlocksMax / 2 + 65_536,
    }));
    expect(refusal(() => checkGeometry(geometry, layOutDevices(geometry, huge)))).toBe('range');
  });

  test('refuses no devices', () => {
    expect(refusal(() => checkGeometry(geometry, []))).toBe('range');
  });
});

describe('the spans of a map', () => {
  test('are 16 MiB, 4 GiB, 1 TiB and 256 TiB by default', () => {
    const mebibytes = [0, 1, 2, 3].map((level) => (spanBlocks(geometry, level) * 4) / 1024);
    expect(mebibytes).toEqual([16, 4096, 2 ** 20, 2 ** 28]);
    expect(leafBlocks(geometry)).toBe(4096);
  });

  test.each([
    ['one block', 1, 1],
    ['4 GiB', 2 ** 20, 1],
    ['a block more', 2 ** 20 + 1, 2],
    ['1 TiB', 2 ** 28, 2],
    ['the largest volume', 2 ** 32 - 16, 3],
  ])('reach over %s', (_, sizeBlocks, level) => {
    expect(mapLevel(geometry, sizeBlocks)).toBe(level);
  });
});
