import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { NbdTestServer } from '@varve/storage-daemon/testing/nbd-test-server';
import { patternBytes } from '../playground/pattern.ts';
import { NbdClient } from './nbd-client.ts';

const mebibyte = 1024 * 1024;

let server: NbdTestServer;

beforeAll(async () => {
  server = await NbdTestServer.start();
  await server.createVolume('disk', 64 * mebibyte);
});

afterAll(async () => {
  await server.close();
});

test('reads what it wrote, of any length and at any offset, also over another connection', async () => {
  const bytes = patternBytes('data', 5 * mebibyte + 4321);
  const writer = await NbdClient.open(server.socketPath, 'volume/disk');
  expect(writer.sizeBytes).toBe(64 * mebibyte);
  await writer.write(12_345, bytes);
  await writer.flush();
  const reader = await NbdClient.open(server.socketPath, 'volume/disk');
  expect((await reader.read(12_345, bytes.length)).equals(bytes)).toBe(true);
  expect((await reader.read(0, 12_345)).every((byte) => byte === 0)).toBe(true);
  await Promise.all([writer.close(), reader.close()]);
});

test('a snapshot can be read and not written', async () => {
  await server.createSnapshot('cut', 'disk');
  const client = await NbdClient.open(server.socketPath, 'snapshot/cut');
  await client.read(0, 4096);
  await expect(client.write(0, Buffer.alloc(4096))).rejects.toThrow('answered with error 1');
  await client.close();
});

test('an export that is not there is refused with its name', async () => {
  await expect(NbdClient.open(server.socketPath, 'volume/absent')).rejects.toThrow(
    'Cannot open the NBD export "volume/absent"',
  );
  await expect(NbdClient.open(join(server.folder, 'nowhere.sock'), 'x')).rejects.toThrow('ENOENT');
});

test('a server that goes away fails what is under way, and what is asked later', async () => {
  const path = join(server.folder, 'fake.sock');
  const greeting = Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT'), Buffer.from([0, 3])]);
  const info = Buffer.alloc(20 + 12);
  info.writeBigUInt64BE(0x0003e889045565a9n, 0);
  info.writeUInt32BE(7, 8);
  info.writeUInt32BE(3, 12);
  info.writeUInt32BE(12, 16);
  info.writeBigUInt64BE(BigInt(mebibyte), 22);
  const ack = Buffer.alloc(20);
  ack.writeBigUInt64BE(0x0003e889045565a9n, 0);
  ack.writeUInt32BE(7, 8);
  ack.writeUInt32BE(1, 12);
  const fake = createServer((socket) => {
    socket.write(greeting);
    socket.once('data', () => {
      socket.write(Buffer.concat([info, ack]));
      // The next bytes are a request, which is answered by hanging up.
      socket.once('data', () => socket.destroy());
    });
  });
  await new Promise<void>((resolve) => fake.listen(path, resolve));
  const client = await NbdClient.open(path, 'any');
  expect(client.sizeBytes).toBe(mebibyte);
  await expect(client.read(0, 4096)).rejects.toThrow('closed the connection');
  await expect(client.flush()).rejects.toThrow('closed the connection');
  await client.close();
  await new Promise<void>((resolve) => fake.close(() => resolve()));
});

test('a server that does not speak NBD is told apart', async () => {
  const path = join(server.folder, 'other.sock');
  const other = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await new Promise<void>((resolve) => other.listen(path, resolve));
  await expect(NbdClient.open(path, 'any')).rejects.toThrow('does not speak NBD');
  await new Promise<void>((resolve) => other.close(() => resolve()));
});
