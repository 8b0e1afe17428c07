import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { formatDhchapSecret } from '../../nvmf/auth/dhchap-secret.ts';
import { encodeCapsule } from '../../testing/nvme-initiator/host-pdu.ts';
import { testTransports } from '../../testing/nbd-test-server.ts';
import { NvmeInitiator } from '../../testing/nvme-initiator/nvme-initiator.ts';
import { NvmeTestServer, testHostNqn } from '../../testing/nvme/test-server.ts';

const blockBytes = 4096;
const mebibyte = 1024 * 1024;
let server: NvmeTestServer;

afterEach(async () => {
  await server.close();
});

function pattern(lengthBytes: number, seed: number): Buffer {
  return Buffer.from(Array.from({ length: lengthBytes }, (_, index) => (index * 7 + seed) & 0xff));
}

describe.each(testTransports)('by %s', (transport) => {
  beforeEach(async () => {
    server = await NvmeTestServer.start(transport);
  });

  test('a host discovers its volume, connects, writes and reads back', async () => {
    const nqn = await server.createVolume('a', 16 * mebibyte);
    await server.createVolume('b', mebibyte);
    server.grants.delete(`b ${testHostNqn}`);
    const found = await NvmeInitiator.discover(server.hostOptions);
    expect(found).toEqual([{ nqn, address: '127.0.0.1', port: server.port }]);

    const host = await server.connect(nqn, { ioQueues: 2 });
    expect(await host.sizeBlocks()).toBe((16 * mebibyte) / blockBytes);
    const small = pattern(blockBytes, 1);
    const large = pattern(mebibyte, 2);
    await host.write(0, small);
    await host.write(256, large, { queue: 1 });
    await host.write(7, small, { fua: true });
    await host.flush();
    expect((await host.read(0, 1, 1)).equals(small)).toBe(true);
    expect((await host.read(256, 256)).equals(large)).toBe(true);
    expect((await host.read(7, 1)).equals(small)).toBe(true);
    expect((await host.read(8, 1)).every((byte) => byte === 0)).toBe(true);
    await host.verify(0, 256);
    expect(await host.compare(7, small)).toBe(true);
    expect(await host.compare(8, small)).toBe(false);
    await host.close();
    await server.server.close();
    expect(server.volumes.openCount({ kind: 'volume', name: 'a' })).toBe(0);
  });

  test('zeroed and deallocated blocks read as zeros and are given back', async () => {
    const nqn = await server.createVolume('a', 4 * mebibyte);
    const host = await server.connect(nqn);
    const referenced = () => server.store.find({ kind: 'volume', name: 'a' })!.referencedBlocks;
    await host.write(0, pattern(mebibyte, 3));
    const whole = referenced();
    await host.writeZeroes(0, 64);
    await host.deallocate([
      [64, 32],
      [100, 28],
    ]);
    const content = await host.read(0, 256);
    const isZero = (from: number, to: number) =>
      content.subarray(from * blockBytes, to * blockBytes).every((byte) => byte === 0);
    expect([isZero(0, 96), isZero(96, 100), isZero(100, 128)]).toEqual([true, false, true]);
    // Whole clusters; what is freed of a part of one may stay with it as slack.
    expect(whole - referenced()).toBe(64 + 32 + 16);
  });

  test.each([{ hasNoSqFlow: false }, { hasNoSqFlow: true }])(
    'digests on everything, %p',
    async ({ hasNoSqFlow }) => {
      const nqn = await server.createVolume('a', 4 * mebibyte);
      const digests = { header: true, data: true };
      const host = await server.connect(nqn, { digests, hasNoSqFlow });
      const data = pattern(65_536, 5);
      await host.write(3, data);
      await host.write(100, data.subarray(0, blockBytes));
      expect((await host.read(3, 16)).equals(data)).toBe(true);
      expect((await host.read(100, 1)).equals(data.subarray(0, blockBytes))).toBe(true);
    },
  );

  test('a resize is told to the host, once until it has looked', async () => {
    const nqn = await server.createVolume('a', 4 * mebibyte);
    const host = await server.connect(nqn);
    await host.setFeature(0x0b, 0x100);
    const event = host.nextEvent();
    const node = { kind: 'volume', name: 'a' } as const;
    await server.store.resize('a', (8 * mebibyte) / blockBytes);
    server.server.volumeResized(node);
    server.server.volumeResized(node);
    expect(await event).toBe(0x0004_0002);
    expect(await host.sizeBlocks()).toBe((8 * mebibyte) / blockBytes);
    const next = host.nextEvent();
    const log = await host.readLog(0x04, 4096);
    expect(log.readUInt32LE(0)).toBe(1);
    expect((await host.readLog(0x04, 4096)).readUInt32LE(0)).toBe(0);
    await host.write(2047, pattern(blockBytes, 1));
    await server.store.resize('a', (12 * mebibyte) / blockBytes);
    server.server.volumeResized(node);
    expect(await next).toBe(0x0004_0002);
  });

  test('hosts without a grant, and names that are none, are refused', async () => {
    const nqn = await server.createVolume('a', mebibyte);
    const hostNqn = 'nqn.2014-08.org.nvmexpress:uuid:7a1f6c1e-0000-4000-8000-000000000002';
    await expect(server.connect(nqn, { hostNqn })).rejects.toMatchObject({
      status: 0x184,
      mayRetry: false,
    });
    await expect(server.connect(`${nqn.slice(0, -1)}x`)).rejects.toMatchObject({ status: 0x182 });
    expect(await NvmeInitiator.discover({ ...server.hostOptions, hostNqn })).toEqual([]);
  });

  test('a revoke closes connections, and answers when nothing of the host runs any more', async () => {
    const nqn = await server.createVolume('a', 4 * mebibyte);
    const host = await server.connect(nqn, { ioQueues: 2 });
    const writes = Array.from({ length: 32 }, (_, index) =>
      host.write(index * 8, pattern(32_768, index), { queue: index % 2 }).catch(() => 'failed'),
    );
    server.grants.delete(`a ${testHostNqn}`);
    await server.server.fence('a', testHostNqn);
    expect(server.volumes.openCount({ kind: 'volume', name: 'a' })).toBe(0);
    await Promise.all(writes);
    await Promise.all([host.admin.closed, ...host.io.map(({ closed }) => closed)]);
    await expect(host.read(0, 1)).rejects.toThrow('closed');
    await expect(server.connect(nqn)).rejects.toMatchObject({ status: 0x184 });
  });

  test('a revoke does not wait for the rate of writes that it takes away', async () => {
    const nqn = await server.createVolume('a', 4 * mebibyte);
    const host = await server.connect(nqn);
    const node = { kind: 'volume', name: 'a' } as const;
    const before = await host.read(0, 64);
    // 64 writes would take more than ten minutes.
    server.volumes.setLimits(node, { writeIops: 0.1 });
    const writes = Array.from({ length: 64 }, (_, index) =>
      host.write(index, pattern(blockBytes, 1)).catch(() => 'failed'),
    );
    // An answer to a command that came behind them, and to the one that needed not wait.
    await Promise.all([writes[0], host.flush()]);
    server.grants.delete(`a ${testHostNqn}`);
    await server.server.fence('a', testHostNqn);
    expect((await Promise.all(writes)).filter((answer) => answer === 'failed').length).toBe(63);
    // What waited was never written.
    server.volumes.setLimits(node, {});
    server.grants.set(`a ${testHostNqn}`, {});
    const after = await (await server.connect(nqn)).read(0, 64);
    expect(after.subarray(blockBytes).equals(before.subarray(blockBytes))).toBe(true);
  });

  test('a silent host loses its controller, one that speaks keeps it', async () => {
    const nqn = await server.createVolume('a', mebibyte);
    const host = await server.connect(nqn, { keepAliveMs: 0 });
    await host.setFeature(0x0f, 1000);
    const startMs = performance.now();
    // Sweeps of a clock of our own: each a second later than the one before.
    for (let second = 1; second <= 5; second++) {
      await host.admin.command({ opcode: 0x18 });
      server.server.sweep(startMs + second * 1000);
    }
    expect(server.server.controllerCount).toBe(1);
    for (let second = 6; second <= 9; second++) server.server.sweep(startMs + second * 1000);
    await host.admin.closed;
    await Promise.all(host.io.map(({ closed }) => closed));
    expect(server.server.controllerCount).toBe(0);
    expect(server.logs).toContain('NVMe host is silent, ending its controller');
    expect(server.server.counters.keepAliveTimeouts).toBe(1);
  });

  test('commands, answers and errors are counted', async () => {
    const nqn = await server.createVolume('a', mebibyte);
    const before = server.server.counters;
    const digests = { header: true, data: true };
    const host = await server.connect(nqn, { digests });
    const connected = server.server.counters;
    await host.write(0, pattern(65_536, 1));
    await host.read(0, 1);
    await expect(host.read(256, 1)).rejects.toMatchObject({ status: 0x80 });
    const bad = encodeCapsule(
      { opcode: 0x01, commandId: 0, nsid: 1, data: pattern(blockBytes, 1) },
      digests,
    );
    bad[bad.length - 1]! ^= 1;
    host.io[0]!.sendRaw(bad);
    // The completion of a command that it did not send is too much for this host.
    await host.io[0]!.closed;
    const after = server.server.counters;
    expect([before.controllers, connected.controllers, connected.connections]).toEqual([0, 1, 2]);
    expect(after.commands.io - connected.commands.io).toBe(4);
    expect(after.dataRequests).toBe(1);
    expect([after.headerDigestErrors, after.dataDigestErrors]).toEqual([0, 1]);
    expect(after.statuses).toMatchObject({ LBA_OUT_OF_RANGE: 1, TRANSIENT_TRANSPORT_ERROR: 1 });
  });

  test('a connection that says nothing is closed', async () => {
    const { QueuePair } = await import('../../testing/nvme-initiator/queue-pair.ts');
    const pair = await QueuePair.open(server.hostOptions);
    const startMs = performance.now();
    server.server.sweep(startMs);
    server.server.sweep(startMs + 31_000);
    await pair.closed;
    expect(server.logs).toContain('NVMe host takes too long, disconnecting');
  });

  test('a host that takes nothing is held back, then dropped, and nothing of it stays', async () => {
    const nqn = await server.createVolume('a', 16 * mebibyte);
    const host = await server.connect(nqn);
    await host.write(0, pattern(mebibyte, 1));
    const queue = host.io[0]!;
    queue.pauseReading();
    const reads = Array.from({ length: 64 }, () => host.read(0, 256).catch(() => 'failed'));
    await host.admin.command({ opcode: 0x18 });
    // Sweeps of a clock of our own, all of them behind what the host has sent; its admin queue speaks meanwhile.
    const startMs = performance.now();
    const isDropped = () => server.logs.includes('NVMe host takes too long, disconnecting');
    // Its buffers fill first, which counts as progress.
    for (let second = 1; second <= 500 && !isDropped(); second++) {
      await host.admin.command({ opcode: 0x18 });
      server.server.sweep(startMs + second * 1000);
    }
    expect(isDropped()).toBe(true);
    await server.server.fence('a', testHostNqn);
    queue.resumeReading();
    await Promise.all(reads);
    await queue.closed;
    expect(server.volumes.openCount({ kind: 'volume', name: 'a' })).toBe(0);
  });

  test('a connection cut in the middle of a long write leaves nothing, and writes nothing', async () => {
    const nqn = await server.createVolume('a', 4 * mebibyte);
    for (let round = 0; round < 4; round++) {
      const host = await server.connect(nqn);
      const writes = Array.from({ length: 8 }, (_, index) =>
        host.write(index * 64, pattern(262_144, round)).catch(() => 'failed'),
      );
      await host.flush();
      await host.abandon();
      await Promise.all(writes);
    }
    await server.server.fence('a', testHostNqn);
    expect(server.volumes.openCount({ kind: 'volume', name: 'a' })).toBe(0);
    expect(server.server.dataBytes).toBe(0);
  });

  test('secrets: the host proves itself on each queue, and the controller to the host', async () => {
    const secret = { hash: undefined, key: Buffer.alloc(32, 1) };
    const controllerSecret = { hash: undefined, key: Buffer.alloc(48, 2) };
    const nqn = await server.createVolume('a', mebibyte, {
      secret: formatDhchapSecret(secret),
      controllerSecret: formatDhchapSecret(controllerSecret),
    });
    await expect(server.connect(nqn)).rejects.toThrow('authentication');
    const wrong = { hash: undefined, key: Buffer.alloc(32, 9) };
    await expect(server.connect(nqn, { secret: wrong })).rejects.toThrow('authentication failed');
    await expect(server.connect(nqn, { secret, controllerSecret: wrong })).rejects.toThrow(
      'authentication failed',
    );
    const host = await server.connect(nqn, { secret, controllerSecret, ioQueues: 2 });
    await host.write(0, pattern(blockBytes, 1), { queue: 1 });
    expect((await host.read(0, 1)).equals(pattern(blockBytes, 1))).toBe(true);
  });
});
