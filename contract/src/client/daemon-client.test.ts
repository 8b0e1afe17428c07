/**
 * The client against a server that misbehaves on cue. Its agreement with the real daemon is tested in the
 * storage daemon.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { toProblemDetails, ProblemError } from '../problem.ts';
import { DaemonClient, type DaemonClientOptions } from './daemon-client.ts';

let server: Server;
let answer: RequestListener;
let seen: IncomingMessage[];
let clients: DaemonClient[];

beforeEach(async () => {
  seen = [];
  clients = [];
  answer = (_, response) => response.end('{"status":"ok"}');
  server = createServer((request, response) => {
    seen.push(request);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  await Promise.all(clients.map((each) => each.destroy()));
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function client(options: Partial<DaemonClientOptions> = {}): DaemonClient {
  const { port } = server.address() as AddressInfo;
  const made = new DaemonClient({ endpoint: `http://127.0.0.1:${port}`, ...options });
  clients.push(made);
  return made;
}

function reset(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
}

function answerProblem(response: ServerResponse, error: ProblemError): void {
  const details = toProblemDetails(error);
  response.writeHead(details.status, { 'content-type': 'application/problem+json' });
  response.end(JSON.stringify(details));
}

describe('DaemonClient', () => {
  test('sends token, user agent and trace context', async () => {
    await client({ token: 'secret', userAgent: 'varve-operator/1' }).getHealth({
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
    expect(seen[0]?.headers).toMatchObject({
      authorization: 'Bearer secret',
      'user-agent': 'varve-operator/1',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
  });

  test('escapes ids and repeats list parameters', async () => {
    answer = (_, response) => response.end('{"items":[]}');
    await client().listVolumes({ limit: 7, label: ['a=b&c', 'd'], pool: undefined });
    expect(seen[0]?.url).toBe('/v1/volumes?limit=7&label=a%3Db%26c&label=d');
    answer = (_, response) => answerProblem(response, new ProblemError('not-found', 'none'));
    await expect(client().getVolume('../x?y')).rejects.toMatchObject({ kind: 'not-found' });
    expect(seen[1]?.url).toBe('/v1/volumes/..%2Fx%3Fy');
  });

  test('turns problem details into a ProblemError and does not send again', async () => {
    answer = (_, response) =>
      answerProblem(
        response,
        new ProblemError('unavailable', 'The daemon is starting', { retryAfterSeconds: 2 }),
      );
    await expect(client().getReadiness()).rejects.toMatchObject({
      name: 'ProblemError',
      kind: 'unavailable',
      message: 'The daemon is starting',
      retryAfterSeconds: 2,
    });
    expect(seen).toHaveLength(1);
  });

  test('sends again when the connection is lost without an answer', async () => {
    answer = (_, response) => {
      if (seen.length < 3) reset(response);
      else response.writeHead(204).end();
    };
    await client().deleteVolume('a');
    expect(seen).toHaveLength(3);
  });

  test('gives up as unavailable after three sends', async () => {
    answer = (_, response) => reset(response);
    await expect(client().deleteVolume('a')).rejects.toMatchObject({ kind: 'unavailable' });
    expect(seen).toHaveLength(3);
  });

  test('reports a daemon that is not there as unavailable, with the address', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'varve-'));
    const endpoint = `unix://${folder}/absent.sock`;
    const error: unknown = await client({ endpoint })
      .getInfo()
      .catch((each: unknown) => each);
    expect(error).toMatchObject({ kind: 'unavailable' });
    expect((error as ProblemError).message).toBe(
      `GET /v1/info failed: the daemon at ${endpoint} cannot be reached (ENOENT)`,
    );
    rmSync(folder, { recursive: true });
  });

  test('reports no answer in time as deadline-exceeded', async () => {
    answer = () => undefined;
    await expect(client({ timeoutMs: 50 }).getInfo()).rejects.toMatchObject({
      kind: 'deadline-exceeded',
    });
    await expect(client().getInfo({ timeoutMs: 50 })).rejects.toMatchObject({
      kind: 'deadline-exceeded',
    });
  });

  test("throws the reason of the caller's signal, before and during a call", async () => {
    const reason = new Error('shutting down');
    await expect(client().getHealth({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(seen).toHaveLength(0);
    const controller = new AbortController();
    answer = () => controller.abort(reason);
    await expect(client().getHealth({ signal: controller.signal })).rejects.toBe(reason);
    expect(seen).toHaveLength(1);
  });

  test.each([
    ['no JSON', 200, 'hello', 'internal'],
    ['JSON of another shape', 200, '{"status":"fine"}', 'internal'],
    ['an error page', 500, '<html>', 'internal'],
    ['a proxy without its daemon', 502, 'Bad gateway', 'unavailable'],
    ['a problem of unknown kind', 418, '{"kind":"teapot"}', 'internal'],
  ])('reports an answer that is %s', async (_, status, body, kind) => {
    answer = (_, response) => {
      response.writeHead(status).end(body);
    };
    await expect(client().getHealth()).rejects.toMatchObject({ name: 'ProblemError', kind });
  });

  test('walks all pages', async () => {
    const pool = (id: string) => ({
      id,
      uuid: '1b671a64-40d5-491e-99b0-da01ff1f3341',
      labels: {},
      devices: [],
      conditions: [],
      cells: 1,
      ...Object.fromEntries(
        'size allocated free referenced metadata reserved pendingFree provisioned'
          .split(' ')
          .map((name) => [`${name}Bytes`, 0]),
      ),
      volumes: 0,
      snapshots: 0,
    });
    answer = (request, response) => {
      response.end(
        request.url === '/v1/pools'
          ? JSON.stringify({ items: [pool('a')], next: 'a' })
          : JSON.stringify({ items: [pool('b')] }),
      );
    };
    const ids: string[] = [];
    for await (const each of client().allPools()) ids.push(each.id);
    expect(ids).toEqual(['a', 'b']);
    expect(seen.map((each) => each.url)).toEqual(['/v1/pools', '/v1/pools?after=a']);
  });

  test('reads events across chunk borders, skips comments, reports a broken stream', async () => {
    const event = {
      sequence: 1,
      at: '2026-11-24T12:00:00.000Z',
      type: 'volume-created',
      object: 'volume/ä',
      message: 'created',
    };
    const bytes = Buffer.from(`: hello\n\nid: 1\ndata: ${JSON.stringify(event)}\n\n`);
    answer = (_, response) => {
      response.write(bytes.subarray(0, 90));
      response.write(bytes.subarray(90));
    };
    const stream = client().events();
    expect((await stream.next()).value).toEqual(event);
    server.closeAllConnections();
    await expect(stream.next()).rejects.toMatchObject({ kind: 'unavailable' });
  });

  test('close() waits for calls under way; both ways to end may be repeated', async () => {
    const held: ServerResponse[] = [];
    answer = (_, response) => held.push(response);
    const one = client();
    const call = one.getHealth();
    while (held.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const closed = one.close();
    held[0]?.end('{"status":"ok"}');
    await call;
    await closed;
    await one.close();
    await one.destroy();
    await one.destroy();
  });
});
