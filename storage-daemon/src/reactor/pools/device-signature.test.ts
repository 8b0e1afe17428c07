/** A probe that fails is an error, never "blank". */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { DeviceError, type BlockDevice } from '../../device/block-device.ts';
import { probeWithBlkid, readDeviceContent } from './device-signature.ts';

const sizeBytes = 16 * 1024 * 1024;
let folder: string;
let image: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-signature-'));
  image = join(folder, 'device.img');
  writeFileSync(image, '');
  truncateSync(image, sizeBytes);
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** A device that answers zeros, but an error where it is bad. */
function badDevice(badFromBytes: number, badToBytes: number): BlockDevice {
  const fail = (): never => {
    throw new Error('not part of this test');
  };
  return {
    name: image,
    sizeBytes,
    hasVolatileCache: true,
    read: (offsetBytes, target, done) => {
      const isBad = offsetBytes < badToBytes && offsetBytes + target.length > badFromBytes;
      const error = new DeviceError('io', `Read "${image}" at ${offsetBytes}: EIO`, {
        deviceName: image,
        offsetBytes,
      });
      setImmediate(() => done(isBad ? error : null));
    },
    write: fail,
    flush: fail,
    close: () => Promise.resolve(),
  };
}

describe('readDeviceContent()', () => {
  test.each([
    ['the first block', 0, 4096],
    ['the second copy of a superblock', 1024 * 1024, 1024 * 1024 + 4096],
    ['the last block', sizeBytes - 4096, sizeBytes],
  ])('fails if %s cannot be read', async (_, from, to) => {
    await expect(readDeviceContent(badDevice(from, to))).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/EIO; a device that cannot be probed is not taken for blank$/),
    });
  });

  test('finds a blank device blank', async () => {
    expect(await readDeviceContent(badDevice(-2, -1))).toEqual({ pool: undefined, signatures: [] });
  });
});

describe('probeWithBlkid()', () => {
  /** A stand-in for blkid that ends in this way. */
  function fakeBlkid(script: string): string {
    const path = join(folder, 'blkid');
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return path;
  }

  test.each([
    ['is absent', undefined, 'unavailable', 'blkid (of util-linux) is not installed'],
    ['ends with an unknown code', 'exit 4', 'unavailable', 'blkid ended with 4'],
    ['says "nothing" but complains', 'echo oops >&2; exit 2', 'unavailable', 'oops'],
    ['is killed', 'kill -9 $$', 'unavailable', 'SIGKILL'],
    ['succeeds and names nothing', 'echo DEVNAME=x', 'unavailable', 'blkid said'],
    ['finds contradictions', 'exit 8', 'failed-precondition', 'contradict each other'],
  ])('fails if blkid %s', async (_, script, kind, words) => {
    const program = script === undefined ? join(folder, 'absent') : fakeBlkid(script);
    await expect(probeWithBlkid(image, program)).rejects.toMatchObject({
      kind,
      message: expect.stringContaining(words),
    });
  });

  test('reads file system and partition table, and undoes the escapes', async () => {
    const program = fakeBlkid(
      String.raw`printf 'DEVNAME=x\nUUID=A\\ B\nTYPE=vfat\nPTTYPE=dos\nPTUUID=1-2\n'`,
    );
    expect(await probeWithBlkid(image, program)).toEqual([
      { type: 'vfat', uuid: 'A B' },
      { type: 'dos', uuid: '1-2' },
    ]);
  });

  test('finds nothing on a blank file', async () => {
    expect(await probeWithBlkid(image)).toEqual([]);
  });

  test('finds blkid where the path of an ordinary user does not look', async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = folder;
    try {
      expect(await probeWithBlkid(image)).toEqual([]);
    } finally {
      process.env['PATH'] = path;
    }
  });
});
