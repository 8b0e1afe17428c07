/** A reader that does not read must not fill our memory, and must learn what it missed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { systemClock } from '@varve/common/clock';
import { silentLogger } from '@varve/common/logger';
import { DaemonClient } from '@varve/contract/client/daemon-client';
import type { FastifyInstance } from 'fastify';

import { DaemonMetrics } from '../daemon/daemon-metrics.ts';
import { EventHub } from '../daemon/event-hub.ts';
import { createHttpServer } from './http-server.ts';
import type { HttpServices } from './http-services.ts';
import { listen } from './listen.ts';

let folder: string;
let path: string;
let events: EventHub;
let stopping: AbortController;
let server: FastifyInstance;
const sockets: Socket[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-events-'));
  path = join(folder, 'socket');
  const logger = silentLogger();
  events = new EventHub({ clock: systemClock, logger });
  stopping = new AbortController();
  // The event stream needs no more of the daemon.
  const services = { events, logger, metrics: new DaemonMetrics('1'), stopping: stopping.signal };
  const options = { version: '1', tls: undefined, authenticator: undefined };
  server = await createHttpServer(options, services as unknown as HttpServices);
  await listen(server, { kind: 'unix', path });
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  stopping.abort();
  await server.close();
  rmSync(folder, { recursive: true });
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

/** Opens a stream by hand, and does not read from it. */
async function openSilently(): Promise<Socket> {
  const count = events.listenerCount;
  const socket = connect(path);
  socket.pause();
  socket.write('GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n');
  sockets.push(socket);
  await until(() => events.listenerCount > count);
  return socket;
}

function publish(count: number): void {
  for (let left = count; left > 0; left--) {
    events.publish({ type: 'volume-changed', object: 'volume/a', message: 'x'.repeat(1000) });
  }
}

describe('the event stream', () => {
  test('drops events for a reader that does not read, and tells it so when it does', async () => {
    const socket = await openSilently();
    publish(50_000);
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.resume();
    await until(() => text.length > 100_000 && socket.readableLength === 0);
    // The next event that fits again comes with the news.
    while (!text.includes('"type":"overflow"')) {
      publish(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const sequences = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(sequences.length).toBeLessThan(2000);
    expect(sequences.at(-1)).toBeGreaterThan(50_000);
  });

  test('forgets a reader that went away', async () => {
    const socket = await openSilently();
    socket.destroy();
    await until(() => events.listenerCount === 0);
    publish(10);
  });

  test('is refused beyond the bound, with the time to come back', async () => {
    for (let count = 0; count < 64; count++) await openSilently();
    const client = new DaemonClient({ endpoint: `unix://${path}` });
    await expect(client.events().next()).rejects.toMatchObject({
      kind: 'too-many-requests',
      retryAfterSeconds: 10,
    });
    await client.destroy();
  });

  test('ends when the daemon begins to stop', async () => {
    const client = new DaemonClient({ endpoint: `unix://${path}` });
    const next = client.events().next();
    await until(() => events.listenerCount === 1);
    stopping.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    await client.destroy();
  });
});
