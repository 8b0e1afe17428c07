import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { SeededRandom } from '@varve/storage-daemon/testing/seeded-random';
import { VolatileDisk } from './volatile-disk.ts';

const sector = 512;
let folder = '';
let disk: VolatileDisk;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-disk-'));
  disk = new VolatileDisk({
    file: join(folder, 'disk.img'),
    sizeBytes: 64 * 4096,
    sectorBytes: sector,
  });
});

afterEach(() => {
  disk.close();
  rmSync(folder, { recursive: true });
});

function write(offsetBytes: number, lengthBytes: number, value: number, fua = false): void {
  disk.write(offsetBytes, { bytes: new Uint8Array(lengthBytes).fill(value), lengthBytes }, fua);
}

function eightSectors(value: number): number[] {
  return Array.from({ length: 8 }, () => value);
}

/** What a cut with one of these seeds leaves, as the value of each sector. */
function sectorsAfterCut(seed: number, offsetBytes: number, count: number): number[] {
  disk.cutPower(new SeededRandom(seed));
  const bytes = disk.read(offsetBytes, count * sector);
  return Array.from({ length: count }, (_, index) => {
    const part = bytes.subarray(index * sector, (index + 1) * sector);
    expect(part.every((value) => value === part[0])).toBe(true);
    return part[0]!;
  });
}

describe('VolatileDisk', () => {
  test('reads what was last written, whether it is durable or not', () => {
    write(1024, 8192, 1);
    disk.flush();
    write(4096, 512, 2);
    disk.write(4608, { lengthBytes: 512 }, false);
    const bytes = disk.read(1024, 8192);
    expect([bytes[3071], bytes[3072], bytes[3584], bytes[4096]]).toEqual([1, 2, 0, 1]);
  });

  test('keeps in its file nothing that was not flushed', () => {
    write(0, 4096, 1);
    expect(readFileSync(disk.file)[0]).toBe(0);
    disk.flush();
    expect(readFileSync(disk.file)[0]).toBe(1);
  });

  test('a cut never touches what a flush covered, and never tears a sector', () => {
    for (let seed = 0; seed < 50; seed++) {
      write(0, 4096, 1);
      disk.flush();
      write(8192, 4096, 2);
      expect(sectorsAfterCut(seed, 0, 8)).toEqual(eightSectors(1));
      sectorsAfterCut(seed, 8192, 8);
    }
  });

  test('a cut keeps some writes whole, tears some, and loses some', () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 100; seed++) {
      write(0, 4096, 0);
      disk.flush();
      write(0, 4096, 5);
      const kept = sectorsAfterCut(seed, 0, 8).filter((value) => value === 5).length;
      seen.add(kept === 8 ? 'whole' : kept === 0 ? 'lost' : 'torn');
    }
    expect([...seen].toSorted()).toEqual(['lost', 'torn', 'whole']);
  });

  test('a later write may survive an earlier one, also where both wrote the same sector', () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 100; seed++) {
      write(0, sector, 0);
      disk.flush();
      write(0, sector, 1);
      write(0, sector, 2);
      seen.add(String(sectorsAfterCut(seed, 0, 1)[0]));
    }
    expect([...seen].toSorted()).toEqual(['0', '1', '2']);
  });

  test('a FUA write survives, and nothing older comes back over it', () => {
    for (let seed = 0; seed < 50; seed++) {
      write(0, 4096, 1);
      write(0, 4096, 2, true);
      expect(sectorsAfterCut(seed, 0, 8)).toEqual(eightSectors(2));
    }
  });

  test('the same seed loses the same', () => {
    const once = (): number[] => {
      disk.write(0, { lengthBytes: 64 * 4096 }, true);
      disk.flush();
      for (let block = 0; block < 32; block++) write(block * 4096, 4096, block + 1);
      return sectorsAfterCut(7, 0, 256);
    };
    expect(once()).toEqual(once());
  });

  test('refuses what is outside', () => {
    expect(() => disk.read(64 * 4096 - 512, 1024)).toThrow('inside the disk');
  });

  test('a lying disk loses what was flushed and written with FUA since it began, and nothing older', () => {
    write(0, sector, 1);
    disk.beginLying();
    write(0, sector, 2);
    disk.flush();
    write(sector, sector, 3, true);
    expect(disk.read(0, sector)[0]).toBe(2);
    expect(sectorsAfterCut(1, 0, 2)).toEqual([1, 0]);
  });
});
