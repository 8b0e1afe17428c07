import { afterEach, expect, test } from '@jest/globals';
import { startApiServer, type ApiServer } from '../api-server.ts';
import { bodyBytesMax } from '../limits.ts';
import { configMap } from '../testing/manifests.ts';
import { TestClient } from '../testing/test-client.ts';
import { refuseWith, type Interceptor } from './interception.ts';

const maps = '/api/v1/namespaces/default/configmaps';

let server: ApiServer;

afterEach(async () => {
  await server.close();
});

async function start(intercept: Interceptor): Promise<TestClient> {
  server = await startApiServer({ intercept });
  return new TestClient(server.url);
}

test('an interceptor refuses chosen requests, and lets others pass', async () => {
  const client = await start((request) =>
    request.method === 'POST' ? refuseWith(503, 'ServiceUnavailable', 'not now') : undefined,
  );
  const refused = await client.create(maps, configMap('a'));
  expect([refused.status, refused.body['message']]).toEqual([503, 'not now']);
  expect(refused.headers.get('retry-after')).toBe('1');
  expect((await client.get(maps)).status).toBe(200);
});

test('a dropped request has no effect, one whose answer is lost has', async () => {
  let kind: 'drop' | 'lose-answer' | undefined = 'drop';
  const client = await start((request) =>
    kind === undefined || request.method !== 'POST' ? undefined : { kind },
  );
  await expect(client.create(maps, configMap('a'))).rejects.toThrow('fetch failed');
  expect((await client.get(`${maps}/a`)).status).toBe(404);
  kind = 'lose-answer';
  await expect(client.create(maps, configMap('a'))).rejects.toThrow('fetch failed');
  expect((await client.get(`${maps}/a`)).status).toBe(200);
});

test('a request waits for as long as its interceptor does', async () => {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const client = await start(async (request) => {
    if (request.path.endsWith('/slow')) await held;
    return undefined;
  });
  const slow = client.get(`${maps}/slow`);
  expect((await client.get(maps)).status).toBe(200);
  release();
  expect((await slow).status).toBe(404);
});

test('a body beyond the bound is refused', async () => {
  const client = await start(() => undefined);
  const { status } = await client.create(maps, configMap('a', { big: 'x'.repeat(bodyBytesMax) }));
  expect(status).toBe(413);
});

test('bodies that cannot be read are refused by what is wrong', async () => {
  const client = await start(() => undefined);
  const broken = await client.request('POST', maps, '{"kind":');
  expect(broken.status).toBe(400);
  const protobuf = await client.request('POST', maps, 'x', {
    contentType: 'application/vnd.kubernetes.protobuf',
  });
  expect(protobuf.body['message']).toContain('no Kubernetes protobuf: its first bytes are wrong');
  const unknown = await client.request('POST', maps, 'x', { contentType: 'text/plain' });
  expect(unknown.status).toBe(415);
});
