/** What may be formatted, judged on real files and loop devices with real signatures. */
import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import type { FoundSignature, PutPoolDevice } from '@varve/contract/pool';

import { TestControl } from '../../testing/test-control.ts';
import { testPoolBytes } from '../../testing/test-daemon.ts';

const uuid = '1b671a64-40d5-491e-99b0-da01ff1f3341';

let control: TestControl;
let image: string;

beforeEach(() => {
  control = new TestControl();
  image = join(control.folder, 'device.img');
  fs.writeFileSync(image, '');
  fs.truncateSync(image, testPoolBytes);
});

afterEach(async () => {
  await control.end();
});

function prepare(device: Partial<PutPoolDevice> = {}, poolUuid: string = crypto.randomUUID()) {
  const devices = [{ path: image, ...device }];
  return control.operations.preparePool({ pool: 'pool-1', poolUuid, devices });
}

async function formatPool(pool: string, path: string, poolUuid: string): Promise<void> {
  await control.operations.preparePool({ pool, poolUuid, devices: [{ path }] });
  await control.operations.formatPool({ pool, poolUuid });
  await control.operations.releasePool({ pool, poolUuid });
}

function patch(offset: number, bytes: Uint8Array): void {
  const fd = fs.openSync(image, 'r+');
  fs.writeSync(fd, bytes, 0, bytes.length, offset);
  fs.closeSync(fd);
}

/** Makes the checksum of each copy wrong, and leaves what it says of the pool. */
function damageSuperblocks(): void {
  const mebibyte = 1024 * 1024;
  for (const copy of [0, mebibyte, testPoolBytes - mebibyte]) {
    patch(copy + 3000, new Uint8Array([1, 2, 3]));
  }
}

function uuidBytes(): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

/** A swap header: version 1, last page, uuid, magic at the end of the first page. */
function writeSwap(): void {
  const page = Buffer.alloc(4096);
  page.writeUInt32LE(1, 1024);
  page.writeUInt32LE(testPoolBytes / 4096 - 1, 1028);
  uuidBytes().copy(page, 1036);
  page.write('SWAPSPACE2', 4086);
  patch(0, page);
}

/** A master boot record with one Linux partition. */
function writeDosTable(): void {
  const sector = Buffer.alloc(512);
  sector.writeUInt32LE(0x12345678, 440);
  sector[446 + 4] = 0x83;
  sector.writeUInt32LE(2048, 446 + 8);
  sector.writeUInt32LE(4096, 446 + 12);
  sector.writeUInt16LE(0xaa55, 510);
  patch(0, sector);
}

/** A label of LVM2 in sector 1. */
function writeLvm(): void {
  const sector = Buffer.alloc(512);
  sector.write('LABELONE', 0);
  sector.writeUInt32LE(1, 8);
  sector.writeUInt32LE(32, 20);
  sector.write('LVM2 001', 24);
  sector.write('k4Bd0eCjEHUlKXAt0DDXxJOCJhtwWSlH', 32);
  // LVM's checksum begins with a value of its own and is not inverted.
  const initial = (0xf597a6cf ^ 0xffffffff) >>> 0;
  sector.writeUInt32LE((crc32(sector.subarray(20), initial) ^ 0xffffffff) >>> 0, 16);
  patch(512, sector);
}

function writeExt4(): void {
  execFileSync('mkfs.ext4', ['-q', '-F', '-U', uuid, image]);
}

const signatures: readonly [string, () => void, FoundSignature][] = [
  ['an ext4 file system', writeExt4, { type: 'ext4', uuid }],
  ['swap space', writeSwap, { type: 'swap', uuid }],
  ['a partition table', writeDosTable, { type: 'dos', uuid: '12345678' }],
  [
    'an LVM member',
    writeLvm,
    { type: 'LVM2_member', uuid: 'k4Bd0e-CjEH-UlKX-At0D-DXxJ-OCJh-twWSlH' },
  ],
];

describe('preparePool', () => {
  test('takes a blank file and says what it is', async () => {
    expect(await prepare()).toEqual({
      devices: [{ path: image, kind: 'file', sizeBytes: testPoolBytes, hasVolatileCache: true }],
    });
  });

  test.each(signatures)('refuses %s and says how to force it', async (_, write, found) => {
    write();
    const before = fs.readFileSync(image);
    await expect(prepare()).rejects.toMatchObject({
      kind: 'failed-precondition',
      field: 'devices.0.path',
      blocker: `${found.type} (uuid ${found.uuid})`,
      message:
        `Formatting device "${image}" failed: it carries ${found.type} (uuid ${found.uuid}); ` +
        `to overwrite that, quote it: "force": [${JSON.stringify(found)}]`,
    });
    expect(fs.readFileSync(image).equals(before)).toBe(true);
  });

  test.each(signatures)('accepts %s when it is quoted, and clears it', async (_, write, found) => {
    write();
    const identity = { pool: 'pool-1', poolUuid: uuid };
    await prepare({ force: [found] }, uuid);
    await control.operations.formatPool(identity);
    const after = spawnSync('blkid', ['-p', image]);
    expect(after.status).toBe(2);
    const opened = await control.operations.openPool({ ...identity, devices: [image] });
    expect(opened.sizeBytes).toBeGreaterThan(0);
  });

  test.each<[string, FoundSignature[]]>([
    ['another type', [{ type: 'xfs', uuid }]],
    ['another uuid', [{ type: 'ext4', uuid: '1b671a64-40d5-491e-99b0-da01ff1f3342' }]],
    ['no uuid', [{ type: 'ext4' }]],
  ])('refuses a quotation with %s', async (_, force) => {
    writeExt4();
    await expect(prepare({ force })).rejects.toMatchObject({
      kind: 'failed-precondition',
      field: 'devices.0.force',
    });
  });

  test('finds the backup of a partition table at the very end', async () => {
    // Only the header of the backup: the primary is gone.
    const header = Buffer.alloc(512);
    header.write('EFI PART', 0);
    header.writeUInt32LE(0x00010000, 8);
    header.writeUInt32LE(92, 12);
    const lastLba = BigInt(testPoolBytes / 512 - 1);
    header.writeBigUInt64LE(lastLba, 24);
    header.writeBigUInt64LE(1n, 32);
    header.writeBigUInt64LE(34n, 40);
    header.writeBigUInt64LE(lastLba - 33n, 48);
    uuidBytes().copy(header, 56);
    header.writeBigUInt64LE(lastLba - 32n, 72);
    header.writeUInt32LE(128, 80);
    header.writeUInt32LE(128, 84);
    header.writeUInt32LE(crc32(Buffer.alloc(128 * 128)), 88);
    header.writeUInt32LE(crc32(header.subarray(0, 92)), 16);
    patch(Number(lastLba) * 512, header);
    // A protective master boot record makes blkid look for it.
    const mbr = Buffer.alloc(512);
    mbr[446 + 4] = 0xee;
    mbr.writeUInt32LE(1, 446 + 8);
    mbr.writeUInt32LE(testPoolBytes / 512 - 1, 446 + 12);
    mbr.writeUInt16LE(0xaa55, 510);
    patch(0, mbr);
    await expect(prepare()).rejects.toMatchObject({
      kind: 'failed-precondition',
      blocker: expect.stringMatching(/^gpt/),
    });
  });

  test('clears the beginning and the very end, where signatures of later tools would be found', async () => {
    const mebibyte = 1024 * 1024;
    const places = [3 * mebibyte, testPoolBytes - mebibyte / 2, testPoolBytes - 512];
    for (const place of places) patch(place, new Uint8Array(512).fill(0xff));
    await formatPool('pool-1', image, uuid);
    const bytes = fs.readFileSync(image);
    for (const place of places) expect(bytes[place]).toBe(0);
  });

  test('never overwrites a pool that can be read, whatever is forced', async () => {
    await formatPool('other', image, uuid);
    for (const force of [undefined, [{ type: 'varve', uuid }]]) {
      await expect(prepare(force && { force })).rejects.toMatchObject({
        kind: 'failed-precondition',
        blocker: `Varve pool "other" ${uuid}`,
      });
    }
  });

  test('never overwrites a pool of a newer version', async () => {
    await formatPool('other', image, uuid);
    const page = fs.readFileSync(image).subarray(0, 4096);
    page.writeUInt32LE(2, 8);
    page.writeUInt32LE(crc32c(page.subarray(0, 4092)), 4092);
    patch(0, page);
    await expect(prepare({ force: [{ type: 'varve', uuid }] })).rejects.toMatchObject({
      message: expect.stringContaining('of another version: format version 2'),
    });
  });

  test('takes a damaged superblock for a signature that may be quoted', async () => {
    await formatPool('other', image, uuid);
    damageSuperblocks();
    await expect(prepare()).rejects.toMatchObject({ blocker: `varve (uuid ${uuid})` });
    await prepare({ force: [{ type: 'varve', uuid }] });
  });

  test('goes over what an interrupted format of the same pool left', async () => {
    await formatPool('pool-1', image, uuid);
    await prepare({}, uuid);
    await control.operations.releasePool({ pool: 'pool-1', poolUuid: uuid });
    damageSuperblocks();
    await prepare({}, uuid);
  });

  test('makes a sparse file of the size that is asked for, and removes it when no pool comes of it', async () => {
    const path = join(control.folder, 'new.img');
    await prepare({ path, sizeBytes: testPoolBytes });
    expect(fs.statSync(path)).toMatchObject({ size: testPoolBytes, blocks: 0 });
    await control.operations.releasePool({ pool: 'pool-1', poolUuid: uuid });
    expect(fs.existsSync(path)).toBe(false);
    // One of two devices is refused: the file made for the other goes, too.
    writeExt4();
    const devices = [{ path, sizeBytes: testPoolBytes }, { path: image }];
    const both = control.operations.preparePool({ pool: 'pool-1', poolUuid: uuid, devices });
    await expect(both).rejects.toMatchObject({ field: 'devices.1.path' });
    expect(fs.existsSync(path)).toBe(false);
  });

  test.each<[string, Partial<PutPoolDevice>, object]>([
    [
      'a file that is not there',
      { path: '/nonexistent/x.img' },
      { kind: 'not-found', field: 'devices.0.path' },
    ],
    [
      'a new file in a folder that is not there',
      { path: '/nonexistent/x.img', sizeBytes: testPoolBytes },
      { kind: 'failed-precondition', field: 'devices.0.sizeBytes' },
    ],
    ['a folder', { path: '/tmp' }, { kind: 'invalid-argument', field: 'devices.0.path' }],
    [
      'a size for something that is no file',
      { path: '/tmp', sizeBytes: testPoolBytes },
      { kind: 'invalid-argument', field: 'devices.0.sizeBytes' },
    ],
    [
      'a size that an existing file does not have',
      { sizeBytes: testPoolBytes + 4096 },
      { kind: 'failed-precondition', field: 'devices.0.sizeBytes' },
    ],
  ])('refuses %s', async (_, device, problem) => {
    await expect(prepare(device)).rejects.toMatchObject(problem);
  });

  test('holds the file: another daemon cannot take it', async () => {
    await prepare();
    const other = new TestControl();
    const devices = [{ path: image }];
    const taken = other.operations.preparePool({ pool: 'pool-1', poolUuid: uuid, devices });
    await expect(taken).rejects.toMatchObject({
      kind: 'in-use',
      field: 'devices.0.path',
      message: expect.stringContaining(`process ${process.pid}`),
    });
    await other.end();
  });
});

/** Castagnoli's polynomial, bit by bit. */
function crc32c(bytes: Uint8Array): number {
  const copy = Buffer.from(bytes);
  copy[152] = 0;
  let crc = 0xffffffff;
  for (const byte of copy) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** Loop devices need a privileged user; where there are none, files stand for them. */
const canLoop = spawnSync('losetup', ['--find']).status === 0 && process.getuid?.() === 0;

(canLoop ? describe : describe.skip)('preparePool on a block device', () => {
  let device: string;

  beforeEach(() => {
    device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
  });

  afterEach(async () => {
    await control.operations.shutdown(undefined);
    execFileSync('losetup', ['--detach', device]);
  });

  test('holds it exclusively, and makes a pool of it', async () => {
    const identity = { pool: 'pool-1', poolUuid: uuid };
    const prepared = await prepare({ path: device }, uuid);
    expect(prepared.devices[0]).toMatchObject({ kind: 'block', sizeBytes: testPoolBytes });
    expect(() => fs.openSync(device, fs.constants.O_RDONLY | fs.constants.O_EXCL)).toThrow('EBUSY');
    await control.operations.formatPool(identity);
    const opened = await control.operations.openPool({ ...identity, devices: [device] });
    expect(opened.devices[0]?.kind).toBe('block');
  });

  test('refuses a file system on it', async () => {
    execFileSync('mkfs.ext4', ['-q', '-F', '-U', uuid, device]);
    await expect(prepare({ path: device })).rejects.toMatchObject({
      kind: 'failed-precondition',
      blocker: `ext4 (uuid ${uuid})`,
    });
  });

  test('refuses it while it is mounted or otherwise held', async () => {
    const fd = fs.openSync(device, fs.constants.O_RDWR | fs.constants.O_EXCL);
    await expect(prepare({ path: device })).rejects.toMatchObject({ kind: 'in-use' });
    fs.closeSync(fd);
  });

  test('refuses a size for it', async () => {
    const sized = prepare({ path: device, sizeBytes: testPoolBytes });
    await expect(sized).rejects.toMatchObject({
      kind: 'invalid-argument',
      field: 'devices.0.sizeBytes',
    });
  });
});
