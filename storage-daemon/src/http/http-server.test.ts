/** Time limits of the server. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

import { silentLogger } from '@varve/common/logger';
import { DaemonClient } from '@varve/contract/client/daemon-client';

import { DaemonMetrics } from '../daemon/daemon-metrics.ts';
import { createHttpServer } from './http-server.ts';
import type { HttpServices } from './http-services.ts';
import { listen } from './listen.ts';

test('a call that takes too long is answered with deadline-exceeded, and goes on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'varve-http-'));
  const { promise, resolve } = Promise.withResolvers<never[]>();
  const services = {
    logger: silentLogger(),
    metrics: new DaemonMetrics('1'),
    pools: { list: () => promise },
    stopping: new AbortController().signal,
  };
  const options = { version: '1', tls: undefined, authenticator: undefined, handlerTimeoutMs: 20 };
  const server = await createHttpServer(options, services as unknown as HttpServices);
  const endpoint = await listen(server, { kind: 'unix', path: join(folder, 'socket') });
  const client = new DaemonClient({ endpoint });
  await expect(client.listPools()).rejects.toMatchObject({
    kind: 'deadline-exceeded',
    message: expect.stringContaining('it goes on, and the same call again finds its result'),
  });
  resolve([]);
  expect(await client.listPools()).toEqual({ items: [] });
  await client.destroy();
  await server.close();
  rmSync(folder, { recursive: true });
});
