/** Real clients against served volumes. What they send is not ours to choose, so what works here works outside. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeAll, beforeEach, describe, expect } from '@jest/globals';

import { clientTest, startClient } from '../testing/external-clients.ts';
import { NbdTestServer, testTransports, type TestTransport } from '../testing/nbd-test-server.ts';
import { SeededRandom } from '../testing/seeded-random.ts';

const mebibyteBytes = 1024 * 1024;

let server: NbdTestServer;

let transport: TestTransport = 'node';

beforeEach(async () => {
  server = await NbdTestServer.start(transport);
});

afterEach(async () => {
  await server.close();
});

function runClient(program: string, options: readonly string[]) {
  return startClient(program, options, server.folder).finished;
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate);
}

/** Runs a client that must succeed, and answers what it printed. */
async function run(program: string, ...options: readonly string[]): Promise<string> {
  const { code, output } = await runClient(program, options);
  if (code !== 0) throw new Error(`${program} ${options.join(' ')} ended with ${code}: ${output}`);
  return output;
}

/** Runs qemu-io commands; a pattern that does not match or an error ends them. */
function qemuIo(uri: string, ...commands: readonly string[]): Promise<string> {
  return run('qemu-io', '-f', 'raw', ...commands.flatMap((command) => ['-c', command]), uri);
}

/** An image of random bytes with a hole of a quarter in the middle. */
function newImage(sizeBytes: number, seed = 1): string {
  const bytes = new SeededRandom(seed).fillBytes(new Uint8Array(sizeBytes));
  bytes.fill(0, sizeBytes / 2, (sizeBytes * 3) / 4);
  const path = join(server.folder, `image-${seed}.raw`);
  writeFileSync(path, bytes);
  return path;
}

describe.each(testTransports)('by %s', (each) => {
  beforeAll(() => {
    transport = each;
  });

  describe('qemu-img', () => {
    clientTest(
      'a snapshot and its restore keep the image that was there; the volume goes on',
      ['qemu-img', 'qemu-io'],
      async () => {
        const image = newImage(32 * mebibyteBytes);
        const volume = server.uri(await server.createVolume('v', 32 * mebibyteBytes));
        await run('qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', image, volume);
        const compare = (uri: string) =>
          runClient('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', image, uri]);
        expect(await compare(volume)).toMatchObject({ code: 0, output: 'Images are identical.\n' });

        const snapshot = server.uri(await server.createSnapshot('s', 'v'));
        await qemuIo(
          volume,
          'write -P 0xab 5M 3M',
          'write -P 0xcd 1001 3003',
          'discard 9M 1M',
          'flush',
        );
        expect((await compare(volume)).code).toBe(1);
        expect(await compare(snapshot)).toMatchObject({ code: 0 });

        const restored = server.uri(await server.createClone('r', 's'));
        expect(await compare(restored)).toMatchObject({ code: 0 });
        await qemuIo(restored, 'write -P 0x11 0 1M');
        expect(await compare(snapshot)).toMatchObject({ code: 0 });
        await qemuIo(volume, 'read -P 0xab 5M 3M', 'read -P 0xcd 1001 3003', 'read -P 0 9M 1M');
      },
    );

    clientTest(
      'map shows what is written and what is a hole',
      ['qemu-img', 'qemu-io'],
      async () => {
        const volume = server.uri(await server.createVolume('v', 16 * mebibyteBytes));
        await qemuIo(volume, 'write -P 1 1M 64k', 'write -P 2 2M 64k', 'write -zu 2M 32k');
        const map = JSON.parse(
          await run('qemu-img', 'map', '--output=json', '-f', 'raw', volume),
        ) as {
          start: number;
          length: number;
          data: boolean;
        }[];
        const data = map
          .filter((extent) => extent.data)
          .map(({ start, length }) => [start, length]);
        expect(data).toEqual([
          [mebibyteBytes, 65536],
          [2 * mebibyteBytes + 32768, 32768],
        ]);
      },
    );

    clientTest('a snapshot cannot be written', ['qemu-io'], async () => {
      await server.createVolume('v', mebibyteBytes);
      const snapshot = server.uri(await server.createSnapshot('s', 'v'));
      const result = await runClient('qemu-io', ['-f', 'raw', '-c', 'write 0 4k', snapshot]);
      expect(result.output).toMatch(/Permission denied|read-only/);
      expect(result.code).not.toBe(0);
      await run('qemu-io', '-r', '-f', 'raw', '-c', 'read -P 0 0 1M', snapshot);
    });
  });

  describe('qemu-io', () => {
    clientTest('any alignment works, with FUA, zeroes and discards', ['qemu-io'], async () => {
      const volume = server.uri(await server.createVolume('v', mebibyteBytes));
      await qemuIo(
        volume,
        'write -P 1 0 1M',
        'write -P 2 4095 2',
        'write -f -P 3 10000 5000',
        'write -z 20001 9000',
        'write -zu 40001 9000',
        'discard 60001 9000',
        'flush',
        'read -P 1 0 4095',
        'read -P 2 4095 2',
        'read -P 1 4097 5903',
        'read -P 3 10000 5000',
        'read -P 1 15000 5001',
        'read -P 0 20001 9000',
        'read -P 1 29001 11000',
        'read -P 0 40001 9000',
        'read -P 1 49001 11000',
        'read -P 1 60001 1000',
        'read -P 0 61440 4096',
        'read -P 1 69001 5000',
      );
    });
  });

  describe('nbdinfo', () => {
    clientTest('lists every export with what it can do', ['nbdinfo'], async () => {
      await server.createVolume('v', mebibyteBytes);
      await server.createSnapshot('s', 'v');
      const uri = `nbd+unix:///?socket=${server.socketPath}`;
      const { exports } = JSON.parse(await run('nbdinfo', '--list', '--json', uri)) as {
        exports: Record<string, unknown>[];
      };
      expect(exports).toHaveLength(2);
      const common = {
        'export-size': mebibyteBytes,
        contexts: ['base:allocation'],
        can_multi_conn: true,
        can_flush: true,
        can_fua: true,
        can_df: true,
        can_cache: false,
        block_size_minimum: 1,
        block_size_preferred: 4096,
        block_size_maximum: 32 * mebibyteBytes,
      };
      expect(exports[0]).toMatchObject({
        ...common,
        'export-name': 'volume/v',
        description: 'Volume v',
        is_read_only: false,
        can_trim: true,
        can_zero: true,
        can_fast_zero: true,
      });
      expect(exports[1]).toMatchObject({
        ...common,
        'export-name': 'snapshot/s',
        description: 'Snapshot s, read-only',
        is_read_only: true,
        can_trim: false,
        can_zero: false,
      });
    });

    clientTest('finds the same exports on loopback', ['nbdinfo', 'qemu-nbd'], async () => {
      await server.createVolume('v', mebibyteBytes);
      expect(await run('nbdinfo', '--size', `${server.tcpUri}/volume/v`)).toBe(
        `${mebibyteBytes}\n`,
      );
      const port = new URL(server.tcpUri).port;
      const list = await run('qemu-nbd', '--list', '--bind', '127.0.0.1', '--port', port);
      expect(list).toMatch(/exports available: 1\n export: 'volume\/v'\n {2}description: Volume v/);
      await until(() => server.connections.connectionCount === 0);
      expect(server.logs).toEqual([]);
    });

    clientTest('maps data and holes', ['nbdinfo', 'qemu-io'], async () => {
      const node = await server.createVolume('v', 64 * mebibyteBytes);
      await qemuIo(server.uri(node), 'write -P 1 1M 64k');
      const map = JSON.parse(await run('nbdinfo', '--map', '--json', server.uri(node))) as unknown;
      const hole = { type: 3, description: 'hole,zero' };
      expect(map).toEqual([
        { offset: 0, length: mebibyteBytes, ...hole },
        { offset: mebibyteBytes, length: 65536, type: 0, description: 'data' },
        { offset: mebibyteBytes + 65536, length: 63 * mebibyteBytes - 65536, ...hole },
      ]);
    });
  });

  describe('nbdcopy', () => {
    clientTest('copies in and out over several connections', ['nbdcopy'], async () => {
      const image = newImage(48 * mebibyteBytes);
      const node = await server.createVolume('v', 48 * mebibyteBytes);
      const copy = join(server.folder, 'copy.raw');
      const options = ['--connections=4', '--requests=64'];
      await run('nbdcopy', '--flush', ...options, image, server.uri(node));
      await run('nbdcopy', ...options, server.uri(node), copy);
      expect(readFileSync(copy).equals(readFileSync(image))).toBe(true);
      expect(server.store.find(node)?.referencedBlocks).toBe((36 * mebibyteBytes) / 4096);
    });
  });

  describe('fio', () => {
    clientTest(
      'reads back what it wrote, in odd sizes, while snapshots come and go',
      ['fio'],
      async () => {
        const node = await server.createVolume('v', 24 * mebibyteBytes);
        const options = ['--ioengine=nbd', `--uri=${server.uri(node)}`, '--rw=randwrite'];
        const verify = [
          '--verify=crc32c',
          '--verify_fatal=1',
          '--do_verify=1',
          '--verify_backlog=64',
        ];
        const sizes = ['--bsrange=512-64k', '--bs_unaligned', '--size=24m', '--iodepth=32'];
        const fio = { isRunning: true };
        const finished = run('fio', '--name=verify', ...options, ...verify, ...sizes).finally(
          () => {
            fio.isRunning = false;
          },
        );
        let cutCount = 0;
        while (fio.isRunning) {
          const snapshot = await server.createSnapshot(`s${cutCount++}`, 'v');
          for (let turn = 0; turn < 200 && fio.isRunning; turn++) await new Promise(setImmediate);
          await server.store.deleteNode(snapshot);
        }
        expect(await finished).toMatch(/err= 0/);
        expect(cutCount).toBeGreaterThan(1);
      },
    );

    clientTest('trims and writes with a flush after every few writes', ['fio'], async () => {
      const node = await server.createVolume('v', 16 * mebibyteBytes);
      const output = await run(
        'fio',
        '--name=trim',
        '--ioengine=nbd',
        `--uri=${server.uri(node)}`,
        '--rw=randtrimwrite',
        '--bs=16k',
        '--size=16m',
        '--iodepth=16',
        '--fsync=8',
      );
      expect(output).toMatch(/err= 0/);
    });
  });

  describe('the end', () => {
    clientTest(
      'a client that is killed in the middle leaves nothing behind',
      ['nbdcopy'],
      async () => {
        const image = newImage(64 * mebibyteBytes);
        const node = await server.createVolume('v', 64 * mebibyteBytes);
        const { child, finished } = startClient(
          'nbdcopy',
          [image, server.uri(node)],
          server.folder,
        );
        await until(() => server.volumes.statistics('volume').read().write.count > 3);
        child.kill('SIGKILL');
        await finished;
        await until(() => server.connections.connectionCount === 0);
        await server.store.deleteNode(node);
      },
    );

    clientTest(
      'a server that stops under load ends its clients, not their data',
      ['fio'],
      async () => {
        const node = await server.createVolume('v', 16 * mebibyteBytes);
        const { finished } = startClient(
          'fio',
          [
            '--name=stopped',
            '--ioengine=nbd',
            `--uri=${server.uri(node)}`,
            '--rw=randwrite',
            '--bs=4k',
            '--size=16m',
            '--iodepth=32',
            '--time_based',
            '--runtime=60',
          ],
          server.folder,
        );
        await until(() => server.volumes.statistics('volume').read().write.count > 100);
        await server.connections.close();
        expect((await finished).code).not.toBe(0);
        expect(server.volumes.openCount(node)).toBe(0);
        expect(server.volumes.statistics('volume').read().write.errorCount).toBe(0);
        await server.store.deleteNode(node);
      },
    );
  });
});
