import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startApiServer, type ApiServer } from './api-server.ts';
import { readPath, textOf } from './objects/json.ts';
import { configMap } from './testing/manifests.ts';
import { TestClient } from './testing/test-client.ts';

const maps = '/api/v1/namespaces/default/configmaps';

let server: ApiServer;
let client: TestClient;

beforeEach(async () => {
  server = await startApiServer();
  client = new TestClient(server.url);
});

afterEach(async () => {
  await server.close();
});

async function currentVersion(): Promise<string> {
  const { body } = await client.get(maps);
  return textOf(readPath(body, 'metadata', 'resourceVersion'));
}

test('a watch from a version sees every later change once, in order', async () => {
  await client.create(maps, configMap('before'));
  const version = await currentVersion();
  await client.create(maps, configMap('a'));
  const watch = await client.watch(`${maps}?watch=true&resourceVersion=${version}`);
  await client.mergePatch(`${maps}/a`, { data: { n: '1' } });
  await client.remove(`${maps}/a`);
  expect(await watch.take(3)).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a']);
  watch.close();
});

test('a watch without a version begins with what is there', async () => {
  await client.create(maps, configMap('a'));
  await client.create(maps, configMap('b'));
  const watch = await client.watch(`${maps}?watch=true`);
  expect(await watch.take(2)).toEqual(['ADDED a', 'ADDED b']);
  watch.close();
});

test('initial events end with a marked bookmark', async () => {
  await client.create(maps, configMap('a'));
  const watch = await client.watch(
    `${maps}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
  );
  expect(await watch.take(1)).toEqual(['ADDED a']);
  const bookmark = await watch.next();
  expect(bookmark?.type).toBe('BOOKMARK');
  expect(readPath(bookmark?.object, 'metadata', 'annotations')).toEqual({
    'k8s.io/initial-events-end': 'true',
  });
  expect(readPath(bookmark?.object, 'metadata', 'resourceVersion')).toBe(await currentVersion());
  watch.close();
});

test('an object that ceases to be selected is deleted from the watch, with its version', async () => {
  await client.create(maps, configMap('a', {}, { labels: { on: 'yes' } }));
  const watch = await client.watch(`${maps}?watch=true&labelSelector=on%3Dyes`);
  expect(await watch.take(1)).toEqual(['ADDED a']);
  const { body } = await client.mergePatch(`${maps}/a`, { metadata: { labels: { on: 'no' } } });
  const left = await watch.next();
  expect(left?.type).toBe('DELETED');
  expect(readPath(left?.object, 'metadata', 'labels')).toEqual({ on: 'yes' });
  expect(readPath(left?.object, 'metadata', 'resourceVersion')).toBe(
    readPath(body, 'metadata', 'resourceVersion'),
  );
  await client.mergePatch(`${maps}/a`, { metadata: { labels: { on: 'yes' } } });
  expect(await watch.take(1)).toEqual(['ADDED a']);
  watch.close();
});

test('a watch from before the history is told 410 and ends with an error event or answer', async () => {
  const version = await currentVersion();
  await client.create(maps, configMap('a'));
  server.compactHistory();
  const gone = await client.get(`${maps}?watch=true&resourceVersion=${version}`);
  expect([gone.status, gone.body['reason']]).toEqual([410, 'Expired']);
  expect(gone.body['message']).toContain('too old resource version');
});

test('a continued list from before the history is told 410', async () => {
  for (const name of ['a', 'b', 'c']) await client.create(maps, configMap(name));
  const { body } = await client.get(`${maps}?limit=1`);
  await client.create(maps, configMap('d'));
  server.compactHistory();
  const token = textOf(readPath(body, 'metadata', 'continue'));
  expect((await client.get(`${maps}?limit=1&continue=${token}`)).status).toBe(410);
});

test('a watch ends after timeoutSeconds, with a bookmark if it wants any', async () => {
  const watch = await client.watch(
    `${maps}?watch=true&resourceVersion=${await currentVersion()}&timeoutSeconds=1&allowWatchBookmarks=true`,
  );
  const bookmark = await watch.next();
  expect(bookmark?.type).toBe('BOOKMARK');
  expect(await watch.next()).toBeUndefined();
});

test('close() ends open watches', async () => {
  const watch = await client.watch(`${maps}?watch=true`);
  await server.close();
  expect(await watch.next()).toBeUndefined();
});

test('a watch of one object sees that one only', async () => {
  await client.create(maps, configMap('other'));
  await client.create(maps, configMap('one'));
  const watch = await client.watch(`${maps}/one?watch=true`);
  await client.mergePatch(`${maps}/other`, { data: { n: '1' } });
  await client.mergePatch(`${maps}/one`, { data: { n: '1' } });
  expect(await watch.take(2)).toEqual(['ADDED one', 'MODIFIED one']);
  watch.close();
});
