import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import {
  deviceTransferBytesMax,
  ringBounceLargeBytes,
  ringBounceLargeSlots,
  ringDeviceRequestsInFlightMax,
} from '../limits.ts';
import { Arena } from '../uring/arena.ts';
import { type IoRing, openIoRing } from '../uring/io-ring.ts';
import { RingFile } from '../uring/ring-file.ts';
import type { DeviceCompletion, DeviceError } from './block-device.ts';
import { openExclusively } from './open-exclusively.ts';
import { type DeviceFile, openUringDevice, UringDevice } from './uring-device.ts';

let folder: string;
let ioRing: IoRing;
let otherDescriptors: number[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-uring-device-'));
  ioRing = openIoRing();
  otherDescriptors = [];
});

afterEach(() => {
  ioRing.loop.close();
  for (const fd of otherDescriptors) closeSync(fd);
  rmSync(folder, { recursive: true });
});

function newFile(sizeBytes: number): string {
  const path = join(folder, 'disk');
  writeFileSync(path, '');
  truncateSync(path, sizeBytes);
  return path;
}

function complete(submit: (done: DeviceCompletion) => void): Promise<DeviceError | null> {
  return new Promise((resolve) => {
    submit(resolve);
  });
}

/** Opens a file with some of its operations replaced; `file` starts the real ones. */
function openWith(
  path: string,
  replace: (file: RingFile, open: (path: string) => RingFile) => Partial<DeviceFile>,
): UringDevice {
  const opened = openExclusively(path, { isDirect: true });
  return new UringDevice(opened, ioRing, (type) => {
    const file = new RingFile(ioRing.ring, opened.fd, type);
    const other = (otherPath: string): RingFile => {
      const fd = openSync(otherPath, 'r+');
      otherDescriptors.push(fd);
      return new RingFile(ioRing.ring, fd, type);
    };
    return {
      read: (slot, offsetBytes, address, length) => file.read(slot, offsetBytes, address, length),
      write: (slot, offsetBytes, address, length) => file.write(slot, offsetBytes, address, length),
      writeDurably: (slot, offsetBytes, address, length) =>
        file.writeDurably(slot, offsetBytes, address, length),
      syncData: (slot) => file.syncData(slot),
      ...replace(file, other),
    };
  });
}

describe('UringDevice', () => {
  test('moves on until the whole request is done when the kernel does less', async () => {
    const device = openWith(newFile(256 * 1024), (file) => ({
      read: (slot, offsetBytes, address, length) =>
        file.read(slot, offsetBytes, address, Math.min(length, 8192)),
      write: (slot, offsetBytes, address, length) =>
        file.write(slot, offsetBytes, address, Math.min(length, 4096)),
    }));
    const source = new Uint8Array(128 * 1024).map((_, index) => index % 253);
    expect(await complete((done) => device.write(8192, source, false, done))).toBeNull();
    const target = new Uint8Array(source.length);
    expect(await complete((done) => device.read(8192, target, done))).toBeNull();
    expect(Buffer.compare(target, source)).toBe(0);
    await device.close();
  });

  test('hands bytes of an arena to the kernel as they are, and copies all others', async () => {
    const addresses: number[] = [];
    const device = openWith(newFile(64 * 1024), (file) => ({
      write: (slot, offsetBytes, address, length) => {
        addresses.push(address);
        file.write(slot, offsetBytes, address, length);
      },
    }));
    const arena = ioRing.arenas.add(new Arena({ sizeBytes: 64 * 1024 }));
    arena.bytes.fill('arena');
    const write = (offsetBytes: number, bytes: Uint8Array): Promise<unknown> =>
      complete((done) => device.write(offsetBytes, bytes, false, done));
    expect(await write(0, arena.bytes.subarray(4096, 12_288))).toBeNull();
    expect(await write(8192, arena.bytes.subarray(100, 4196))).toBeNull();
    expect(await write(12_288, new Uint8Array(4096).fill(9))).toBeNull();
    expect(addresses).toHaveLength(3);
    expect(addresses[0]).toBe(arena.address + 4096);
    const isInArena = addresses.map(
      (address) => address >= arena.address && address < arena.address + arena.sizeBytes,
    );
    // What lies unaligned in it cannot go to the device directly.
    expect(isInArena).toEqual([true, false, false]);
    const target = arena.bytes.subarray(16_384, 32_768);
    expect(await complete((done) => device.read(0, target, done))).toBeNull();
    expect(Buffer.compare(target.subarray(0, 8192), arena.bytes.subarray(4096, 12_288))).toBe(0);
    expect(Buffer.compare(target.subarray(8192, 12_288), arena.bytes.subarray(100, 4196))).toBe(0);
    expect(target[12_288]).toBe(9);
    await device.close();
  });

  test('keeps a bounded number of requests under way, and no more large ones than slots', async () => {
    let underWayMax = 0;
    const device = openWith(newFile(16 * 1024 * 1024), (file) => ({
      write: (slot, offsetBytes, address, length) => {
        underWayMax = Math.max(underWayMax, ioRing.ring.inFlightCount + 1);
        file.write(slot, offsetBytes, address, length);
      },
    }));
    const blocks = Array.from({ length: 600 }, (_, index) =>
      complete((done) => device.write(index * 4096, new Uint8Array(4096).fill(index), false, done)),
    );
    expect(await Promise.all(blocks)).toEqual(blocks.map(() => null));
    expect(underWayMax).toBe(ringDeviceRequestsInFlightMax);
    const target = new Uint8Array(600 * 4096);
    expect(await complete((done) => device.read(0, target, done))).toBeNull();
    expect(blocks.map((_, index) => target[index * 4096])).toEqual(blocks.map((_, i) => i % 256));
    underWayMax = 0;
    const large = new Uint8Array(ringBounceLargeBytes);
    const larges = Array.from({ length: 50 }, (_, index) =>
      complete((done) => device.write(index * large.length, large, false, done)),
    );
    expect(await Promise.all(larges)).toEqual(larges.map(() => null));
    expect(underWayMax).toBe(ringBounceLargeSlots);
    await device.close();
  });

  test('moves requests beyond the size of one transfer without copying', async () => {
    const device = openUringDevice(newFile(12 * 1024 * 1024), ioRing);
    const sizeBytes = deviceTransferBytesMax + 8192;
    const arena = ioRing.arenas.add(new Arena({ sizeBytes: 2 * sizeBytes }));
    const source = arena.bytes.subarray(0, sizeBytes);
    for (let at = 0; at < sizeBytes; at += 4096) source.writeUInt32LE(at, at);
    expect(await complete((done) => device.write(4096, source, true, done))).toBeNull();
    const target = arena.bytes.subarray(sizeBytes);
    expect(await complete((done) => device.read(4096, target, done))).toBeNull();
    expect(Buffer.compare(target, source)).toBe(0);
    await device.close();
  });

  test('flushes asked for while one is under way share the next', async () => {
    let started = 0;
    const device = openWith(newFile(4096), (file) => ({
      syncData: (slot) => {
        started++;
        file.syncData(slot);
      },
    }));
    const block = new Uint8Array(4096);
    const answers = [
      complete((done) => device.flush(done)),
      complete((done) => device.flush(done)),
      complete((done) => device.flush(done)),
    ];
    expect(started).toBe(1);
    expect(await Promise.all(answers)).toEqual([null, null, null]);
    expect(started).toBe(2);
    expect(await complete((done) => device.write(0, block, true, done))).toBeNull();
    expect(started).toBe(3);
    await device.close();
  });

  test('after a failed flush every later flush and FUA write fails too', async () => {
    let failures = 1;
    const device = openWith(newFile(4096), (file, open) => ({
      // A character device cannot be synchronised: EINVAL.
      syncData: (slot) => (failures-- > 0 ? open('/dev/null') : file).syncData(slot),
    }));
    const failure = {
      kind: 'io',
      message: expect.stringMatching(/^Flush at byte 0 of .*: EINVAL$/),
    };
    expect(await complete((done) => device.flush(done))).toMatchObject(failure);
    expect(await complete((done) => device.flush(done))).toMatchObject(failure);
    const block = new Uint8Array(4096);
    expect(await complete((done) => device.write(0, block, true, done))).toMatchObject(failure);
    expect(await complete((done) => device.write(0, block, false, done))).toBeNull();
    await device.close();
  });

  test('tells a full file system from other failures, and the end of the device from success', async () => {
    const path = newFile(8192);
    const device = openWith(path, (_file, open) => ({
      write: (slot, offsetBytes, address, length) =>
        open('/dev/full').write(slot, offsetBytes, address, length),
    }));
    const block = new Uint8Array(4096);
    expect(await complete((done) => device.write(0, block, false, done))).toMatchObject({
      kind: 'no-space',
      message: `Write at byte 0 of "${path}": ENOSPC`,
    });
    truncateSync(path, 4096);
    expect(await complete((done) => device.read(4096, block, done))).toMatchObject({
      kind: 'io',
      message: `Read at byte 4096 of "${path}": the device ends there`,
    });
    await device.close();
  });

  test('lets the thread sleep when nothing is under way', async () => {
    const device = openUringDevice(newFile(4096), ioRing);
    await complete((done) => device.write(0, new Uint8Array(4096), true, done));
    const turns = ioRing.loop.turnCount;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(ioRing.loop.turnCount - turns).toBeLessThanOrEqual(1);
    await device.close();
  });

  test('reads a file that is opened through the page cache where direct I/O is refused', async () => {
    const path = newFile(8192);
    writeFileSync(path, Buffer.alloc(8192, 'ab'));
    const { fd, probe } = openExclusively(path, { isDirect: false });
    const device = new UringDevice({ fd, probe, isDirect: false }, ioRing);
    const target = new Uint8Array(4096);
    expect(await complete((done) => device.read(4096, target, done))).toBeNull();
    expect(Buffer.from(target).toString('latin1', 0, 4)).toBe('abab');
    expect(device.hasVolatileCache).toBe(true);
    await device.close();
    expect(() => closeSync(fd)).toThrow('EBADF');
  });
});
