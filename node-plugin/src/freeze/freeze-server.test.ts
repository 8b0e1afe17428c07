import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { systemClock } from '@varve/common/clock';
import { silentLogger } from '@varve/common/logger';
import { benchNames, VolumeBench } from '../testing/volume-bench.ts';
import { stageVolume } from '../volumes/stage-volume.ts';
import { FreezeKeeper } from './freeze-keeper.ts';
import { FreezeServer } from './freeze-server.ts';

interface Identity {
  readonly cert: string;
  readonly key: string;
}

const log = silentLogger();
const { volumeHandle, stagingPath } = benchNames;
let folder: string;
let own: Identity;
let stranger: Identity;
let bench: VolumeBench;
let keeper: FreezeKeeper;
let server: FreezeServer;

/** A certificate that is its own authority. */
function createIdentity(name: string): Identity {
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const files = ['-days', '1', '-keyout', key, '-out', cert];
  execFileSync('openssl', ['req', ...kind, ...names, ...files], { stdio: 'pipe' });
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-freeze-'));
  own = createIdentity('own');
  stranger = createIdentity('stranger');
});
afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(async () => {
  bench = new VolumeBench();
  await stageVolume(bench.context(), bench.stageRequest());
  keeper = new FreezeKeeper({ system: bench.system, clock: systemClock, log });
  const options = { certificate: own.cert, key: own.key, authority: own.cert };
  server = await FreezeServer.start({ listen: '127.0.0.1:0', ...options }, { keeper, log });
});
afterEach(async () => {
  await server.close();
  await keeper.close();
});

async function call(
  method: string,
  path: string,
  { body, identity = own }: { readonly body?: unknown; readonly identity?: Partial<Identity> } = {},
): Promise<{ readonly status: number | undefined; readonly reply: unknown }> {
  const options = { host: '127.0.0.1', port: server.port, ca: own.cert, agent: false };
  const request = httpsRequest({ ...options, ...identity, method, path });
  request.end(body === undefined ? '' : JSON.stringify(body));
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const part of response.setEncoding('utf8') as AsyncIterable<string>) text += part;
  return { status: response.statusCode, reply: JSON.parse(text) };
}

test('PUT freezes, DELETE thaws and tells how long it was', async () => {
  const body = { volumeHandles: [volumeHandle] };
  expect(await call('PUT', '/v1/freezes/f-1', { body })).toEqual({
    status: 200,
    reply: { state: 'frozen' },
  });
  expect([...bench.system.frozen]).toEqual([stagingPath]);
  expect(await call('DELETE', '/v1/freezes/f-1')).toMatchObject({
    status: 200,
    reply: { state: 'thawed', endedBy: 'caller' },
  });
  expect(bench.system.frozen.size).toBe(0);
});

test.each([
  ['no certificate', () => undefined],
  ['a certificate of another authority', () => stranger],
])('a caller with %s is not let in', async (_, identity) => {
  const body = { volumeHandles: [volumeHandle] };
  const refused = call('PUT', '/v1/freezes/f', { body, identity: identity() ?? {} });
  await expect(refused).rejects.toMatchObject({ code: expect.any(String) });
  expect(bench.system.frozen.size).toBe(0);
});

test.each([
  ['PUT', '/v1/freezes/f', { volumeHandles: [] }, 400, 'invalid-argument'],
  ['PUT', '/v1/freezes/f', { volumeHandles: ['x'], more: 1 }, 400, 'invalid-argument'],
  ['PUT', '/v1/freezes/f', 'x'.repeat(100_000), 400, 'invalid-argument'],
  ['PUT', '/v1/freezes/f', { volumeHandles: ['daemon/other'] }, 404, 'not-found'],
  ['PUT', '/v1/freezes/F_1', { volumeHandles: [volumeHandle] }, 404, 'not-found'],
  ['GET', '/v1/freezes/f', undefined, 404, 'not-found'],
  ['DELETE', '/v1/freezes/f', undefined, 404, 'not-found'],
])('%s %s with %.30j is answered with a problem', async (...row) => {
  const [method, path, body, status, kind] = row;
  expect(await call(method, path, { body })).toMatchObject({ status, reply: { kind } });
});
