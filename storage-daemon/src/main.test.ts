/** The program: how it starts, stops, and comes back after a kill. */
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { DaemonProcess } from './testing/daemon-process.ts';
import { clientTest, startClient } from './testing/external-clients.ts';
import { rawRequest } from './testing/raw-request.ts';

const mebibyte = 1024 * 1024;

let folder: string;
let state: string;
const daemons: DaemonProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-main-'));
  state = join(folder, 'state');
});

afterEach(async () => {
  await Promise.all(daemons.splice(0).map((each) => each.end('SIGKILL')));
  rmSync(folder, { recursive: true });
});

function start(...flags: string[]): DaemonProcess {
  const daemon = new DaemonProcess(state, flags);
  daemons.push(daemon);
  return daemon;
}

async function startReady(): Promise<DaemonProcess> {
  const daemon = start();
  await daemon.ready();
  return daemon;
}

function inspect(...paths: string[]): SpawnSyncReturns<string> {
  const program = fileURLToPath(new URL('main.js', import.meta.url));
  return spawnSync(process.execPath, [program, 'inspect', ...paths], { encoding: 'utf8' });
}

async function createPool({ client }: DaemonProcess): Promise<void> {
  const path = join(folder, 'pool.img');
  await client.putPool('pool-1', { devices: [{ path, sizeBytes: 512 * mebibyte }] });
}

describe('varve-storaged', () => {
  test('ends with 0 on SIGTERM, and removes its sockets', async () => {
    const daemon = await startReady();
    await createPool(daemon);
    expect(existsSync(join(state, 'nbd.sock'))).toBe(true);
    expect(await daemon.end('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(daemon.output).toContain('"msg":"stopped"');
    expect(existsSync(join(state, 'daemon.sock'))).toBe(false);
    expect(existsSync(join(state, 'nbd.sock'))).toBe(false);
  });

  test('has everything again after a kill', async () => {
    const first = await startReady();
    await createPool(first);
    await first.client.putVolume('a', { pool: 'pool-1', sizeBytes: 64 * mebibyte });
    await first.client.putFilesystem('a', { state: 'formatting', type: 'ext4' });
    await first.client.putSnapshot('s', { volume: 'a', labels: { app: 'db' } });
    await first.client.putVolume('b', {
      pool: 'pool-1',
      sizeBytes: 128 * mebibyte,
      source: { snapshot: 's' },
      limits: { readIops: 7 },
    });
    await first.client.patchVolume('a', { sizeBytes: 65 * mebibyte });
    await first.client.putRevert({ volume: 'a', revert: 'r' }, { snapshot: 's' });
    await first.client.deleteVolume('b');
    await first.client.putVolume('c', {
      pool: 'pool-1',
      sizeBytes: 65 * mebibyte,
      source: { volume: 'a' },
    });
    const before = [await first.client.listVolumes(), await first.client.listSnapshots()];
    await first.end('SIGKILL');
    const second = await startReady();
    expect([await second.client.listVolumes(), await second.client.listSnapshots()]).toEqual(
      before,
    );
  });

  clientTest('loses nothing that a flush acknowledged', ['qemu-io'], async () => {
    const qemuIo = async (daemon: DaemonProcess, ...commands: string[]): Promise<void> => {
      const each = commands.flatMap((command) => ['-c', command]);
      const options = ['-f', 'raw', ...each, daemon.exportUri('volume/a')];
      const { code, output } = await startClient('qemu-io', options, folder).finished;
      expect({ code, output }).toMatchObject({ code: 0 });
      expect(output).not.toContain('failed');
    };
    let daemon = await startReady();
    await createPool(daemon);
    await daemon.client.putVolume('a', { pool: 'pool-1', sizeBytes: 64 * mebibyte });
    for (let round = 1; round <= 3; round++) {
      await qemuIo(daemon, `write -P ${round} ${round}M 1M`, 'flush');
      await daemon.client.putSnapshot(`s${round}`, { volume: 'a' });
      await qemuIo(daemon, `write -P ${round + 100} ${round * 1024 + 512}k 4k`, 'flush');
      await daemon.end('SIGKILL');
      daemon = await startReady();
      for (let earlier = 1; earlier <= round; earlier++) {
        const from = earlier * 1024;
        await qemuIo(
          daemon,
          `read -P ${earlier} ${from}k 512k`,
          `read -P ${earlier + 100} ${from + 512}k 4k`,
          `read -P ${earlier} ${from + 516}k 508k`,
        );
      }
    }
    // Nobody holds it any more, so it can be deleted; what the snapshots need stays.
    await daemon.client.deleteVolume('a');
    expect((await daemon.client.getSnapshot('s3')).referencedBytes).toBe(3 * mebibyte);
  });

  clientTest('does not delete what a client has open', ['qemu-io'], async () => {
    const daemon = await startReady();
    await createPool(daemon);
    await daemon.client.putVolume('a', { pool: 'pool-1', sizeBytes: 64 * mebibyte });
    const options = ['-f', 'raw', '-c', 'sleep 600000', daemon.exportUri('volume/a')];
    const client = startClient('qemu-io', options, folder);
    while ((await daemon.client.getVolume('a')).connections === 0) continue;
    await expect(daemon.client.deleteVolume('a')).rejects.toMatchObject({
      kind: 'in-use',
      message: 'Deleting volume "a" failed: it is open over 1 NBD connection',
    });
    client.child.kill('SIGKILL');
    await client.finished;
    while ((await daemon.client.getVolume('a')).connections > 0) continue;
    await daemon.client.deleteVolume('a');
  });

  test('refuses a second run on its state folder in one sentence', async () => {
    await startReady();
    const second = start();
    expect(await second.ended).toEqual({ code: 2, signal: null });
    expect(second.output).toMatch(
      /^varve-storaged: Opening the state folder "[^"]+" failed: Lock "[^"]+": held by process \d+ \(varve-storaged\)\n$/,
    );
  });

  test.each<[string, string[], number, string]>([
    ['an unknown flag', ['--colour', 'red'], 1, "error: unknown option '--colour'"],
    [
      'an address that it may not have',
      ['--listen', 'http://0.0.0.0:1'],
      2,
      'varve-storaged: Reading the configuration failed: --listen: "http://0.0.0.0:1": plain http is for loopback only',
    ],
    ['a level that is none', ['--log-level', 'loud'], 1, 'Allowed choices are trace, debug'],
  ])('refuses %s', async (_, flags, code, sentence) => {
    const daemon = start(...flags);
    expect(await daemon.ended).toEqual({ code, signal: null });
    expect(daemon.output).toContain(sentence);
    expect(daemon.output.trim().split('\n')).toHaveLength(1);
  });

  test('inspects a pool that was left by a kill, and refuses while a daemon serves it', async () => {
    const daemon = await startReady();
    await createPool(daemon);
    await daemon.client.putVolume('a', { pool: 'pool-1', sizeBytes: 64 * mebibyte });
    await daemon.client.putSnapshot('s', { volume: 'a' });
    const path = join(folder, 'pool.img');
    const busy = inspect(path);
    expect(busy.status).toBe(2);
    expect(busy.stderr).toMatch(/^varve-storaged: Lock "[^"]+": held by process \d+ \(.*\)\n$/);
    await daemon.end('SIGKILL');
    const before = statSync(path).mtimeMs;
    const found = inspect(path);
    expect(found.stdout).toMatch(/snapshot "s" .*\n.*volume "a"/);
    expect(found.stdout).toMatch(/\nall invariants hold\n$/);
    expect(found.status).toBe(0);
    expect(statSync(path).mtimeMs).toBe(before);
    writeFileSync(path, new Uint8Array(8192));
    expect(inspect(path)).toMatchObject({ status: 1 });
    expect(inspect(join(folder, 'absent'))).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/no such file or device\n$/),
    });
  });

  test('never logs the token', async () => {
    const token = 'a-token-that-nobody-guesses';
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, token);
    const listen = ['--listen', `unix://${state}/daemon.sock`, 'http://127.0.0.1:0'];
    const daemon = start('--token-file', tokenFile, '--log-level', 'trace', ...listen);
    await daemon.ready();
    const endpoint = /http:\/\/127\.0\.0\.1:\d+/.exec(daemon.output)?.[0];
    for (const presented of [token, `${token}-wrong`]) {
      const headers = { authorization: `Bearer ${presented}` };
      const answer = await rawRequest(endpoint!, { method: 'GET', path: '/v1/info', headers });
      expect(answer.status).toBe(presented === token ? 200 : 401);
      expect(answer.text).not.toContain(token);
    }
    await daemon.end('SIGTERM');
    expect(daemon.output).not.toContain(token);
  });
});
