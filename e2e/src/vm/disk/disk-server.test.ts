import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { SeededRandom } from '@varve/storage-daemon/testing/seeded-random';
import { NbdClient } from '../nbd-client.ts';
import { DiskServer } from './disk-server.ts';
import { VolatileDisk } from './volatile-disk.ts';

let folder: string;
let disk: VolatileDisk;
let server: DiskServer;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-disk-server-'));
  const file = join(folder, 'disk.img');
  disk = new VolatileDisk({ file, sizeBytes: 2 ** 20, sectorBytes: 512 });
  server = await DiskServer.listen(join(folder, 'disks.sock'), new Map([['disk', disk]]));
});

afterEach(() => {
  server.close();
  disk.close();
  rmSync(folder, { recursive: true });
});

async function open(): Promise<NbdClient> {
  return NbdClient.open({ path: server.socketPath }, 'disk');
}

describe('DiskServer', () => {
  test('reads, writes, flushes and discards, as many requests at a time as the client likes', async () => {
    const client = await open();
    const bytes = new Uint8Array(64 * 1024).fill(7);
    await Promise.all([0, 1, 2, 3].map(async (part) => client.write(part * bytes.length, bytes)));
    await client.discard(4096, 4096);
    expect(readFileSync(disk.file)[0]).toBe(0);
    await client.flush();
    await client.disconnect();
    const stored = readFileSync(disk.file);
    expect([stored[0], stored[4096], stored[8192], stored[256 * 1024 - 1]]).toEqual([7, 0, 7, 7]);
    expect(disk.counts).toMatchObject({ writes: 5, flushes: 1, discards: 1 });
  });

  test('refuses an export that it does not have', async () => {
    const opening = NbdClient.open({ path: server.socketPath }, 'other');
    await expect(opening).rejects.toMatchObject({ kind: 'refused' });
  });

  test('answers nothing after the power cut until it is thawed, and then has what FUA promised', async () => {
    const client = await open();
    await client.write(0, new Uint8Array(4096).fill(1), true);
    server.freeze();
    await expect(client.flush()).rejects.toMatchObject({ kind: 'disconnected' });
    disk.cutPower(new SeededRandom(4));
    server.thaw();
    const again = await open();
    expect((await again.read(0, 4096))[0]).toBe(1);
    expect(readFileSync(disk.file)[0]).toBe(1);
    await again.disconnect();
  });
});
