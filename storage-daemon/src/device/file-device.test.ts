import * as nodeFs from 'node:fs';
import { mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { deviceRequestsInFlightMax } from '../limits.ts';
import type { DeviceCompletion, DeviceError } from './block-device.ts';
import { probeDevice } from './device-probe.ts';
import { type FileCalls, FileDevice } from './file-device.ts';

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
  return new FileDevice({ fd, probe: probeDevice(path), isDirect: false }, { ...nodeFs, ...calls });
}

describe('FileDevice', () => {
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
});
