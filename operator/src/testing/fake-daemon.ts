import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Info } from '@varve/contract/info';
import type { Pool } from '@varve/contract/pool';
import { ProblemError, toProblemDetails } from '@varve/contract/problem';
import type { ProblemKind } from '@varve/contract/problem';

/** Identity of the fake daemon. */
export const fakeInfo: Info = {
  daemonId: '11111111-1111-4111-8111-111111111111',
  name: 'fake',
  version: '0.1.0',
  apiVersions: ['v1'],
  features: [],
  startedAt: '2026-11-24T11:00:00.000Z',
  reactors: [],
  exports: [],
};

/** A pool of the fake daemon. */
export const fakePool: Pool = {
  id: 'fast',
  uuid: '22222222-2222-4222-8222-222222222222',
  labels: {},
  devices: [],
  conditions: [{ type: 'Open', status: 'True', reason: 'Open', message: 'open' }],
  cells: 1,
  sizeBytes: 64 * 1024 ** 3,
  allocatedBytes: 0,
  freeBytes: 64 * 1024 ** 3,
  referencedBytes: 0,
  metadataBytes: 0,
  reservedBytes: 0,
  pendingFreeBytes: 0,
  provisionedBytes: 0,
  volumes: 0,
  snapshots: 0,
};

/** The read-only part of a storage daemon's REST API on a real socket; a test says what it answers. */
export class FakeDaemon {
  info: Info = fakeInfo;
  pools: readonly Pool[] = [fakePool];
  /** Why it is not ready; undefined when it is. */
  notReady: string | undefined;
  /** What callers must show. */
  token: string | undefined;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  /** Where it listens; the same after a restart. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      const isKnown =
        this.token === undefined || request.headers.authorization === `Bearer ${this.token}`;
      if (isKnown) this.#answer(request.url ?? '/', response);
      else refuse(response, 'unauthenticated', 'wrong token');
    });
    server.on('connection', (socket) => this.#sockets.add(socket));
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    for (const socket of this.#sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  }

  #answer(url: string, response: ServerResponse): void {
    const { pathname } = new URL(url, 'http://localhost');
    if (pathname === '/v1/info') send(response, 200, this.info);
    else if (pathname === '/v1/pools') send(response, 200, { items: this.pools });
    else if (pathname !== '/readyz') refuse(response, 'not-found', `no ${pathname}`);
    else if (this.notReady === undefined) send(response, 200, { status: 'ok' });
    else refuse(response, 'unavailable', this.notReady);
  }
}

function refuse(response: ServerResponse, kind: ProblemKind, message: string): void {
  const details = toProblemDetails(new ProblemError(kind, message));
  send(response, details.status, details);
}

function send(response: ServerResponse, statusCode: number, body: unknown): void {
  const type = statusCode < 400 ? 'application/json' : 'application/problem+json';
  response.writeHead(statusCode, { 'content-type': type }).end(JSON.stringify(body));
}
