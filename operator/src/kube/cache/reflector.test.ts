import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Mailbox, testParts, things } from '../../testing/machinery.ts';
import type { TestParts } from '../../testing/machinery.ts';
import { ScriptedApiServer, thing } from '../../testing/scripted-api-server.ts';
import type { ObjectChange } from '../lister.ts';
import { ObjectStore } from './object-store.ts';
import { Reflector, reflectorDefaults } from './reflector.ts';
import type { ReflectorOptions } from './reflector.ts';
import type { KubernetesObject } from '../kubernetes-object.ts';

const options: ReflectorOptions<KubernetesObject> = {
  ...reflectorDefaults,
  resource: things,
  backoff: { firstMs: 1, longestMs: 4, jitter: 0 },
  shortWatchMs: 0,
};

let server: ScriptedApiServer;
let parts: TestParts;
let store: ObjectStore<KubernetesObject>;
let changes: Mailbox<string>;
let abort: AbortController;
let running: Promise<void>;

function start(
  overrides: Partial<ReflectorOptions<KubernetesObject>> = {},
): Reflector<KubernetesObject> {
  const reflector = new Reflector({ ...options, ...overrides }, { ...parts, store });
  running = reflector.run(abort.signal);
  return reflector;
}

function names(): string[] {
  return store.list().map((object) => object.metadata.name);
}

function describeChange(change: ObjectChange): string {
  return `${change.type} ${change.object.metadata.name}@${change.object.metadata.resourceVersion}`;
}

beforeEach(async () => {
  server = await ScriptedApiServer.start();
  parts = testParts(server);
  store = new ObjectStore();
  changes = new Mailbox();
  store.addListener((change) => changes.put(describeChange(change)));
  abort = new AbortController();
  running = Promise.resolve();
});

afterEach(async () => {
  abort.abort();
  await running;
  await parts.connection.close();
  await server.stop();
});

describe('Reflector', () => {
  test('lists all pages, then watches from the list’s version with bookmarks and a time limit', async () => {
    const reflector = start({ pageSize: 2 });
    const first = await server.next();
    expect(first.path).toBe('/apis/example.dev/v1/things');
    expect(first.query.get('limit')).toBe('2');
    first.list([thing('a', 1), thing('b', 2)], '7', 'more');
    const second = await server.next();
    expect(second.query.get('continue')).toBe('more');
    expect(reflector.hasSynced).toBe(false);
    second.list([thing('c', 3)], '7');
    const watch = await server.next();
    expect(reflector.hasSynced).toBe(true);
    expect(names()).toEqual(['a', 'b', 'c']);
    expect(watch.query.get('watch')).toBe('true');
    expect(watch.query.get('allowWatchBookmarks')).toBe('true');
    expect(watch.query.get('resourceVersion')).toBe('7');
    expect(Number(watch.query.get('timeoutSeconds'))).toBeGreaterThanOrEqual(300);
  });

  test('takes an optional kind that the server does not know for one without objects, until it is served', async () => {
    const reflector = start({ resource: { ...things, isOptional: true }, missingKindPauseMs: 0 });
    (await server.next()).fail(404, 'NotFound');
    await reflector.synced;
    expect(names()).toEqual([]);
    (await server.next()).list([thing('a', 1)], '7');
    const watch = await server.next();
    expect(names()).toEqual(['a']);
    // The definition is deleted, and its objects with it.
    watch.end();
    const next = await server.next();
    next.fail(404, 'NotFound');
    (await server.next()).list([thing('b', 1)], '2');
    await server.next();
    expect(names()).toEqual(['b']);
  });

  test('gives list items the kind that lists of built-in kinds leave out', async () => {
    start();
    const { apiVersion: _apiVersion, kind: _kind, ...bare } = thing('a', 1);
    (await server.next()).list([bare], '1');
    await changes.next();
    expect(store.get('a')).toMatchObject({ apiVersion: 'example.dev/v1', kind: 'Thing' });
  });

  test('takes events over, also when a line arrives in pieces that split a character', async () => {
    start();
    (await server.next()).list([thing('a', 1)], '1');
    const watch = await server.next();
    expect(await changes.next()).toBe('added a@1');
    const line = Buffer.from(
      `${JSON.stringify({ type: 'MODIFIED', object: thing('a', 2, { note: 'Größe' }) })}\n`,
    );
    const middle = line.indexOf(Buffer.from('ö')) + 1;
    watch.write(line.subarray(0, middle));
    watch.write(line.subarray(middle));
    expect(await changes.next()).toBe('modified a@2');
    expect(store.get('a')).toMatchObject({ note: 'Größe' });
    watch.event('ADDED', thing('b', 3));
    watch.event('DELETED', thing('a', 4));
    expect(await changes.next()).toBe('added b@3');
    expect(await changes.next()).toBe('deleted a@4');
    expect(names()).toEqual(['b']);
  });

  test('takes a watch that the server ended up again from the last bookmark', async () => {
    start();
    (await server.next()).list([], '1');
    const watch = await server.next();
    watch.event('BOOKMARK', thing('', 55));
    watch.end();
    const again = await server.next();
    expect(again.query.get('watch')).toBe('true');
    expect(again.query.get('resourceVersion')).toBe('55');
  });

  test('takes a watch up again after a dropped connection, without a list and without half an event', async () => {
    start();
    (await server.next()).list([thing('a', 1)], '1');
    await changes.next();
    const watch = await server.next();
    watch.event('MODIFIED', thing('a', 9));
    expect(await changes.next()).toBe('modified a@9');
    watch.write('{"type":"DELETED","object":{"metadata":{"name":"a"');
    watch.drop();
    const again = await server.next();
    expect(again.query.get('resourceVersion')).toBe('9');
    expect(names()).toEqual(['a']);
  });

  test('does not take half a line for an event when the server ends within it', async () => {
    start();
    (await server.next()).list([thing('a', 1)], '1');
    const watch = await server.next();
    // Valid JSON, but without the newline that ends an event.
    watch.write(JSON.stringify({ type: 'DELETED', object: thing('a', 2) }));
    watch.end();
    const again = await server.next();
    expect(again.query.get('resourceVersion')).toBe('1');
    expect(names()).toEqual(['a']);
    expect(await parts.registry.metrics()).toContain(
      'varve_operator_reflector_failures_total{resource="things.example.dev",kind="unreachable"} 1',
    );
  });

  test.each(['an answer', 'an event in the stream'])(
    'lists again on 410 as %s, and tells what vanished meanwhile',
    async (form) => {
      start();
      (await server.next()).list([thing('a', 1), thing('b', 1)], '1');
      expect([await changes.next(), await changes.next()]).toEqual(['added a@1', 'added b@1']);
      const watch = await server.next();
      if (form === 'an answer') watch.fail(410, 'Expired');
      else watch.event('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'old' });
      const list = await server.next();
      expect(list.query.get('watch')).toBeNull();
      list.list([thing('b', 5)], '8');
      expect(await changes.next()).toBe('deleted a@1');
      expect(await changes.next()).toBe('modified b@5');
      expect((await server.next()).query.get('resourceVersion')).toBe('8');
    },
  );

  test('starts a list over when it was too slow for its continue token', async () => {
    start({ pageSize: 1 });
    (await server.next()).list([thing('a', 1)], '1', 'more');
    (await server.next()).fail(410, 'Expired');
    const again = await server.next();
    expect(again.query.get('continue')).toBeNull();
    again.list([thing('b', 2)], '2');
    await changes.next();
    expect(names()).toEqual(['b']);
  });

  test('survives every other failure, and lists again when a watch fails repeatedly', async () => {
    start();
    (await server.next()).fail(500, 'InternalError');
    (await server.next()).drop();
    (await server.next()).json(200, 'no list at all');
    (await server.next()).list([thing('a', 1)], '4');
    (await server.next()).fail(403, 'Forbidden');
    const second = await server.next();
    expect(second.query.get('resourceVersion')).toBe('4');
    second.fail(504, 'Timeout', 'Too large resource version');
    (await server.next()).drop();
    const list = await server.next();
    expect(list.query.get('watch')).toBeNull();
    expect(names()).toEqual(['a']);
  });

  test('takes a watch that ends at once for a failure, so that it cannot spin', async () => {
    start({ shortWatchMs: 60_000 });
    (await server.next()).list([], '1');
    for (let attempt = 0; attempt < 3; attempt++) {
      const watch = await server.next();
      expect(watch.query.get('watch')).toBe('true');
      watch.end();
    }
    expect((await server.next()).query.get('watch')).toBeNull();
    const text = await parts.registry.metrics();
    expect(text).toContain(
      'varve_operator_reflector_failures_total{resource="things.example.dev",kind="unreachable"} 3',
    );
  });

  test('takes a watch on which not even a bookmark arrives for dead', async () => {
    await parts.connection.close();
    parts = testParts(server, { watchSilenceMs: 50 });
    start();
    (await server.next()).list([], '1');
    const silent = await server.next();
    silent.event('BOOKMARK', thing('', 7));
    const again = await server.next();
    expect(again.query.get('resourceVersion')).toBe('7');
    await silent.closed();
  });

  test('shows for how long it has heard nothing', async () => {
    const reflector = start();
    (await server.next()).list([thing('a', 1)], '1');
    await reflector.synced;
    const text = await parts.registry.metrics();
    expect(text).toMatch(
      /varve_operator_reflector_silence_seconds\{resource="things.example.dev"\} 0\.\d/,
    );
    expect(text).toContain('varve_operator_reflector_objects{resource="things.example.dev"} 1');
  });

  test('ends when it is told to, and lets its connection go', async () => {
    start();
    (await server.next()).list([], '1');
    const watch = await server.next();
    watch.event('BOOKMARK', thing('', 2));
    abort.abort();
    await running;
    await watch.closed();
  });
});
