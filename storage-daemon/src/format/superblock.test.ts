import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { counter, createdMs, textOfBytes, u32, uuid } from '../testing/format/arbitraries.ts';
import { ourBug, refusal, unnoticedFlips, withBytes } from '../testing/format/decoding.ts';
import { goldenBytes, hexLines } from '../testing/format/golden-bytes.ts';
import { blockSizeBytes } from '../units.ts';
import { crc32c } from './checksum.ts';
import {
  decodeSuperblock,
  encodeSuperblock,
  hasSuperblockMagic,
  poolDevicesMax,
  type Superblock,
} from './superblock.ts';

const superblock: Superblock = {
  poolUuid: new Uint8Array(16).fill(0xaa),
  poolName: 'fast',
  generation: 3,
  deviceIndex: 1,
  geometry: {
    groupBlocks: 4096,
    ringBlocks: 1024,
    cellCount: 2,
    tableFanOut: 256,
    leafClusters: 255,
    reserveBlocks: 0x1234,
  },
  createdMs: 1_700_000_000_000,
  devices: [
    {
      uuid: new Uint8Array(16).fill(0xbb),
      sizeBlocks: 20_480,
      firstGroup: 0,
      groupCount: 4,
      groupStartBlock: 3072,
    },
    {
      uuid: new Uint8Array(16).fill(0xcc),
      sizeBlocks: 2 ** 32 + 1,
      firstGroup: 4,
      groupCount: 3,
      groupStartBlock: 512,
    },
  ],
  isReadOnly: false,
};

const golden = goldenBytes(
  blockSizeBytes,
  `
     0: "VARVESB1"                                        magic
     8: 01 00 00 00                                       version
    12: 00 00 00 00                                       compatible features
    16: 00 00 00 00                                       read-only-compatible features
    20: 00 00 00 00                                       incompatible features
    24: aa aa aa aa aa aa aa aa aa aa aa aa aa aa aa aa   pool UUID
    40: 03 00 00 00 00 00 00 00                           generation
    48: 04                                                name length
    49: "fast"                                            name
   152: 02                                                copy number
   153: 01                                                device index
   154: 02                                                device count
   156: 00 10 00 00                                       blocks per group
   160: 00 04 00 00                                       ring blocks
   164: 02 00 00 00                                       cells
   168: 00 01 00 00                                       table fan-out
   172: ff 00 00 00                                       clusters per leaf
   176: 34 12 00 00                                       reserve
   184: 00 00 80 56 fe bc 78 42                           created: 1.7e12 as f64
   192: bb bb bb bb bb bb bb bb bb bb bb bb bb bb bb bb   device 0: UUID
   208: 00 50 00 00 00 00 00 00                           size in blocks
   216: 00 00 00 00                                       first group
   220: 04 00 00 00                                       groups
   224: 00 0c 00 00 00 00 00 00                           first block of its groups
   256: cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc   device 1: UUID
   272: 01 00 00 00 01 00 00 00                           size in blocks
   280: 04 00 00 00                                       first group
   284: 03 00 00 00                                       groups
   288: 00 02 00 00 00 00 00 00                           first block of its groups
  4092: cd 44 4c c9                                       crc32c with copy number 0
`,
);

function encoded(value: Superblock, copyNumber: number): Uint8Array {
  const page = new Uint8Array(blockSizeBytes).fill(0xee);
  encodeSuperblock(value, copyNumber, page);
  return page;
}

/** The golden page with a field changed and its checksum made right again. */
function resealed(offsetBytes: number, bytes: readonly number[]): Uint8Array {
  const page = withBytes(golden, offsetBytes, bytes);
  page[152] = 0;
  new DataView(page.buffer).setUint32(4092, crc32c(page.subarray(0, 4092)), true);
  page[152] = golden[152]!;
  return page;
}

/** Bytes of a device table that follows from nothing, for the codec alone. */
const anySuperblock: fc.Arbitrary<Superblock> = fc
  .record({
    poolUuid: uuid,
    poolName: textOfBytes(100),
    generation: counter,
    geometry: fc.record({
      groupBlocks: fc.integer({ min: 1, max: 32_768 }),
      ringBlocks: u32,
      cellCount: u32,
      tableFanOut: u32,
      leafClusters: u32,
      reserveBlocks: u32,
    }),
    createdMs,
    sizes: fc.array(
      fc.record({ uuid, groupCount: fc.nat(5000), groupStartBlock: fc.nat(2 ** 40) }),
      {
        minLength: 1,
        maxLength: poolDevicesMax,
      },
    ),
    deviceIndex: fc.nat(),
  })
  .map(({ sizes, deviceIndex, ...rest }) => {
    let firstGroup = 0;
    const devices = sizes.map((each) => {
      const sizeBlocks = each.groupStartBlock + each.groupCount * rest.geometry.groupBlocks;
      const device = { ...each, sizeBlocks, firstGroup };
      firstGroup += each.groupCount;
      return device;
    });
    return { ...rest, devices, deviceIndex: deviceIndex % devices.length, isReadOnly: false };
  });

describe('encodeSuperblock()', () => {
  test('writes the golden bytes, every byte of the page', () => {
    expect(hexLines(encoded(superblock, 2))).toEqual(hexLines(golden));
  });

  test('gives all copies the same checksum', () => {
    const pages = [0, 1, 2].map((copyNumber) => encoded(superblock, copyNumber));
    expect(new Set(pages.map((page) => hexLines(page.subarray(4092)).join()))).toHaveProperty(
      'size',
      1,
    );
  });

  test.each<[string, Partial<Superblock>]>([
    [
      'groups that are not consecutive',
      { devices: [{ ...superblock.devices[1]!, firstGroup: 1 }], deviceIndex: 0 },
    ],
    [
      'groups beyond the end of a device',
      { devices: [{ ...superblock.devices[0]!, sizeBlocks: 10 }], deviceIndex: 0 },
    ],
    ['a device that the table does not have', { deviceIndex: 2 }],
    ['no device', { devices: [] }],
    ['a name of 101 bytes', { poolName: 'n'.repeat(101) }],
    ['a UUID of 15 bytes', { poolUuid: new Uint8Array(15) }],
  ])('refuses to write %s', (_, change) => {
    expect(() => encoded({ ...superblock, ...change }, 0)).toThrow(ourBug);
  });
});

describe('decodeSuperblock()', () => {
  test('reads the golden bytes', () => {
    expect(decodeSuperblock(golden, 2)).toEqual(superblock);
  });

  test('returns what was encoded', () => {
    fc.assert(
      fc.property(anySuperblock, fc.integer({ min: 0, max: 2 }), (value, copyNumber) => {
        expect(decodeSuperblock(encoded(value, copyNumber), copyNumber)).toEqual(value);
      }),
    );
  });

  test('leaves the page as it was', () => {
    const page = Buffer.from(golden);
    decodeSuperblock(page, 2);
    expect(hexLines(page)).toEqual(hexLines(golden));
  });

  test('notices every flipped bit', () => {
    expect(unnoticedFlips(golden, (page) => decodeSuperblock(page, 2))).toEqual([]);
  });

  test.each([
    ['a page cut short', golden.subarray(0, 4095), 'length'],
    ['an empty page', new Uint8Array(blockSizeBytes), 'magic'],
    ['another magic', withBytes(golden, 0, [0x42]), 'magic'],
    ['a changed byte', withBytes(golden, 100, [1]), 'checksum'],
    ['another copy', withBytes(golden, 152, [0]), 'position'],
    ['a version of the future', resealed(8, [2]), 'version'],
    ['version 0', resealed(8, [0]), 'version'],
    ['an unknown incompatible feature', resealed(20, [1]), 'features'],
    ['the last incompatible feature', resealed(23, [0x80]), 'features'],
    ['a name of 101 bytes', resealed(48, [101]), 'range'],
    ['bytes behind the name', resealed(53, [0x78]), 'reserved'],
    ['a name that is not UTF-8', resealed(49, [0xff]), 'range'],
    ['no device', resealed(154, [0]), 'range'],
    ['17 devices', resealed(154, [17]), 'range'],
    ['a device index beyond the table', resealed(153, [2]), 'range'],
    ['reserved byte 155', resealed(155, [1]), 'reserved'],
    ['reserved bytes 180 to 183', resealed(183, [1]), 'reserved'],
    ['a creation time that is no number', resealed(190, [0xf8, 0x7f]), 'range'],
    ['reserved bytes of a device', resealed(192 + 40, [1]), 'reserved'],
    ['an entry behind the last device', resealed(320, [1]), 'reserved'],
    ['reserved bytes behind the table', resealed(4091, [1]), 'reserved'],
    ['a size above 2^53', resealed(208 + 6, [0xff]), 'range'],
    ['a generation above 2^53', resealed(47, [1]), 'range'],
  ])('refuses %s', (_, page, kind) => {
    expect(refusal(() => decodeSuperblock(page, 2))).toBe(kind);
  });

  test('opens a pool read-only whose read-only-compatible feature it does not know', () => {
    expect(decodeSuperblock(resealed(16, [4]), 2).isReadOnly).toBe(true);
  });

  test('reads on over a compatible feature that it does not know', () => {
    expect(decodeSuperblock(resealed(12, [4]), 2)).toEqual(superblock);
  });
});

describe('hasSuperblockMagic()', () => {
  test('knows a broken superblock of ours from other bytes', () => {
    expect(hasSuperblockMagic(withBytes(golden, 100, [1]))).toBe(true);
    expect(hasSuperblockMagic(new Uint8Array(blockSizeBytes))).toBe(false);
    expect(hasSuperblockMagic(golden.subarray(0, 7))).toBe(false);
  });
});
