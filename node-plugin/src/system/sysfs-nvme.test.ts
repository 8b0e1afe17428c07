import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { SysfsNvme } from './sysfs-nvme.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'varve-sysfs-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${content}\n`);
  }
}

test('a machine without NVMe has nothing, which is no error', async () => {
  const nvme = new SysfsNvme(root);
  expect(await nvme.listControllers()).toEqual([]);
  expect(await nvme.listDevices()).toEqual([]);
  expect(await nvme.hasMultipath()).toBe(false);
  expect(await nvme.hasTcp()).toBe(false);
});

test('controllers over TCP are read, local disks are not controllers of ours', async () => {
  write({
    'class/nvme/nvme0/transport': 'pcie',
    'class/nvme/nvme1/transport': 'tcp',
    'class/nvme/nvme1/subsysnqn': 'nqn.a',
    'class/nvme/nvme1/hostnqn': 'nqn.me',
    'class/nvme/nvme1/state': 'live',
    'class/nvme/nvme1/address': 'traddr=2001:db8::1,trsvcid=4420,src_addr=2001:db8::2',
    'module/nvme_core/parameters/multipath': 'Y',
    'module/nvme_tcp/refcnt': '0',
  });
  const nvme = new SysfsNvme(root);
  const portal = { host: '2001:db8::1', port: 4420 };
  expect(await nvme.listControllers()).toEqual([
    { name: 'nvme1', subsystemNqn: 'nqn.a', hostNqn: 'nqn.me', state: 'live', portal },
  ]);
  expect(await nvme.hasMultipath()).toBe(true);
  expect(await nvme.hasTcp()).toBe(true);
});

test('devices are found by what "device" leads to, and hidden paths are skipped', async () => {
  write({
    'subsystem/subsysnqn': 'nqn.a',
    'block/nvme0n1/uuid': '0C7A1F0E-5D4F-4B57-9F6E-0D8F0B3F3A11',
    'block/nvme0n1/size': '2097152',
    'block/nvme0n1/dev': '259:3',
    'block/nvme0c1n1/size': '2097152',
    'block/nvme0c1n1/dev': '259:2',
    'block/vda/size': '8',
  });
  symlinkSync('../../subsystem', join(root, 'block/nvme0n1/device'));
  symlinkSync('../../subsystem', join(root, 'block/nvme0c1n1/device'));
  expect(await new SysfsNvme(root).listDevices()).toEqual([
    {
      path: '/dev/nvme0n1',
      subsystemNqn: 'nqn.a',
      namespaceUuid: '0c7a1f0e-5d4f-4b57-9f6e-0d8f0b3f3a11',
      sizeBytes: 2 ** 30,
      deviceNumber: '259:3',
    },
  ]);
});

test('tell() writes to a controller, and one that is gone needs nothing', async () => {
  write({ 'class/nvme/nvme1/delete_controller': '' });
  const nvme = new SysfsNvme(root);
  await nvme.tell('nvme1', 'delete_controller');
  await nvme.tell('nvme2', 'delete_controller');
  expect(readFileSync(join(root, 'class/nvme/nvme1/delete_controller'), 'utf8')).toMatch(/^1/);
});
