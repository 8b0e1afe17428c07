import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { testParts, things } from '../../testing/machinery.ts';
import type { TestParts } from '../../testing/machinery.ts';
import { ScriptedApiServer, thing } from '../../testing/scripted-api-server.ts';
import { isNamespaceTerminating } from '../api-errors.ts';
import { persistentVolumeClaims, volumeSnapshots } from '../resource.ts';

let server: ScriptedApiServer;
let parts: TestParts;

beforeEach(async () => {
  server = await ScriptedApiServer.start();
  parts = testParts(server);
});

afterEach(async () => {
  await parts.connection.close();
  await server.stop();
});

describe('RestKubeClient', () => {
  test('addresses objects of the core group and of others, in and out of namespaces', async () => {
    const paths: string[] = [];
    server.respond((exchange) => {
      paths.push(`${exchange.method} ${exchange.path}?${exchange.query.toString()}`);
      exchange.json(200, thing('x', 1));
    });
    const { client } = parts;
    await client.get(persistentVolumeClaims, { namespace: 'app', name: 'data' });
    await client.create(volumeSnapshots, {
      apiVersion: 'snapshot.storage.k8s.io/v1',
      kind: 'VolumeSnapshot',
      metadata: { namespace: 'app', name: 's1' },
      spec: { source: { persistentVolumeClaimName: 'data' } },
    });
    await client.patch(things, { name: 'x' }, { type: 'apply', body: {}, force: true });
    await client.replace(things, thing('x', 1), { subresource: 'status' });
    expect(paths).toEqual([
      'GET /api/v1/namespaces/app/persistentvolumeclaims/data?',
      'POST /apis/snapshot.storage.k8s.io/v1/namespaces/app/volumesnapshots?fieldManager=varve-test',
      'PATCH /apis/example.dev/v1/things/x?fieldManager=varve-test&force=true',
      'PUT /apis/example.dev/v1/things/x/status?fieldManager=varve-test',
    ]);
  });

  test('sends each kind of patch with its media type, and who it is', async () => {
    const seen: unknown[] = [];
    server.respond((exchange) => {
      seen.push([exchange.headers['content-type'], exchange.body]);
      expect(exchange.headers.authorization).toBe('Bearer secret-token');
      expect(exchange.headers['user-agent']).toBe('varve-test');
      exchange.json(200, thing('x', 1));
    });
    const { client } = parts;
    const name = { name: 'x' };
    await client.patch(things, name, { type: 'merge', body: { a: null } });
    await client.patch(things, name, { type: 'strategic', body: { b: 1 } });
    await client.patch(things, name, {
      type: 'json',
      operations: [{ op: 'remove', path: '/a' }],
    });
    expect(seen).toEqual([
      ['application/merge-patch+json', { a: null }],
      ['application/strategic-merge-patch+json', { b: 1 }],
      ['application/json-patch+json', [{ op: 'remove', path: '/a' }]],
    ]);
  });

  test('deletes a certain version only, if asked to', async () => {
    const deleting = parts.client.delete(
      things,
      { name: 'x' },
      { uid: 'u1', resourceVersion: '3' },
    );
    const request = await server.next();
    expect(request.body).toMatchObject({ preconditions: { uid: 'u1', resourceVersion: '3' } });
    request.json(200, { kind: 'Status', status: 'Success' });
    await deleting;
  });

  test.each([
    [400, 'BadRequest', 'bad-request'],
    [401, 'Unauthorized', 'unauthorized'],
    [403, 'Forbidden', 'forbidden'],
    [404, 'NotFound', 'not-found'],
    [409, 'AlreadyExists', 'already-exists'],
    [409, 'Conflict', 'conflict'],
    [410, 'Expired', 'gone'],
    [422, 'Invalid', 'invalid'],
    [429, 'TooManyRequests', 'too-many-requests'],
    [500, 'InternalError', 'server-error'],
    [503, 'ServiceUnavailable', 'server-error'],
  ])('answer %i %s is an error of kind %s', async (statusCode, reason, kind) => {
    server.respond((exchange) => exchange.fail(statusCode, reason, 'because'));
    await expect(parts.client.get(things, { name: 'x' })).rejects.toMatchObject({
      name: 'ApiError',
      kind,
      statusCode,
      reason,
      message: 'Getting things.example.dev x failed: because',
    });
  });

  test('tells how long the server wants to be left alone', async () => {
    server.respond((exchange) => exchange.json(429, {}, { 'retry-after': '3' }));
    await expect(parts.client.get(things, { name: 'x' })).rejects.toMatchObject({
      kind: 'too-many-requests',
      retryAfterMs: 3000,
    });
  });

  test('a namespace that is being deleted can be told from other refusals', async () => {
    server.respond((exchange) =>
      exchange.fail(
        403,
        'Forbidden',
        'events "x" is forbidden: unable to create new content in namespace app because it is being terminated',
      ),
    );
    const error: unknown = await parts.client.get(things, { name: 'x' }).catch((thrown) => thrown);
    expect(isNamespaceTerminating(error)).toBe(true);
  });

  test('no answer is an error of its own, with the address', async () => {
    server.respond((exchange) => exchange.drop());
    await expect(parts.client.get(things, { name: 'x' })).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/^Getting things.example.dev x at 127.0.0.1:\d+ failed: /),
    });
  });

  test('an answer that is no JSON is quoted', async () => {
    server.respond((exchange) => {
      exchange.write('<html>proxy</html>');
      exchange.end();
    });
    await expect(parts.client.get(things, { name: 'x' })).rejects.toMatchObject({
      kind: 'malformed',
      message: expect.stringContaining('<html>proxy</html>'),
    });
  });

  test('keeps its connections: 300 requests one after the other need a few, in parallel a bounded number', async () => {
    server.respond((exchange) => exchange.json(200, thing('x', 1)));
    for (let count = 0; count < 300; count++) await parts.client.get(things, { name: 'x' });
    // A second one, where the next request is there before the pool knows that the first is free again.
    expect(server.socketCount).toBeLessThanOrEqual(3);
    await Promise.all(
      Array.from({ length: 300 }, async () => parts.client.get(things, { name: 'x' })),
    );
    expect(server.socketCount).toBeLessThanOrEqual(64);
  });

  test('counts requests by method, resource and answer', async () => {
    server.respond((exchange) => exchange.fail(404, 'NotFound'));
    await parts.client.get(things, { name: 'x' }).catch(() => undefined);
    expect(await parts.registry.metrics()).toContain(
      'varve_operator_api_requests_total{method="GET",resource="things.example.dev",code="404"} 1',
    );
  });
});
