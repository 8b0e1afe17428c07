/** A daemon of several reactors, from outside: it must look as one of a single reactor does. */
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { inspectPool } from '../../inspect/inspect-pool.ts';
import { DaemonProcess } from '../../testing/daemon-process.ts';
import { formatDhchapSecret } from '../../nvmf/auth/dhchap-secret.ts';
import { clientTest, startClient } from '../../testing/external-clients.ts';
import {
  NvmeInitiator,
  type NvmeInitiatorOptions,
} from '../../testing/nvme-initiator/nvme-initiator.ts';
import { TestDaemon } from '../../testing/test-daemon.ts';

const mebibyte = 1024 * 1024;
const hostNqn = 'nqn.2014-08.org.nvmexpress:uuid:7a1f6c1e-0000-4000-8000-000000000001';
const volumes = ['a', 'b', 'c', 'd'];

let daemon: TestDaemon;
let hosts: NvmeInitiator[];

beforeEach(async () => {
  hosts = [];
  daemon = await TestDaemon.start({
    config: { reactors: 2, nvmeListen: [{ host: '127.0.0.1', port: 0 }] },
  });
});

afterEach(async () => {
  await Promise.all(hosts.map((host) => host.abandon()));
  await daemon.end();
});

async function createVolumes(): Promise<void> {
  await daemon.createPool();
  for (const id of volumes) {
    await daemon.client.putVolume(id, { pool: 'pool-1', sizeBytes: 16 * mebibyte });
  }
}

async function attach(volume: string): Promise<NvmeInitiator> {
  await daemon.client.putHost({ volume, hostNqn });
  return connect(volume);
}

async function connect(
  volume: string,
  options: Pick<NvmeInitiatorOptions, 'digests' | 'secret'> = {},
): Promise<NvmeInitiator> {
  const { nvme } = await daemon.client.getVolume(volume);
  const { address: host, port } = nvme!.addresses[0]!;
  const { subsystemNqn } = nvme!;
  const where = { host, port, hostNqn, subsystemNqn };
  const made = await NvmeInitiator.connect({ ...where, ...options, ioQueues: 2 });
  hosts.push(made);
  return made;
}

function blockOf(volume: string): Buffer {
  return Buffer.alloc(4096, volume);
}

async function metric(name: string): Promise<number> {
  const line = (await daemon.scrape()).split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ')[1]);
}

async function reactorConnections(): Promise<readonly number[]> {
  return [
    await metric('varve_reactor_connections{reactor="0"}'),
    await metric('varve_reactor_connections{reactor="1"}'),
  ];
}

async function listIds(limit: number): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const { id } of daemon.client.allVolumes({ limit })) ids.push(id);
  return ids;
}

describe('volumes on several reactors', () => {
  test('are served over NVMe/TCP by the reactor that has them, all queues of a host', async () => {
    await createVolumes();
    for (const id of volumes) await (await attach(id)).write(7, blockOf(id), { fua: true });
    // An admin queue and two of I/O for each.
    expect(await reactorConnections()).toEqual([6, 6]);
    for (const [index, id] of volumes.entries()) {
      expect((await hosts[index]!.read(7, 1, 1)).equals(blockOf(id))).toBe(true);
    }
    const { nvme } = await daemon.client.getVolume('a');
    const { address: host, port } = nvme!.addresses[0]!;
    const found = await NvmeInitiator.discover({ host, port, hostNqn });
    expect(found).toHaveLength(volumes.length);
    expect(await metric('varve_nvme_commands_total{queue="admin"}')).toBeGreaterThan(8);
    const event = hosts[1]!.nextEvent();
    await hosts[1]!.setFeature(0x0b, 0x100);
    await daemon.client.patchVolume('b', { sizeBytes: 32 * mebibyte });
    await event;
    expect(await hosts[1]!.sizeBlocks()).toBe(8192);
    await daemon.client.deleteHost({ volume: 'b', hostNqn });
    await hosts[1]!.admin.closed;
    await expect(connect('b')).rejects.toMatchObject({ status: 0x184 });
  });

  test('are reached with digests and secrets alike', async () => {
    await createVolumes();
    const secret = { hash: undefined, key: Buffer.alloc(32, 1) };
    for (const volume of ['a', 'b']) {
      await daemon.client.putHost({ volume, hostNqn }, { hostKey: formatDhchapSecret(secret) });
      const host = await connect(volume, { secret, digests: { header: true, data: true } });
      await host.write(0, blockOf(volume));
      expect((await host.read(0, 1, 1)).equals(blockOf(volume))).toBe(true);
      const wrong = { ...secret, key: Buffer.alloc(32, 2) };
      await expect(connect(volume, { secret: wrong })).rejects.toThrow('authentication failed');
    }
  });

  test('are one list, one pool and one index of ids', async () => {
    await createVolumes();
    for (const limit of [1, 3, 100]) expect(await listIds(limit)).toEqual(volumes);
    const { client } = daemon;
    const pool = await client.getPool('pool-1');
    expect(pool).toMatchObject({ cells: 2, volumes: 4, provisionedBytes: 64 * mebibyte });
    expect(pool.freeBytes + pool.allocatedBytes).toBe(pool.sizeBytes);
    await client.putVolume('a', { pool: 'pool-1', sizeBytes: 16 * mebibyte });
    await expect(
      client.putVolume('b', { pool: 'pool-1', sizeBytes: mebibyte }),
    ).rejects.toMatchObject({ kind: 'already-exists' });
    await expect(client.getVolume('x')).rejects.toMatchObject({ kind: 'not-found' });
    await expect(client.putVolume('x', { pool: 'y', sizeBytes: 1 })).rejects.toMatchObject({
      kind: 'not-found',
    });
    for (const id of volumes) await client.deleteVolume(id);
    expect(await listIds(10)).toEqual([]);
  });

  test('stay with their families', async () => {
    await createVolumes();
    const { client } = daemon;
    const host = await attach('b');
    await host.write(0, blockOf('1'), { fua: true });
    await client.putSnapshot('s1', { volume: 'b' });
    await host.write(0, blockOf('2'), { fua: true });
    await client.putSnapshot('s2', { volume: 'b' });
    const body = { pool: 'pool-1', sizeBytes: 16 * mebibyte };
    await client.putVolume('r1', { ...body, source: { snapshot: 's1' } });
    await client.putVolume('r2', { ...body, source: { volume: 'b' } });
    await client.putSnapshot('s3', { volume: 'r1' });
    await client.putVolume('r3', { ...body, source: { snapshot: 's3' } });
    expect((await (await attach('r3')).read(0, 1)).equals(blockOf('1'))).toBe(true);
    expect((await (await attach('r2')).read(0, 1)).equals(blockOf('2'))).toBe(true);
    expect(await client.getSnapshot('s1')).toMatchObject({ references: { clones: 1 } });
    await client.putSnapshot('of-a', { volume: 'a' });
    expect(await client.getReclaimableBytes(['s1', 's2', 'of-a'])).toBeGreaterThanOrEqual(0);
    await expect(
      client.putRevert({ volume: 'a', revert: 'r' }, { snapshot: 's1' }),
    ).rejects.toMatchObject({ kind: 'failed-precondition' });
  });

  test('are all there after restarts with other numbers of reactors', async () => {
    await createVolumes();
    for (const id of volumes) await (await attach(id)).write(3, blockOf(id), { fua: true });
    await daemon.client.putSnapshot('s', { volume: 'd' });
    for (const reactors of [1, 3, 2]) {
      await daemon.restart({ reactors });
      const info = await daemon.client.getInfo();
      const serving = info.reactors.filter(({ pools }) => pools.length > 0);
      expect([info.reactors.length, serving.length]).toEqual([reactors, Math.min(reactors, 2)]);
      expect(await listIds(100)).toEqual(volumes);
      expect(await daemon.client.getSnapshot('s')).toMatchObject({ volume: 'd' });
      for (const id of volumes) {
        const host = await connect(id);
        expect((await host.read(3, 1)).equals(blockOf(id))).toBe(true);
        await host.close();
      }
    }
    expect(await metric('varve_reactor_up{reactor="1"}')).toBe(1);
  });

  test('fill their pool together, and no further', async () => {
    await daemon.createPool();
    const sizeBytes = 256 * mebibyte;
    for (const id of ['a', 'b']) await daemon.client.putVolume(id, { pool: 'pool-1', sizeBytes });
    const data = Buffer.alloc(mebibyte / 2, 0x55);
    const fill = async (volume: string): Promise<number> => {
      const host = await attach(volume);
      for (let at = 0; ; at += 128) {
        try {
          await host.write(at, data);
        } catch (error) {
          // Capacity exceeded.
          expect(error).toMatchObject({ status: 0x81 });
          return at;
        }
      }
    };
    const filled = await Promise.all([fill('a'), fill('b')]);
    const {
      freeBytes,
      reservedBytes,
      sizeBytes: poolBytes,
    } = await daemon.client.getPool('pool-1');
    expect(Math.min(...filled)).toBeGreaterThan(0);
    // What is left is the reserve, and what a cell has of a group that it cannot use for a whole request.
    expect(freeBytes).toBeLessThan(reservedBytes + poolBytes / 5);
    await Promise.all(hosts.map((host) => host.abandon()));
    await daemon.stop();
    const lines: string[] = [];
    const path = join(daemon.folder, 'pool-1.img');
    expect(await inspectPool([path], (line) => lines.push(line))).toBe(0);
  });
});

describe('a reactor that ends by itself', () => {
  test('takes only what it serves; the daemon says so', async () => {
    const real = new URL('../../reactor/reactor.js', import.meta.url).href;
    const code = `
      import { parentPort } from 'node:worker_threads';
      import ${JSON.stringify(real)};
      parentPort.on('message', ({ operation, argument }) => {
        if (argument?.body?.labels?.crash) setImmediate(() => { throw new Error('block 7 is free'); });
      });`;
    await daemon.end();
    const reactorEntry = new URL(`data:text/javascript,${encodeURIComponent(code)}`);
    const nvmeListen = [{ host: '127.0.0.1', port: 0 }];
    daemon = await TestDaemon.start({ config: { reactors: 2, nvmeListen }, reactorEntry });
    await createVolumes();
    const { client } = daemon;
    const [a, b] = [await attach('a'), await attach('b')];
    await b.write(1, blockOf('b'), { fua: true });
    await client.patchVolume('b', { labels: { crash: 'yes' } }).catch(() => undefined);
    await b.admin.closed;

    await a.write(1, blockOf('a'), { fua: true });
    expect((await a.read(1, 1)).equals(blockOf('a'))).toBe(true);
    await client.putSnapshot('s', { volume: 'a' });
    await client.putVolume('e', { pool: 'pool-1', sizeBytes: mebibyte });
    for (const call of [
      client.getVolume('b'),
      client.listVolumes(),
      client.getReadiness(),
      client.putVolume('b', { pool: 'pool-1', sizeBytes: mebibyte }),
    ]) {
      await expect(call).rejects.toMatchObject({
        kind: 'unavailable',
        message: expect.stringContaining('reactor 1 has failed'),
      });
    }
    const { conditions } = await client.getPool('pool-1');
    expect(conditions[0]).toMatchObject({ status: 'False', reason: 'ReactorFailed' });
    expect(await metric('varve_reactor_up{reactor="1"}')).toBe(0);
  });

  test('is no different from a kill, which any number of reactors recovers from', async () => {
    await createVolumes();
    await daemon.stop();
    const nvme = ['--nvme-listen', 'tcp://127.0.0.1:0'];
    for (const [round, reactors] of [2, 3, 1].entries()) {
      const run = new DaemonProcess(join(daemon.folder, 'state'), [
        '--reactors',
        String(reactors),
        ...nvme,
      ]);
      await run.ready();
      for (const volume of volumes) {
        await run.client.putHost({ volume, hostNqn });
        const subsystem = (await run.client.getVolume(volume)).nvme!;
        const { address: host, port } = subsystem.addresses[0]!;
        const { subsystemNqn } = subsystem;
        const made = await NvmeInitiator.connect({ host, port, hostNqn, subsystemNqn });
        hosts.push(made);
        if (round > 0) {
          expect((await made.read(round - 1, 1)).equals(blockOf(volume))).toBe(true);
        }
        await made.write(round, blockOf(volume), { fua: true });
      }
      await run.end('SIGKILL');
    }
    expect(await inspectPool([join(daemon.folder, 'pool-1.img')], () => undefined)).toBe(0);
    await daemon.restart();
  });
});

describe('NBD clients', () => {
  beforeEach(async () => {
    await daemon.restart({ nbdListen: [{ kind: 'unix', path: join(daemon.folder, 'nbd.sock') }] });
    await createVolumes();
    await daemon.client.putSnapshot('s', { volume: 'c' });
  });

  const run = async (program: string, ...options: readonly string[]) =>
    startClient(program, options, daemon.folder).finished;
  const uri = (name: string) => `nbd+unix:///${name}?socket=${daemon.folder}/nbd.sock`;

  clientTest('read and write where the volume is', ['qemu-io'], async () => {
    for (const id of volumes) {
      const commands = ['-c', 'write -P 0x5a 4k 60k', '-c', 'flush', '-c', 'read -P 0x5a 4k 60k'];
      const { code, output } = await run('qemu-io', '-f', 'raw', ...commands, uri(`volume/${id}`));
      expect({ code, output }).toMatchObject({ code: 0 });
    }
    const refused = await run('qemu-io', '-f', 'raw', '-c', 'read 0 4k', uri('volume/x'));
    expect(refused.output).toContain('There is no export');
    expect(
      await metric('varve_export_requests_total{kind="volume",operation="write",result="ok"}'),
    ).toBeGreaterThanOrEqual(4);
  });

  clientTest('are told of all exports', ['qemu-nbd', 'nbdinfo'], async () => {
    const names = [...volumes.map((id) => `volume/${id}`), 'snapshot/s'];
    const listed = await run('qemu-nbd', '-L', '-k', join(daemon.folder, 'nbd.sock'));
    for (const name of names) expect(listed.output).toContain(`export: '${name}'`);
    const info = await run(
      'nbdinfo',
      '--list',
      '--json',
      `nbd+unix:///?socket=${daemon.folder}/nbd.sock`,
    );
    const { exports } = JSON.parse(info.output) as {
      exports: { 'export-name': string; 'export-size': number; contexts: string[] }[];
    };
    expect(exports.map((each) => each['export-name']).sort()).toEqual(names.sort());
    expect(exports[0]).toMatchObject({
      'export-size': 16 * mebibyte,
      contexts: ['base:allocation'],
    });
  });

  clientTest('see what is allocated', ['qemu-img', 'qemu-io'], async () => {
    await run('qemu-io', '-f', 'raw', '-c', 'write 1M 64k', uri('volume/b'));
    const map = await run('qemu-img', 'map', '--output=json', '-f', 'raw', uri('volume/b'));
    const extents = JSON.parse(map.output) as { start: number; data: boolean }[];
    expect(extents.filter(({ data }) => data).map(({ start }) => start)).toEqual([mebibyte]);
  });
});
