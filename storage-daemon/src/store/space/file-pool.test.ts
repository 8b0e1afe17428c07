/** What users see of deallocation: the file that holds a pool takes less space after a delete. */
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { type FileDevice, openFileDevice } from '../../device/file-device.ts';
import { createReactorEnvironment } from '../../reactor/control/reactor-environment.ts';
import { blockSizeBytes } from '../../units.ts';
import { formatStore } from '../format-store.ts';
import { openStore } from '../open-store.ts';
import type { NodeIo, Store } from '../store-api.ts';

const mebibyte = 2 ** 20;
const volumeBytes = 48 * mebibyte;
const pieceBytes = mebibyte;

let folder: string;
let path: string;
let device: FileDevice;
let store: Store;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-file-pool-'));
  path = join(folder, 'pool.img');
  writeFileSync(path, '');
  truncateSync(path, 512 * mebibyte);
  device = openFileDevice(path);
  const environment = createReactorEnvironment({ log: () => undefined, event: () => undefined });
  const dependencies = { devices: [device], environment };
  const poolUuid = new Uint8Array(16).fill(1);
  await formatStore({ poolName: 'p', poolUuid, geometry: {} }, dependencies);
  const deallocate = { bytesPerSecond: 2 ** 34 };
  store = await openStore({ journalTimerMs: 5, deallocate }, dependencies);
});

afterEach(async () => {
  await store.close();
  await device.close();
  rmSync(folder, { recursive: true });
});

async function io(submit: (done: (error: Error | null) => void) => void): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    submit((error) => (error ? reject(error) : resolve()));
  });
}

/** A volume full of data. */
async function createFullVolume(name: string): Promise<NodeIo> {
  const sizeBlocks = volumeBytes / blockSizeBytes;
  const uuid = new Uint8Array(16).fill(2);
  await store.createVolume({ name, uuid, sizeBlocks, attributes: '{}' });
  const volume = store.openIo({ kind: 'volume', name });
  const source = new Uint8Array(pieceBytes).fill(0xa5);
  for (let offset = 0; offset < volumeBytes; offset += pieceBytes) {
    await io((done) => volume.write(offset / blockSizeBytes, source, false, done));
  }
  await io((done) => volume.flush(done));
  return volume;
}

function fileBytes(): number {
  return statSync(path).blocks * 512;
}

/** Waits until the device was told of so much; Jest's timeout is the bound. */
async function deallocated(bytes: number): Promise<void> {
  while (store.counters().deallocatedBytes < bytes) await setImmediate();
}

test('a deleted volume gives its space back to the file system, and what is free is told at once', async () => {
  const freeBefore = store.space().freeBlocks;
  const kept = await createFullVolume('kept');
  const gone = await createFullVolume('gone');
  await gone.close();
  const fullBytes = fileBytes();
  await store.deleteNode({ kind: 'volume', name: 'gone' });
  await store.drainBackgroundWork();
  const used = (freeBefore - store.space().freeBlocks) * blockSizeBytes;
  expect(used).toBeLessThan(volumeBytes + mebibyte);
  await deallocated(volumeBytes);
  expect(fullBytes - fileBytes()).toBeGreaterThan(0.9 * volumeBytes);

  const target = new Uint8Array(pieceBytes);
  for (let offset = 0; offset < volumeBytes; offset += pieceBytes) {
    await io((done) => kept.read(offset / blockSizeBytes, target, done));
    expect(target.every((byte) => byte === 0xa5)).toBe(true);
  }
  await kept.close();
});

test('a discard gives whole clusters back', async () => {
  const volume = await createFullVolume('a');
  const fullBytes = fileBytes();
  const half = volumeBytes / 2;
  await io((done) => volume.discard(0, half / blockSizeBytes, done));
  await io((done) => volume.flush(done));
  await deallocated(half);
  expect(fullBytes - fileBytes()).toBeGreaterThan(0.9 * half);
  await volume.close();
});
