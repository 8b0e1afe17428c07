import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApiServer, type ApiServer } from './api-server.ts';
import { readPath } from './objects/json.ts';
import { widget, widgetDefinition } from './testing/manifests.ts';
import { TestClient } from './testing/test-client.ts';

const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const widgets = '/apis/example.dev/v1/namespaces/default/widgets';

let server: ApiServer;
let client: TestClient;

beforeAll(async () => {
  server = await startApiServer();
  client = new TestClient(server.url);
  const { status } = await client.create(crds, widgetDefinition());
  expect(status).toBe(201);
});

afterAll(async () => {
  await server.close();
});

describe('a CustomResourceDefinition', () => {
  test('is Established and served at once', async () => {
    const { body } = await client.get(`${crds}/widgets.example.dev`);
    expect(readPath(body, 'status', 'conditions')).toEqual(
      expect.arrayContaining([expect.objectContaining({ type: 'Established', status: 'True' })]),
    );
    const discovered = await client.get('/apis/example.dev/v1');
    expect(discovered.body['resources']).toEqual([
      expect.objectContaining({ name: 'widgets', kind: 'Widget', shortNames: ['wi'] }),
      expect.objectContaining({ name: 'widgets/status' }),
    ]);
  });

  test('with a schema that is not structural, or a rule that is not supported, is refused by name', async () => {
    const refused = async (schema: unknown): Promise<unknown> => {
      const text = JSON.stringify(widgetDefinition())
        .replaceAll('widget', 'gadget')
        .replaceAll('Widget', 'Gadget');
      const crd = JSON.parse(text) as { spec: { versions: { schema: unknown }[] } };
      (crd.spec.versions[0] as { schema: unknown }).schema = { openAPIV3Schema: schema };
      const { status, body } = await client.create(crds, crd);
      expect(status).toBe(422);
      return body['message'];
    };
    expect(await refused({ type: 'object', properties: { spec: {} } })).toContain(
      'properties[spec].type: Required value',
    );
    expect(
      await refused({
        type: 'object',
        'x-kubernetes-validations': [{ rule: 'self.spec.ip.isCIDR()' }],
      }),
    ).toContain(`function isCIDR is not supported by the playground's API server`);
    expect(
      await refused({ type: 'object', 'x-kubernetes-validations': [{ rule: 'self.spec ==' }] }),
    ).toContain('Syntax error');
  });

  test('of a protected group needs an approval', async () => {
    const text = JSON.stringify(widgetDefinition()).replaceAll('example.dev', 'example.k8s.io');
    const { status, body } = await client.create(crds, text);
    expect(status).toBe(422);
    expect(body['message']).toContain('api-approved.kubernetes.io');
  });
});

describe('a custom resource', () => {
  test('gets defaults, a generation, and loses unknown fields and status', async () => {
    const sent = { ...widget('fresh', { colour: 'red' }), status: { creationTime: 5 } };
    const { body } = await client.create(widgets, sent);
    expect(body['spec']).toEqual({ source: 'here', size: 3 });
    expect(body['status']).toBeUndefined();
    expect(readPath(body, 'metadata', 'generation')).toBe(1);
  });

  test('is checked by its schema, every broken rule by its field', async () => {
    const bad = widget('bad', { size: 0, mode: 'Slow', source: '' });
    const { status, body } = await client.create(widgets, bad);
    expect(status).toBe(422);
    expect(body['message']).toBe(
      'Widget.example.dev "bad" is invalid: [' +
        'spec.source: Invalid value: "": spec.source in body should be at least 1 chars long, ' +
        'spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1, ' +
        'spec.mode: Unsupported value: "Slow": supported values: "Fast", "Safe", ' +
        '<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; ' +
        'correct the existing errors to complete validation]',
    );
    expect(readPath(body, 'details', 'causes')).toHaveLength(4);
  });

  test('is checked by its CEL rules, those about transitions only on updates', async () => {
    const unsafe = await client.create(widgets, widget('unsafe', { mode: 'Safe', size: 10 }));
    expect(unsafe.status).toBe(422);
    expect(unsafe.body['message']).toContain(
      'spec: Invalid value: a safe widget is smaller than 10',
    );
    await client.create(widgets, widget('fixed'));
    const moved = await client.mergePatch(`${widgets}/fixed`, { spec: { source: 'there' } });
    expect(moved.status).toBe(422);
    expect(moved.body['message']).toContain('source is immutable');
    expect((await client.mergePatch(`${widgets}/fixed`, { spec: { size: 4 } })).status).toBe(200);
  });

  test('counts changes of its specification, not of its status', async () => {
    await client.create(widgets, widget('counted'));
    const status = { status: { conditions: [{ type: 'Ready', status: 'True' }] } };
    const { body: viaMain } = await client.mergePatch(`${widgets}/counted`, status);
    expect(viaMain['status']).toBeUndefined();
    const { body: viaStatus } = await client.mergePatch(`${widgets}/counted/status`, {
      ...status,
      spec: { size: 9 },
      metadata: { labels: { a: 'b' } },
    });
    expect(viaStatus['status']).toEqual(status.status);
    expect(readPath(viaStatus, 'spec', 'size')).toBe(3);
    expect(readPath(viaStatus, 'metadata', 'labels')).toBeUndefined();
    expect(readPath(viaStatus, 'metadata', 'generation')).toBe(1);
    const { body } = await client.mergePatch(`${widgets}/counted`, { spec: { size: 5 } });
    expect(readPath(body, 'metadata', 'generation')).toBe(2);
    expect(body['status']).toEqual(status.status);
  });

  test('keeps integers that a double cannot hold', async () => {
    await client.create(widgets, widget('exact'));
    const text = '{"status":{"creationTime":1795474123456789013}}';
    await client.mergePatch(`${widgets}/exact/status`, text);
    const { body } = await client.get(`${widgets}/exact`);
    expect(readPath(body, 'status', 'creationTime')).toBe(1795474123456789013n);
  });

  test('takes no strategic merge patch, and no update without a version', async () => {
    const { body: created } = await client.create(widgets, widget('unmerged'));
    const type = 'application/strategic-merge-patch+json';
    expect((await client.patch(`${widgets}/unmerged`, type, { spec: { size: 4 } })).status).toBe(
      415,
    );
    const { resourceVersion: _version, ...metadata } = created['metadata'] as Record<
      string,
      unknown
    >;
    const blind = await client.request('PUT', `${widgets}/unmerged`, { ...created, metadata });
    expect(blind.body['message']).toContain(
      'metadata.resourceVersion: Invalid value: 0: must be specified',
    );
  });

  test('is shown as a table with the columns of its definition', async () => {
    await client.create(widgets, widget('shown', { size: 7 }));
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
    const { body } = await client.get(`${widgets}/shown`, { accept });
    expect(body['kind']).toBe('Table');
    expect((body['columnDefinitions'] as { name: string }[]).map((each) => each.name)).toEqual([
      'Name',
      'Size',
      'Ready',
      'Age',
    ]);
    expect((body['rows'] as { cells: unknown[] }[])[0]?.cells).toEqual([
      'shown',
      7,
      null,
      expect.stringMatching(/^\d+s$/),
    ]);
  });
});

test('deleting a definition deletes its objects first, then it goes and is no longer served', async () => {
  await client.create(widgets, widget('last', {}));
  await client.mergePatch(`${widgets}/last`, { metadata: { finalizers: ['example.dev/hold'] } });
  const watch = await client.watch(
    `${crds}?watch=true&fieldSelector=metadata.name%3Dwidgets.example.dev`,
  );
  await watch.take(1);
  await client.remove(`${crds}/widgets.example.dev`);
  expect(await watch.take(1)).toEqual(['MODIFIED widgets.example.dev']);
  // Everything but the held object is deleted before the definition is looked at again.
  const held = await client.get(`${widgets}/last`);
  expect(readPath(held.body, 'metadata', 'deletionTimestamp')).toBeDefined();
  await client.mergePatch(`${widgets}/last`, { metadata: { finalizers: null } });
  let event = await watch.next();
  while (event !== undefined && event.type !== 'DELETED') event = await watch.next();
  expect(event?.type).toBe('DELETED');
  watch.close();
  expect((await client.get(widgets)).status).toBe(404);
});
