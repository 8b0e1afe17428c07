/** Hosts, grants and fences as users have them: REST on one side, NVMe/TCP on the other, a whole daemon between. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { type PutHost, volumeNqnPrefix } from '@varve/contract/host';

import { type DhchapSecret, formatDhchapSecret } from '../../nvmf/auth/dhchap-secret.ts';
import { clientTest, startClient } from '../../testing/external-clients.ts';
import {
  NvmeInitiator,
  type NvmeInitiatorOptions,
} from '../../testing/nvme-initiator/nvme-initiator.ts';
import { TestDaemon } from '../../testing/test-daemon.ts';

const blockBytes = 4096;
const hostA = 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-00000000000a';
const hostB = 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-00000000000b';
/** Connect Invalid Host. */
const invalidHost = { status: 0x184 };

let daemon: TestDaemon;
let folder: string;
let socket: string;
/** Each test has a volume of its own. */
let volume = '';
let volumeCount = 0;
let subsystemNqn: string;
const initiators: NvmeInitiator[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-hosts-'));
  socket = join(folder, 'nbd.sock');
  const nbdListen = [{ kind: 'unix', path: socket }] as const;
  const nvmeListen = [{ host: '127.0.0.1', port: 0 }];
  daemon = await TestDaemon.start({ config: { nbdListen, nvmeListen } });
  await daemon.createPool();
});

beforeEach(async () => {
  volume = `volume-${volumeCount++}`;
  const sizeBytes = 16 * 1024 * 1024;
  const { uuid } = await daemon.client.putVolume(volume, { pool: 'pool-1', sizeBytes });
  subsystemNqn = volumeNqnPrefix + uuid;
});

afterEach(async () => {
  await Promise.all(initiators.splice(0).map((each) => each.abandon()));
  for (const hostNqn of [hostA, hostB]) await revoke(hostNqn);
});

afterAll(async () => {
  await daemon.end();
  rmSync(folder, { recursive: true });
});

function port(): number {
  const { uri } = daemon.daemon.exports.find(({ protocol }) => protocol === 'nvme-tcp')!;
  return Number(/:(\d+)$/.exec(uri)?.[1]);
}

async function connect(
  hostNqn: string,
  options: Partial<NvmeInitiatorOptions> = {},
): Promise<NvmeInitiator> {
  const address = { host: '127.0.0.1', port: port() };
  const made = await NvmeInitiator.connect({ ...address, subsystemNqn, hostNqn, ...options });
  initiators.push(made);
  return made;
}

function grant(hostNqn: string, body: PutHost = {}) {
  return daemon.client.putHost({ volume, hostNqn }, body);
}

function revoke(hostNqn: string): Promise<void> {
  return daemon.client.deleteHost({ volume, hostNqn });
}

const block = (fill: number): Buffer => Buffer.alloc(blockBytes, fill);

describe('a host', () => {
  test('is let in by its grant, also after a restart, and by nothing else', async () => {
    await expect(connect(hostA)).rejects.toMatchObject(invalidHost);
    await grant(hostA);
    const first = await connect(hostA);
    await first.write(0, block(1), { fua: true });
    await expect(connect(hostB)).rejects.toMatchObject(invalidHost);
    await daemon.restart();
    const second = await connect(hostA);
    expect((await second.read(0, 1)).equals(block(1))).toBe(true);
    const metrics = await daemon.scrape();
    expect(metrics).toMatch(/^varve_nvme_controllers\{kind="volume"\} 1$/m);
    expect(metrics).toMatch(/^varve_nvme_commands_total\{queue="io"\} [1-9]/m);
    expect(metrics).toMatch(/^varve_nvme_answers_total\{status="success"\} [1-9]/m);
    expect(metrics).toMatch(/^varve_nvme_keep_alive_timeouts_total 0$/m);
  });

  test('sees in discovery what it was granted', async () => {
    const discover = async (hostNqn: string): Promise<readonly string[]> => {
      const found = await NvmeInitiator.discover({ host: '127.0.0.1', port: port(), hostNqn });
      return found.map(({ nqn }) => nqn);
    };
    await grant(hostA);
    expect(await discover(hostA)).toEqual([subsystemNqn]);
    expect(await discover(hostB)).toEqual([]);
    await revoke(hostA);
    expect(await discover(hostA)).toEqual([]);
  });

  test('keeps a volume from being deleted while it has a grant', async () => {
    await grant(hostA);
    await expect(daemon.client.deleteVolume(volume)).rejects.toMatchObject({
      kind: 'in-use',
      blocker: `host/${hostA}`,
    });
    await revoke(hostA);
    await daemon.client.deleteVolume(volume);
  });
});

clientTest('of NBD may read what a host holds, and write it no more', ['qemu-io'], async () => {
  const uri = `nbd+unix:///volume/${volume}?socket=${socket}`;
  const qemuIo = async (...options: readonly string[]): Promise<number | null> => {
    const { finished } = startClient('qemu-io', ['-f', 'raw', ...options, uri], daemon.folder);
    const { code } = await finished;
    // The daemon hears of the end a moment later.
    while ((await daemon.client.getVolume(volume)).connections > 0) continue;
    return code;
  };
  expect(await qemuIo('-c', 'write -P 1 0 4k')).toBe(0);
  await grant(hostA);
  expect(await qemuIo('-c', 'write -P 2 0 4k')).not.toBe(0);
  expect(await qemuIo('-r', '-c', 'read -P 1 0 4k')).toBe(0);
  await revoke(hostA);
  expect(await qemuIo('-c', 'write -P 3 0 4k')).toBe(0);
});

describe('a revoke', () => {
  test('under load ends all that its host can do, before the next host gets access', async () => {
    await grant(hostA);
    const old = await connect(hostA, { ioQueues: 2 });
    const writes: Promise<void>[] = [];
    // More than fits through at once, on both queues, some of it to be fetched by the target.
    for (let index = 0; index < 200; index++) {
      const data = Buffer.alloc(blockBytes * (1 + (index % 8)), 0xaa);
      writes.push(old.write((index * 8) % 4000, data, { queue: index % 2 }));
    }
    const settled = Promise.allSettled(writes);
    await writes[0];
    await expect(grant(hostB)).rejects.toMatchObject({ kind: 'in-use', blocker: `host/${hostA}` });
    await revoke(hostA);
    await grant(hostB);
    const next = await connect(hostB);
    for (let lba = 0; lba < 4096; lba += 64)
      await next.write(lba, Buffer.alloc(64 * blockBytes, 0xbb));
    await settled;
    await expect(old.write(0, block(0xcc))).rejects.toThrow('closed');
    await expect(connect(hostA)).rejects.toMatchObject(invalidHost);
    for (let lba = 0; lba < 4096; lba += 256) {
      const bytes = await next.read(lba, 256);
      expect(bytes.every((byte) => byte === 0xbb)).toBe(true);
    }
  });

  test('does not wait for the rate of a limited volume', async () => {
    await daemon.client.patchVolume(volume, { limits: { writeIops: 1 } });
    await grant(hostA);
    const host = await connect(hostA);
    const writes = Array.from({ length: 50 }, (_, index) => host.write(index, block(1)));
    const settled = Promise.allSettled(writes);
    await writes[0];
    await revoke(hostA);
    await settled;
  });

  test('of a host that never came is fine', async () => {
    await revoke(hostA);
    await grant(hostA);
    await revoke(hostA);
    await revoke(hostA);
  });
});

describe('DH-HMAC-CHAP', () => {
  const secret: DhchapSecret = { hash: undefined, key: Buffer.alloc(32, 1) };
  const controllerSecret: DhchapSecret = { hash: 3, key: Buffer.alloc(64, 2) };
  const keys = {
    hostKey: formatDhchapSecret(secret),
    controllerKey: formatDhchapSecret(controllerSecret),
  };

  test.each([
    ['SHA-256', 'null'],
    ['SHA-384', 'ffdhe2048'],
    ['SHA-512', 'ffdhe3072'],
    ['SHA-256', 'ffdhe4096'],
    ['SHA-384', 'ffdhe6144'],
    ['SHA-512', 'ffdhe8192'],
  ] as const)('lets a host in with %s and %s, in both directions', async (hash, dhGroup) => {
    await grant(hostA, { ...keys, hash, dhGroup });
    const host = await connect(hostA, { secret, controllerSecret });
    await host.write(0, block(7));
    expect((await host.read(0, 1)).equals(block(7))).toBe(true);
  });

  test('keeps a host out that does not know the key, and counts that', async () => {
    const wrong: DhchapSecret = { hash: undefined, key: Buffer.alloc(32, 9) };
    const countFailures = async (): Promise<number> =>
      Number(/^varve_host_authentication_failures_total (\d+)$/m.exec(await daemon.scrape())?.[1]);
    const before = await countFailures();
    await grant(hostA, keys);
    await expect(connect(hostA, { secret: wrong })).rejects.toThrow('authentication failed');
    await expect(connect(hostA)).rejects.toThrow('wants authentication');
    expect(await countFailures()).toBe(before + 1);
    await connect(hostA, { secret });
  });

  test('takes new keys for new connections, and leaves those that are open alone', async () => {
    await grant(hostA, keys);
    const host = await connect(hostA, { secret });
    const other: DhchapSecret = { hash: 1, key: Buffer.alloc(32, 5) };
    await grant(hostA, { hostKey: formatDhchapSecret(other) });
    await host.write(0, block(3));
    await expect(connect(hostA, { secret })).rejects.toThrow('authentication failed');
    await connect(hostA, { secret: other });
  });
});
