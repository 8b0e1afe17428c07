import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';

import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';

import {
  nbdBytesInFlightMax,
  nbdConnectionsMax,
  nbdHandshakeTimeoutMs,
  nbdOutputBytesMax,
  nbdOutputStallTimeoutMs,
  nbdPayloadBytesMax,
} from '../limits.ts';
import {
  NbdReplyReader,
  pack,
  packInfoRequest,
  packOption,
  packRequest,
} from '../testing/nbd-messages.ts';
import { NbdTestServer, testTransports, type TestTransport } from '../testing/nbd-test-server.ts';
import { Connections } from './connections.ts';

const command = { read: 0, write: 1, disconnect: 2, flush: 3 };
const ENOSPC = 28;
const ESHUTDOWN = 108;

let server: NbdTestServer;
let sockets: Socket[];

let transport: TestTransport = 'node';

beforeEach(async () => {
  server = await NbdTestServer.start(transport);
  sockets = [];
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await server.close();
});

/** A client that speaks bytes. */
class RawClient {
  readonly socket: Socket;
  readonly #reader = new NbdReplyReader();

  constructor(path = server.socketPath) {
    this.socket = connect({ path, allowHalfOpen: true });
    this.socket.on('error', () => {});
    sockets.push(this.socket);
  }

  static async opened(name: string): Promise<RawClient> {
    const client = new RawClient();
    client.socket.write(pack([4, 3], packOption(7, packInfoRequest(name))));
    await client.#takeWhen(() => client.#reader.restBytes >= 18);
    client.#reader.take(18);
    let reply = client.#reader.tryOptionReply();
    while (reply?.reply !== 1) {
      if (reply && reply.reply >= 0x80000000) throw new Error(reply.data.toString());
      if (!reply) client.#reader.push(await client.#next());
      reply = client.#reader.tryOptionReply();
    }
    return client;
  }

  send(fields: Parameters<typeof packRequest>[0], payload?: Uint8Array): void {
    this.socket.write(packRequest(fields, payload));
  }

  /** The error of the next simple reply; undefined when the server has closed the connection. */
  async reply(readBytes = 0): Promise<number | undefined> {
    for (;;) {
      const reply = this.#reader.tryReply(() => readBytes);
      if (reply?.kind === 'simple') return reply.error;
      const bytes = await this.#next();
      if (bytes.length === 0) return undefined;
      this.#reader.push(bytes);
    }
  }

  async #takeWhen(isEnough: () => boolean): Promise<void> {
    while (!isEnough()) this.#reader.push(await this.#next());
  }

  /** The next bytes; none at the end. */
  async #next(): Promise<Buffer> {
    for (;;) {
      const bytes = this.socket.read() as Buffer | null;
      if (bytes) return bytes;
      if (this.socket.readableEnded || this.socket.destroyed) return Buffer.alloc(0);
      const ending = new AbortController();
      const events = ['readable', 'end', 'close'].map((event) =>
        once(this.socket, event, { signal: ending.signal }).catch(() => {}),
      );
      await Promise.race(events);
      ending.abort();
    }
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate);
}

describe.each(testTransports)('by %s', (each) => {
  beforeAll(() => {
    transport = each;
  });

  describe('Connections', () => {
    test("several connections of one export see each other's writes", async () => {
      const node = await server.createVolume('v', 1024 * 1024);
      const [a, b] = await Promise.all([
        RawClient.opened('volume/v'),
        RawClient.opened('volume/v'),
      ]);
      expect(server.volumes.openCount(node)).toBe(2);
      expect(server.connections.connectionCount).toBe(2);
      a.send({ command: command.write, offset: 5 }, Buffer.from('abc'));
      expect(await a.reply()).toBe(0);
      b.send({ command: command.flush });
      expect(await b.reply()).toBe(0);
      a.send({ command: command.disconnect });
      expect(await a.reply()).toBeUndefined();
      a.socket.end();
      await until(() => server.connections.connectionCount === 1);
      expect(server.volumes.openCount(node)).toBe(1);
    });

    test('a volume that grows takes I/O beyond its old end at once', async () => {
      await server.createVolume('v', 1024 * 1024);
      const client = await RawClient.opened('volume/v');
      const beyond = { command: command.write, offset: 1024 * 1024 };
      client.send(beyond, Buffer.alloc(4096, 1));
      expect(await client.reply()).toBe(ENOSPC);
      await server.store.resize('v', 512);
      client.send(beyond, Buffer.alloc(4096, 1));
      expect(await client.reply()).toBe(0);
    });

    test('a client that stops sending still gets all answers', async () => {
      await server.createVolume('v', 1024 * 1024);
      const client = await RawClient.opened('volume/v');
      for (let index = 0; index < 20; index++) {
        client.send({ command: command.write, offset: index }, Buffer.of(index));
      }
      client.socket.end();
      for (let index = 0; index < 20; index++) expect(await client.reply()).toBe(0);
      expect(await client.reply()).toBeUndefined();
      await until(() => server.connections.connectionCount === 0);
    });

    test('a client that reads nothing stops the server from working for it, and gets everything later', async () => {
      await server.createVolume('v', nbdPayloadBytesMax);
      const client = await RawClient.opened('volume/v');
      const length = 1024 * 1024;
      const count = 64;
      for (let index = 0; index < count; index++) client.send({ command: command.read, length });
      const readBytes = () => server.volumes.statistics('volume').read().read.bytes;
      // The count stands still once the socket is full.
      let before = -1;
      while (readBytes() !== before || before < length) {
        before = readBytes();
        for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
      }
      const kernelBytes = 8 * 1024 * 1024;
      expect(before).toBeLessThan(nbdBytesInFlightMax + nbdOutputBytesMax + length + kernelBytes);
      for (let index = 0; index < count; index++) expect(await client.reply(length)).toBe(0);
      expect(readBytes()).toBe(count * length);
    });

    test('requests under way are answered when the volume is taken away, later ones are not', async () => {
      const node = await server.createVolume('v', 1024 * 1024);
      const client = await RawClient.opened('volume/v');
      client.send({ command: command.write }, Buffer.alloc(4096));
      expect(await client.reply()).toBe(0);
      const options = { reason: 'it is being reverted', evictUsers: true };
      const reservation = await server.volumes.reserve(node, options);
      client.send({ command: command.flush });
      expect([undefined, ESHUTDOWN]).toContain(await client.reply());
      await server.store.deleteNode(node);
      reservation.release();
      await expect(RawClient.opened('volume/v')).rejects.toThrow(
        'There is no export "volume/v"; names are volume/<id> and snapshot/<id>',
      );
    });

    test('an export that is reserved, unnamed or not there is refused with a sentence', async () => {
      const node = await server.createVolume('v', 1024 * 1024);
      const options = { reason: 'it is being deleted', evictUsers: false };
      const reservation = await server.volumes.reserve(node, options);
      await expect(RawClient.opened('volume/v')).rejects.toThrow(
        'Open volume/v: it is being deleted',
      );
      reservation.release();
      await expect(RawClient.opened('')).rejects.toThrow(/There is no default export/);
      await expect(RawClient.opened('snapshot/v')).rejects.toThrow(
        /There is no export "snapshot\/v"/,
      );
      await expect(RawClient.opened('volume/../v')).rejects.toThrow(/There is no export/);
    });

    test('close answers what was sent, ends connections in every phase, and removes the socket', async () => {
      await server.createVolume('v', 1024 * 1024);
      const greeted = new RawClient();
      const client = await RawClient.opened('volume/v');
      client.send({ command: command.write }, Buffer.alloc(100_000, 1));
      await until(() => server.volumes.statistics('volume').read().write.count === 1);
      const closed = server.connections.close();
      expect(await client.reply()).toBe(0);
      expect(await client.reply()).toBeUndefined();
      client.socket.end();
      greeted.socket.end();
      await closed;
      expect(existsSync(server.socketPath)).toBe(false);
      await server.connections.close();
    });

    test('a violation ends the connection and says so in the log', async () => {
      await server.createVolume('v', 1024 * 1024);
      const client = await RawClient.opened('volume/v');
      client.socket.write(Buffer.alloc(28));
      expect(await client.reply()).toBeUndefined();
      await until(() => server.connections.connectionCount === 0);
      expect(server.logs).toEqual(['NBD client broke the protocol, disconnecting']);
    });
  });

  describe('Connections, time and number', () => {
    beforeEach(() => {
      jest.useFakeTimers({
        doNotFake: ['setImmediate', 'nextTick', 'performance', 'queueMicrotask'],
      });
    });

    afterEach(() => {
      jest.useRealTimers();
    });

    test('a client that opens no export in time is disconnected, one that did stays', async () => {
      await server.createVolume('v', 1024 * 1024);
      const idle = new RawClient();
      const client = await RawClient.opened('volume/v');
      await until(() => server.connections.connectionCount === 2);
      jest.advanceTimersByTime(nbdHandshakeTimeoutMs);
      await until(() => server.connections.connectionCount === 1);
      idle.socket.resume();
      await once(idle.socket, 'end');
      client.send({ command: command.flush });
      expect(await client.reply()).toBe(0);
      expect(server.logs).toEqual(['NBD client opened no export in time, disconnecting']);
    });

    test('a client that takes nothing for too long is disconnected', async () => {
      await server.createVolume('v', nbdPayloadBytesMax);
      const idle = await RawClient.opened('volume/v');
      const client = await RawClient.opened('volume/v');
      for (let index = 0; index < 3; index++) {
        client.send({ command: command.read, length: nbdPayloadBytesMax });
      }
      await until(() => {
        jest.advanceTimersByTime(nbdOutputStallTimeoutMs);
        return server.connections.connectionCount < 2;
      });
      expect(server.logs).toEqual(['NBD client takes no replies, disconnecting']);
      idle.send({ command: command.flush });
      expect(await idle.reply()).toBe(0);
    });

    test('connections beyond the bound are refused until one ends', async () => {
      const clients: RawClient[] = [];
      while (clients.length < nbdConnectionsMax) {
        clients.push(new RawClient());
        // One after the other: a burst beyond the backlog is refused by the kernel already.
        await until(() => server.connections.connectionCount === clients.length);
      }
      const refused = new RawClient();
      refused.socket.resume();
      await once(refused.socket, 'end');
      expect(server.connections.connectionCount).toBe(nbdConnectionsMax);
      expect(server.logs).toEqual(['NBD connections refused']);
      clients[0]!.socket.destroy();
      await until(() => server.connections.connectionCount === nbdConnectionsMax - 1);
      await server.createVolume('v', 4096);
      await RawClient.opened('volume/v');
    });
  });
});

describe('Connections.listen()', () => {
  const newConnections = () => new Connections({ volumes: server.volumes, log: () => {} });

  test("answers where clients connect; the unix socket is the owner's alone", async () => {
    const path = join(server.folder, 'second socket');
    const connections = newConnections();
    const exports = await connections.listen([
      { kind: 'unix', path },
      { kind: 'tcp', host: '127.0.0.1', port: 0 },
    ]);
    expect(exports[0]).toEqual({
      protocol: 'nbd',
      uri: `nbd+unix:///?socket=${server.folder}/second%20socket`,
    });
    expect(exports[1]!.uri).toMatch(/^nbd:\/\/127\.0\.0\.1:\d{4,5}$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await connections.close();
  });

  test('takes over the socket of a daemon that is gone, not of one that lives', async () => {
    const path = join(server.folder, 'other.sock');
    await expect(
      newConnections().listen([{ kind: 'unix', path: server.socketPath }]),
    ).rejects.toMatchObject({
      kind: 'in-use',
      message: `Listen for NBD on "${server.socketPath}": another process listens there`,
    });
    writeFileSync(path, 'not a socket');
    await expect(newConnections().listen([{ kind: 'unix', path }])).rejects.toMatchObject({
      kind: 'failed-precondition',
    });
    const stale = join(server.folder, 'stale.sock');
    await leaveStaleSocket(stale);
    const connections = newConnections();
    await connections.listen([{ kind: 'unix', path: stale }]);
    await connections.close();
  });

  test.each([
    [
      'every address of the machine',
      { kind: 'tcp', host: '0.0.0.0', port: 0 },
      /only a unix socket, 127/,
    ],
    [
      "another machine's name",
      { kind: 'tcp', host: 'example.org', port: 0 },
      /only a unix socket, 127/,
    ],
    ['a path that is too long', { kind: 'unix', path: `/tmp/${'x'.repeat(110)}` }, /has 115 bytes/],
    [
      'a folder that does not exist',
      { kind: 'unix', path: '/nonexistent/x.sock' },
      /ENOENT|EACCES/,
    ],
  ] as const)('refuses %s', async (_what, address, message) => {
    await expect(newConnections().listen([address])).rejects.toThrow(message);
  });

  test('names a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    await expect(
      newConnections().listen([{ kind: 'tcp', host: '127.0.0.1', port }]),
    ).rejects.toMatchObject({
      kind: 'in-use',
      message: `Listen for NBD on "127.0.0.1:${port}": EADDRINUSE`,
    });
    other.close();
  });
});

/** A socket file that nobody listens on: what a killed daemon leaves. */
async function leaveStaleSocket(path: string): Promise<void> {
  const { renameSync } = await import('node:fs');
  const dead = createServer().listen(`${path}.dead`);
  await once(dead, 'listening');
  renameSync(`${path}.dead`, path);
  dead.close();
  await once(dead, 'close');
}
