import { execFileSync } from 'node:child_process';
import * as nodeFs from 'node:fs';
import { mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { deviceRequestsInFlightMax, deviceTransferBytesMax } from '../limits.ts';
import type { DeviceCompletion, DeviceError } from './block-device.ts';
import { probeDevice } from './device-probe.ts';
import { type FileCalls, FileDevice, openFileDevice } from './file-device.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-device-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
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

/** Opens a file with some of its system calls replaced. */
function openWith(path: string, calls: Partial<FileCalls>): FileDevice {
  const fd = openSync(path, 'r+');
  return new FileDevice({ fd, probe: probeDevice(path) }, { ...nodeFs, ...calls });
}

describe('FileDevice', () => {
  test('returns what was written, in requests larger than one system call', async () => {
    const device = openFileDevice(newFile(16 * 1024 * 1024 + 100));
    expect(device).toMatchObject({ sizeBytes: 16 * 1024 * 1024, hasVolatileCache: true });
    const source = new Uint8Array(2 * deviceTransferBytesMax + 4096).map((_, index) => index % 251);
    expect(await complete((done) => device.write(4096, source, true, done))).toBeNull();
    const target = new Uint8Array(source.length);
    expect(await complete((done) => device.read(4096, target, done))).toBeNull();
    expect(Buffer.compare(target, source)).toBe(0);
    expect(await complete((done) => device.flush(done))).toBeNull();
    await device.close();
  });

  test('moves on until the whole request is done when system calls do less', async () => {
    const path = newFile(64 * 1024);
    const device = openWith(path, {
      read: (fd, buffer, part, done) =>
        nodeFs.read(fd, buffer, { ...part, length: Math.min(part.length, 1000) }, done),
      write: (fd, buffer, part, done) =>
        nodeFs.write(fd, buffer, { ...part, length: Math.min(part.length, 777) }, done),
    });
    const source = new Uint8Array(8192).map((_, index) => index % 253);
    expect(await complete((done) => device.write(8192, source, false, done))).toBeNull();
    const target = new Uint8Array(8192);
    expect(await complete((done) => device.read(8192, target, done))).toBeNull();
    expect(Buffer.compare(target, source)).toBe(0);
    await device.close();
  });

  test('keeps a bounded number of requests under way and completes all of them', async () => {
    let underWay = 0;
    let underWayMax = 0;
    const device = openWith(newFile(4096 * 200), {
      write: (fd, buffer, part, done) => {
        underWayMax = Math.max(underWayMax, ++underWay);
        nodeFs.write(fd, buffer, part, (error, moved) => {
          underWay--;
          done(error, moved);
        });
      },
    });
    const answers = Array.from({ length: 200 }, (_, index) =>
      complete((done) => device.write(index * 4096, new Uint8Array(4096).fill(index), false, done)),
    );
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 200 }, () => null));
    expect(underWayMax).toBe(deviceRequestsInFlightMax);
    const target = new Uint8Array(4096);
    await complete((done) => device.read(199 * 4096, target, done));
    expect(target[0]).toBe(199);
    await device.close();
  });

  test('a flush waits for an fdatasync that started after it was asked for', async () => {
    const started: (() => void)[] = [];
    const device = openWith(newFile(4096), {
      fdatasync: (_fd, done) => started.push(() => done(null)),
    });
    const answered: string[] = [];
    device.flush(() => answered.push('first'));
    device.flush(() => answered.push('second'));
    device.flush(() => answered.push('third'));
    expect(started).toHaveLength(1);
    started[0]!();
    expect(answered).toEqual(['first']);
    expect(started).toHaveLength(2);
    started[1]!();
    expect(answered).toEqual(['first', 'second', 'third']);
    await device.close();
  });

  test('after a failed flush every later flush and FUA write fails too', async () => {
    let failures = 1;
    const device = openWith(newFile(4096), {
      fdatasync: (fd, done) => {
        if (failures-- > 0) setImmediate(done, Object.assign(new Error('lost'), { code: 'EIO' }));
        else nodeFs.fdatasync(fd, done);
      },
    });
    expect(await complete((done) => device.flush(done))).toMatchObject({ kind: 'io' });
    expect(await complete((done) => device.flush(done))).toMatchObject({ kind: 'io' });
    const block = new Uint8Array(4096);
    expect(await complete((done) => device.write(0, block, true, done))).toMatchObject({
      kind: 'io',
    });
    expect(await complete((done) => device.write(0, block, false, done))).toBeNull();
    await device.close();
  });

  test('tells a full file system from other failures, and the end of the device from success', async () => {
    const path = newFile(8192);
    const device = openWith(path, {
      write: (_fd, _buffer, _part, done) =>
        setImmediate(done, Object.assign(new Error('full'), { code: 'ENOSPC' }), 0),
    });
    const block = new Uint8Array(4096);
    expect(await complete((done) => device.write(0, block, false, done))).toMatchObject({
      kind: 'no-space',
      message: `Write at byte 0 of "${path}": ENOSPC`,
    });
    truncateSync(path, 4096);
    expect(await complete((done) => device.read(4096, block, done))).toMatchObject({ kind: 'io' });
    await device.close();
  });

  test('close lets requests under way end and refuses later ones', async () => {
    const device = openFileDevice(newFile(4096 * 100));
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

describe('FileDevice.deallocate()', () => {
  test('gives the space of a file back, keeps its size and the bytes around, and close waits for it', async () => {
    const path = newFile(4 * 1024 * 1024);
    const device = openFileDevice(path);
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
    const readOnly = openFileDevice(path, { isReadOnly: true });
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

describe('openFileDevice()', () => {
  test('refuses a file that is open elsewhere, names the holder, and takes it when it is free', async () => {
    const path = newFile(4096);
    const device = openFileDevice(path);
    expect(() => openFileDevice(path)).toThrow(
      new RegExp(`^Lock "${path}": held by process ${process.pid} \\(.+\\)$`),
    );
    await device.close();
    await openFileDevice(path).close();
  });

  test.each([
    ['a path that does not exist', '/nonexistent/disk', 'not-found', /no such file/],
    ['a directory', '/tmp', 'unsuitable', /it is a directory; only a plain file/],
    ['a character device', '/dev/null', 'unsuitable', /it is a character device/],
  ])('refuses %s', (_what, path, kind, message) => {
    expect(() => openFileDevice(path)).toThrow(
      expect.objectContaining({ kind, message: expect.stringMatching(message) }),
    );
  });

  test('refuses a file of less than one block', () => {
    expect(() => openFileDevice(newFile(4095))).toThrow(/smaller than one block/);
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

describe('openFileDevice() on a block device', () => {
  test('claims it, reads its size from sysfs, and writes to it', async () => {
    const file = newFile(8 * 1024 * 1024 + 512, 'backing');
    await withLoopDevice(file, async (path) => {
      const device = openFileDevice(path);
      expect(device).toMatchObject({ sizeBytes: 8 * 1024 * 1024, hasVolatileCache: true });
      expect(device.probe).toMatchObject({ kind: 'block', logicalBlockBytes: 512 });
      expect(() => openFileDevice(path)).toThrow(expect.objectContaining({ kind: 'in-use' }));
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
      const device = openFileDevice(`${path}p1`);
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
