import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApiServer, type ApiServer } from './api-server.ts';
import { asList, readPath, textOf, type JsonObject } from './objects/json.ts';
import { configMap, widget, widgetDefinition } from './testing/manifests.ts';
import { TestClient } from './testing/test-client.ts';

const maps = '/api/v1/namespaces/default/configmaps';
const pods = '/api/v1/namespaces/default/pods';

let server: ApiServer;
let client: TestClient;

beforeAll(async () => {
  server = await startApiServer();
  client = new TestClient(server.url);
});

afterAll(async () => {
  await server.close();
});

function managersOf(object: JsonObject): string[] {
  return asList(readPath(object, 'metadata', 'managedFields')).map((entry) => {
    const { manager, operation, subresource } = entry as JsonObject;
    return [manager, operation, subresource ?? '']
      .map((part) => textOf(part))
      .join(' ')
      .trimEnd();
  });
}

test('apply creates what is not there, and owns what it states', async () => {
  const { status, body } = await client.apply(`${maps}/made`, 'one', configMap('made', { a: '1' }));
  expect(status).toBe(201);
  expect(readPath(body, 'metadata', 'managedFields')).toEqual([
    expect.objectContaining({
      manager: 'one',
      operation: 'Apply',
      fieldsV1: { 'f:data': { 'f:a': {} } },
    }),
  ]);
  const again = await client.apply(`${maps}/made`, 'one', configMap('made', { a: '1' }));
  expect(again.status).toBe(200);
  expect(readPath(again.body, 'metadata', 'resourceVersion')).toBe(
    readPath(body, 'metadata', 'resourceVersion'),
  );
});

test('what is no longer stated goes, unless somebody else owns it too', async () => {
  await client.apply(`${maps}/shared`, 'one', configMap('shared', { a: '1', b: '1', c: '1' }));
  await client.apply(`${maps}/shared`, 'two', configMap('shared', { b: '1' }));
  const { body } = await client.apply(`${maps}/shared`, 'one', configMap('shared', { a: '1' }));
  expect(body['data']).toEqual({ a: '1', b: '1' });
});

test('a field of somebody else with another value is a conflict that names both, unless forced', async () => {
  await client.apply(`${maps}/fought`, 'one', configMap('fought', { a: '1' }));
  const { status, body } = await client.apply(
    `${maps}/fought`,
    'two',
    configMap('fought', { a: '2' }),
  );
  expect(status).toBe(409);
  expect(body['message']).toBe('Apply failed with 1 conflict: conflict with "one": .data.a');
  expect(readPath(body, 'details', 'causes')).toEqual([
    expect.objectContaining({ reason: 'FieldManagerConflict', field: '.data.a' }),
  ]);
  const forced = await client.apply(`${maps}/fought`, 'two', configMap('fought', { a: '2' }), true);
  expect(forced.body['data']).toEqual({ a: '2' });
  expect(managersOf(forced.body)).toEqual(['two Apply']);
});

test('a plain update takes the fields that it changes from those who applied them', async () => {
  await client.apply(`${maps}/taken`, 'one', configMap('taken', { a: '1', b: '1' }));
  const { body } = await client.mergePatch(`${maps}/taken?fieldManager=patcher`, {
    data: { a: '2' },
  });
  expect(managersOf(body)).toEqual(['one Apply', 'patcher Update']);
  const { status } = await client.apply(
    `${maps}/taken`,
    'one',
    configMap('taken', { a: '1', b: '1' }),
  );
  expect(status).toBe(409);
});

test('lists with keys are merged item by item', async () => {
  const pod = (containers: JsonObject[]): JsonObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'merged' },
    spec: { containers },
  });
  await client.apply(`${pods}/merged`, 'one', pod([{ name: 'a', image: 'alpine:3' }]));
  const { body, status } = await client.apply(
    `${pods}/merged`,
    'two',
    pod([{ name: 'a', image: 'alpine:4' }]),
    true,
  );
  expect(status).toBe(200);
  expect(readPath(body, 'spec', 'containers')).toEqual([
    expect.objectContaining({ name: 'a', image: 'alpine:4', imagePullPolicy: 'IfNotPresent' }),
  ]);
  // The item is still stated by the first manager; its image was the second one's, and goes.
  const without = await client.apply(`${pods}/merged`, 'two', pod([]), true);
  expect(without.body['message']).toContain('spec.containers[0].image: Required value');
});

test('status is applied through its subresource, and owned there', async () => {
  await client.create(
    '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
    widgetDefinition(),
  );
  const widgets = '/apis/example.dev/v1/namespaces/default/widgets';
  await client.create(`${widgets}?fieldManager=maker`, widget('w'));
  const status = (type: string): JsonObject => ({
    apiVersion: 'example.dev/v1',
    kind: 'Widget',
    metadata: { name: 'w' },
    status: { conditions: [{ type, status: 'True' }] },
  });
  await client.apply(`${widgets}/w/status`, 'one', status('Ready'));
  const { body } = await client.apply(`${widgets}/w/status`, 'two', status('Stored'));
  expect(readPath(body, 'status', 'conditions')).toEqual([
    { type: 'Ready', status: 'True' },
    { type: 'Stored', status: 'True' },
  ]);
  expect(managersOf(body)).toEqual(['one Apply status', 'two Apply status', 'maker Update']);
  const absent = await client.apply(`${widgets}/absent/status`, 'one', status('Ready'));
  expect(absent.status).toBe(404);
});

test('a configuration that does not fit its URL is refused', async () => {
  const other = await client.apply(`${maps}/one-name`, 'one', configMap('another'));
  expect(other.status).toBe(400);
  const kind = await client.apply(`${maps}/x`, 'one', {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {},
  });
  expect(kind.body['message']).toContain('must state apiVersion v1 and kind ConfigMap');
});

test('managers that a client sets itself are taken as they are', async () => {
  await client.create(`${maps}?fieldManager=maker`, configMap('migrated', { a: '1' }));
  const managedFields = [
    {
      manager: 'mover',
      operation: 'Apply',
      apiVersion: 'v1',
      fieldsType: 'FieldsV1',
      fieldsV1: { 'f:data': { 'f:a': {} } },
    },
  ];
  const { body } = await client.patch(`${maps}/migrated`, 'application/json-patch+json', [
    { op: 'replace', path: '/metadata/managedFields', value: managedFields },
  ]);
  expect(managersOf(body)).toEqual(['mover Apply']);
});
