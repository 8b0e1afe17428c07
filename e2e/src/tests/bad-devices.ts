/** Devices that must not be formatted, pools that are in use or full: refused in one sentence, with nothing lost. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FoundSignature, PutPool } from '@varve/contract/pool';
import { problemDetailsSchema, type ProblemDetails } from '@varve/contract/problem';
import { runCommand, tryCommand } from '../process/run-command.ts';
import { waitUntil } from '../process/wait-until.ts';
import { exportUri, qemuIo, qemuIoOk } from '../product/nbd-clients.ts';
import { sendRaw } from '../product/raw-http.ts';
import { StorageDaemon } from '../product/storage-daemon.ts';
import type { Site } from '../product/site.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';

const gibibyte = 2 ** 30;
const mebibyte = 2 ** 20;
const smallPoolBytes = 256 * mebibyte;
const drainTimeoutMs = 60_000;

/** A file system on the device, a second daemon on the pool, a full pool. */
export const badDevicesTest: EndToEndTest = {
  name: 'bad-devices',
  summary: 'foreign devices, a second daemon on a pool, and a full pool are refused without loss',
  clusters: ['embedded', 'real'],
  programs: ['qemu-io', 'mkfs.ext4'],
  poolBytes: gibibyte,
  timeoutMs: 240_000,
  run: async (site) => {
    await refuseFileSystem(site);
    await refuseFileSystemOnBlockDevice(site);
    await refuseSecondDaemon(site);
    await surviveFullPool(site);
  },
};

/** Asks for a pool as a REST client, and demands a problem. */
async function expectPoolRefused(
  site: Site,
  socketPath: string,
  call: { readonly what: string; readonly pool: string; readonly body: PutPool },
): Promise<ProblemDetails> {
  const answer = await sendRaw(
    { socketPath },
    { method: 'PUT', path: `/v1/pools/${call.pool}`, body: JSON.stringify(call.body) },
  );
  assert.ok(answer.status >= 400, `${call.what} is refused: ${answer.status} ${answer.text}`);
  const problem = problemDetailsSchema.parse(JSON.parse(answer.text));
  site.note(`${call.what}: ${answer.status} ${problem.kind}: ${problem.detail}`);
  return problem;
}

async function refuseFileSystem(site: Site): Promise<void> {
  const path = join(site.directory, 'ext4.img');
  writeFileSync(path, '');
  truncateSync(path, 64 * mebibyte);
  await runCommand('mkfs.ext4', ['-q', path]);
  const uuid = (await runCommand('blkid', ['-p', '-s', 'UUID', '-o', 'value', path])).trim();
  const before = digestOf(path);
  const refuse = async (what: string, force?: FoundSignature[]): Promise<ProblemDetails> =>
    expectPoolRefused(site, site.daemon.controlSocket, {
      what,
      pool: 'foreign',
      body: { devices: [{ path, ...(force === undefined ? {} : { force }) }], labels: {} },
    });

  const refusal = await refuse('a device with ext4');
  assert.ok(refusal.detail.includes('ext4') && refusal.detail.includes(uuid), refusal.detail);
  await refuse('force with another type', [{ type: 'xfs', uuid }]);
  await refuse('force with another uuid', [
    { type: 'ext4', uuid: '00000000-0000-4000-8000-000000000000' },
  ]);
  assert.equal(digestOf(path), before, 'no byte of the file system has changed');
}

/** The same on a real block device, where this machine lets us make one. */
async function refuseFileSystemOnBlockDevice(site: Site): Promise<void> {
  const image = join(site.directory, 'ext4.img');
  const attached = await tryCommand('losetup', ['--find', '--show', image]).catch(() => undefined);
  if (attached === undefined || attached.code !== 0) {
    site.note('a block device with ext4: left out, this machine has no loop devices');
    return;
  }
  const device = attached.stdout.trim();
  try {
    const refusal = await expectPoolRefused(site, site.daemon.controlSocket, {
      what: 'a block device with ext4',
      pool: 'foreign',
      body: { devices: [{ path: device }], labels: {} },
    });
    assert.ok(refusal.detail.includes('ext4'), refusal.detail);
  } finally {
    await runCommand('losetup', ['--detach', device]);
  }
}

async function refuseSecondDaemon(site: Site): Promise<void> {
  const directory = join(site.directory, 'second');
  mkdirSync(directory);
  const second = new StorageDaemon({ name: 'second', directory, poolBytes: mebibyte });
  await second.start();
  try {
    const refusal = await expectPoolRefused(site, second.controlSocket, {
      what: 'a second daemon on the same pool',
      pool: 'pool',
      body: { devices: [{ path: site.daemon.poolFile }], labels: {} },
    });
    assert.ok(refusal.detail.includes(site.daemon.poolFile), refusal.detail);
  } finally {
    await second.stop();
  }
  await site.daemon.pool();
}

/** Fills a small pool to the last block, and works on afterwards. */
async function surviveFullPool(site: Site): Promise<void> {
  const { client } = site.daemon;
  await client.putPool('small', {
    devices: [{ path: join(site.directory, 'small.img'), sizeBytes: smallPoolBytes }],
  });
  await client.putVolume('big', { pool: 'small', sizeBytes: gibibyte });
  await client.putVolume('other', { pool: 'small', sizeBytes: gibibyte });
  const uri = exportUri(site.daemon.nbdSocket, 'volume/big');
  await qemuIoOk(uri, ['write -P 1 0 32M', 'flush']);
  await client.putSnapshot('big-snapshot', { volume: 'big' });
  await qemuIoOk(uri, ['write -P 2 16M 16M', 'flush']);

  const full = await qemuIo(uri, ['write -P 3 32M 512M']);
  assert.notEqual(full.code, 0, 'writing more than the pool has fails');
  const said = (full.stdout + full.stderr).trim();
  assert.match(said, /No space left on device/);
  site.note(`a full pool, on NBD: ${said}`);
  await expectFullAnswers(site);

  const readOnly = { readOnly: true };
  await qemuIoOk(uri, ['read -P 1 0 16M', 'read -P 2 16M 16M'], readOnly);
  await site.daemon.deleteVolumes('big');
  const other = exportUri(site.daemon.nbdSocket, 'volume/other');
  await client.deleteSnapshot('big-snapshot');
  await waitForSpace(site, 128 * mebibyte);
  await qemuIoOk(other, ['write -P 4 0 64M', 'flush', 'read -P 4 0 64M']);
  site.note('a full pool: deletes work, the space comes back, and writes go on');
  await site.daemon.deleteVolumes('other');
}

/** What REST says at that moment: new things may be refused, with the right kind; what is there can be read. */
async function expectFullAnswers(site: Site): Promise<void> {
  const socketPath = site.daemon.controlSocket;
  const answer = await sendRaw(
    { socketPath },
    {
      method: 'PUT',
      path: '/v1/snapshots/at-full',
      body: JSON.stringify({ volume: 'big' }),
    },
  );
  if (answer.status < 400) {
    site.note(`a full pool, a snapshot: ${answer.status}, the reserve has room for it`);
    await site.daemon.client.deleteSnapshot('at-full');
    return;
  }
  const problem = problemDetailsSchema.parse(JSON.parse(answer.text));
  site.note(`a full pool, a snapshot: ${answer.status} ${problem.kind}: ${problem.detail}`);
  assert.equal(problem.kind, 'insufficient-space');
}

async function waitForSpace(site: Site, wantedBytes: number): Promise<void> {
  await waitUntil(
    `${wantedBytes} bytes of the small pool to be free`,
    async () => {
      const { freeBytes } = await site.daemon.client.getPool('small');
      if (freeBytes < wantedBytes) throw new Error(`${freeBytes} bytes are free`);
      return true;
    },
    { timeoutMs: drainTimeoutMs },
  );
}

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
