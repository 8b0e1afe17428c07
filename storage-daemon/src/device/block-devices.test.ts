/** What every block device on a file or block device does, whatever does its I/O. */
import { execFileSync } from 'node:child_process';
import * as nodeFs from 'node:fs';
import { mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { deviceTransferBytesMax } from '../limits.ts';
import { openIoRing } from '../uring/io-ring.ts';
import type { BlockDevice, DeviceCompletion, DeviceError } from './block-device.ts';
import type { DeviceProbe } from './device-probe.ts';
import { openFileDevice } from './file-device.ts';
import { openUringDevice } from './uring-device.ts';

type TestedDevice = Required<BlockDevice> & { readonly probe: DeviceProbe };
type OpenDevice = (path: string, options?: { readonly isReadOnly: boolean }) => TestedDevice;

const ioRing = openIoRing();
const devices: readonly (readonly [string, OpenDevice])[] = [
  ['FileDevice', openFileDevice],
  ['UringDevice', (path, options) => openUringDevice(path, ioRing, options)],
];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-device-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

afterAll(() => {
  ioRing.loop.close();
});

function newFile(sizeBytes: number, name = 'disk'): string {
  const path = join(folder, name);
  writeFileSync(path, '');
  truncateSync(path, sizeBytes);
  return path;
}

function complete(submit: (done: DeviceCompletion) => void): Promise<DeviceError | null> {
  return new Promise((resolve) => {
    submit(resolve);
  });
}

describe.each(devices)('%s', (_name, openDevice) => {
  test('returns what was written, in requests larger than one system call', async () => {
    const device = openDevice(newFile(16 * 1024 * 1024 + 100));
    expect(device).toMatchObject({ sizeBytes: 16 * 1024 * 1024, hasVolatileCache: true });
    const source = new Uint8Array(2 * deviceTransferBytesMax + 4096).map((_, index) => index % 251);
    expect(await complete((done) => device.write(4096, source, true, done))).toBeNull();
    const target = new Uint8Array(source.length);
    expect(await complete((done) => device.read(4096, target, done))).toBeNull();
    expect(Buffer.compare(target, source)).toBe(0);
    expect(await complete((done) => device.flush(done))).toBeNull();
    await device.close();
  });

  test('completes a request after the call returned, and each once', async () => {
    const device = openDevice(newFile(64 * 4096));
    let isReturned = false;
    const counts = Array.from({ length: 64 }, () => 0);
    const answers = counts.map((_, index) =>
      complete((done) => {
        isReturned = false;
        device.write(index * 4096, new Uint8Array(4096).fill(index), false, (error) => {
          expect(isReturned).toBe(true);
          counts[index]!++;
          done(error);
        });
        isReturned = true;
      }),
    );
    expect(await Promise.all(answers)).toEqual(counts.map(() => null));
    expect(counts).toEqual(counts.map(() => 1));
    await device.close();
  });

  test('close lets requests under way end and refuses later ones', async () => {
    const device = openDevice(newFile(4096 * 100));
    const answers = Array.from({ length: 100 }, (_, index) =>
      complete((done) => device.write(index * 4096, new Uint8Array(4096), true, done)),
    );
    const closed = device.close();
    expect(await complete((done) => device.flush(done))).toMatchObject({ kind: 'closed' });
    expect(await complete((done) => device.read(0, new Uint8Array(4096), done))).toMatchObject({
      kind: 'closed',
    });
    expect(await Promise.all(answers)).toEqual(answers.map(() => null));
    await closed;
    await device.close();
  });
});

describe.each(devices)('%s.deallocate()', (_name, openDevice) => {
  test('gives the space of a file back, keeps its size and the bytes around, and close waits for it', async () => {
    const path = newFile(4 * 1024 * 1024);
    const device = openDevice(path);
    const source = new Uint8Array(4 * 1024 * 1024).fill(7);
    expect(await complete((done) => device.write(0, source, true, done))).toBeNull();
    const before = nodeFs.statSync(path).blocks;
    const deallocated = complete((done) => device.deallocate(1024 * 1024, 2 * 1024 * 1024, done));
    await device.close();
    expect(await deallocated).toBeNull();
    const after = nodeFs.statSync(path);
    expect(after.size).toBe(4 * 1024 * 1024);
    expect((before - after.blocks) * 512).toBe(2 * 1024 * 1024);
    const content = nodeFs.readFileSync(path);
    expect(content.indexOf(0)).toBe(1024 * 1024);
    expect(content.lastIndexOf(0)).toBe(3 * 1024 * 1024 - 1);
  });

  test('says so when the kernel refuses, and when the device is closed', async () => {
    const path = newFile(64 * 1024);
    const readOnly = openDevice(path, { isReadOnly: true });
    expect(await complete((done) => readOnly.deallocate(0, 65_536, done))).toMatchObject({
      kind: 'io',
      message: `Deallocate at byte 0 of "${path}": EBADF`,
    });
    await readOnly.close();
    expect(await complete((done) => readOnly.deallocate(0, 65_536, done))).toMatchObject({
      kind: 'closed',
    });
  });
});

describe.each(devices)('Opening a %s', (_name, openDevice) => {
  test('refuses a file that is open elsewhere, names the holder, and takes it when it is free', async () => {
    const path = newFile(4096);
    const device = openDevice(path);
    expect(() => openDevice(path)).toThrow(
      new RegExp(`^Lock "${path}": held by process ${process.pid} \\(.+\\)$`),
    );
    await device.close();
    await openDevice(path).close();
  });

  test.each([
    ['a path that does not exist', '/nonexistent/disk', 'not-found', /no such file/],
    ['a directory', '/tmp', 'unsuitable', /it is a directory; only a plain file/],
    ['a character device', '/dev/null', 'unsuitable', /it is a character device/],
  ])('refuses %s', (_what, path, kind, message) => {
    expect(() => openDevice(path)).toThrow(
      expect.objectContaining({ kind, message: expect.stringMatching(message) }),
    );
  });

  test('refuses a file of less than one block', () => {
    expect(() => openDevice(newFile(4095))).toThrow(/smaller than one block/);
  });
});

/** A loop device over a file: needs root and the loop driver; undefined where there is none. */
function tryLoopDevice(path: string): string | undefined {
  try {
    return execFileSync('losetup', ['--find', '--show', path], { stdio: 'pipe' }).toString().trim();
  } catch {
    return undefined;
  }
}

/** Runs `body` with a loop device, or says that this is left out. */
async function withLoopDevice(file: string, body: (path: string) => Promise<void>): Promise<void> {
  const path = tryLoopDevice(file);
  if (path === undefined) {
    process.stderr.write(
      'Left out: a loop device cannot be set up here (needs root, losetup, partx)\n',
    );
    return;
  }
  try {
    await body(path);
  } finally {
    execFileSync('losetup', ['--detach', path]);
  }
}

describe.each(devices)('%s on a block device', (_name, openDevice) => {
  test('claims it, reads its size from sysfs, and writes to it', async () => {
    const file = newFile(8 * 1024 * 1024 + 512, 'backing');
    await withLoopDevice(file, async (path) => {
      const device = openDevice(path);
      expect(device).toMatchObject({ sizeBytes: 8 * 1024 * 1024, hasVolatileCache: true });
      expect(device.probe).toMatchObject({ kind: 'block', logicalBlockBytes: 512 });
      expect(() => openDevice(path)).toThrow(expect.objectContaining({ kind: 'in-use' }));
      const block = new Uint8Array(4096).fill(7);
      expect(await complete((done) => device.write(4096, block, true, done))).toBeNull();
      expect(await complete((done) => device.deallocate(65_536, 65_536, done))).toBeNull();
      await device.close();
      expect(nodeFs.readFileSync(file)[4096]).toBe(7);
    });
  });

  test('a partition has its own size and the sectors of its disk', async () => {
    const file = newFile(8 * 1024 * 1024, 'partitioned');
    const table = Buffer.alloc(512);
    // One entry of an MBR: type at 450, first sector at 454, sectors at 458; 2 and 4 MiB.
    table.writeUInt8(0x83, 450);
    table.writeUInt32LE(4096, 454);
    table.writeUInt32LE(8192, 458);
    table.writeUInt16LE(0xaa55, 510);
    const fd = openSync(file, 'r+');
    nodeFs.writeSync(fd, table, 0, 512, 0);
    nodeFs.closeSync(fd);
    await withLoopDevice(file, async (path) => {
      // Reads the table by itself: not every kernel does.
      execFileSync('partx', ['--add', path]);
      const device = openDevice(`${path}p1`);
      expect(device.probe).toMatchObject({
        kind: 'block',
        sizeBytes: 4 * 1024 * 1024,
        logicalBlockBytes: 512,
      });
      const block = new Uint8Array(4096).fill(9);
      expect(await complete((done) => device.write(0, block, true, done))).toBeNull();
      await device.close();
      execFileSync('partx', ['--delete', path]);
      expect(nodeFs.readFileSync(file)[2 * 1024 * 1024]).toBe(9);
    });
  });
});
