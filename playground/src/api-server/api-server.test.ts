import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApiServer, type ApiServer } from './api-server.ts';
import { readPath, textOf } from './objects/json.ts';
import { claim, configMap } from './testing/manifests.ts';
import { TestClient } from './testing/test-client.ts';

const maps = '/api/v1/namespaces/default/configmaps';
const claims = '/api/v1/namespaces/default/persistentvolumeclaims';

let server: ApiServer;
let client: TestClient;

beforeAll(async () => {
  server = await startApiServer();
  client = new TestClient(server.url);
});

afterAll(async () => {
  await server.close();
});

describe('the server', () => {
  test('tells version and health, and has the namespaces of a new cluster', async () => {
    expect((await client.get('/version')).body['gitVersion']).toMatch(/^v1\.36\./);
    for (const path of ['/healthz', '/readyz', '/livez']) {
      expect((await client.get(path)).body).toEqual({ text: 'ok' });
    }
    const { body } = await client.get('/api/v1/namespaces');
    const names = (body['items'] as { metadata: { name: string } }[]).map(
      (each) => each.metadata.name,
    );
    expect(names).toEqual(['default', 'kube-node-lease', 'kube-public', 'kube-system']);
  });

  test('asks for the bearer token if it has one', async () => {
    const guarded = await startApiServer({ token: 'secret' });
    const guest = new TestClient(guarded.url);
    expect((await guest.get('/api/v1/namespaces')).status).toBe(401);
    expect((await guest.get('/api/v1/namespaces', { token: 'wrong!' })).status).toBe(401);
    expect((await guest.get('/api/v1/namespaces', { token: 'secret' })).status).toBe(200);
    expect(guarded.kubeconfig).toContain('token: secret');
    await guarded.close();
  });

  test('refuses by name what it does not have', async () => {
    const deployments = await client.get('/apis/apps/v1/namespaces/default/deployments');
    expect(deployments.status).toBe(404);
    expect(deployments.body['message']).toContain(
      'workloads (the playground runs no pods) is not supported',
    );
    const unknown = await client.get('/apis/nothing.example/v1');
    expect([unknown.status, unknown.body['reason']]).toEqual([404, 'NotFound']);
    const log = await client.get('/api/v1/namespaces/default/pods/x/log');
    expect(log.status).toBe(501);
    expect(log.body['message']).toContain('pods/log (the playground has no kubelet');
    const protobuf = await client.get('/api/v1/namespaces', {
      accept: 'application/vnd.kubernetes.protobuf',
    });
    expect(protobuf.status).toBe(406);
    const put = await client.request('PUT', maps, configMap('x'));
    expect([put.status, put.body['reason']]).toEqual([405, 'MethodNotAllowed']);
  });
});

describe('create', () => {
  test('gives an object its identity', async () => {
    const { status, body } = await client.create(maps, configMap('identity', { key: 'value' }));
    expect(status).toBe(201);
    expect(body).toMatchObject({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      data: { key: 'value' },
      metadata: {
        name: 'identity',
        namespace: 'default',
        uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
        resourceVersion: expect.stringMatching(/^\d+$/),
        creationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      },
    });
  });

  test('refuses a name that is taken, and says whose', async () => {
    await client.create(maps, configMap('taken'));
    const { status, body } = await client.create(maps, configMap('taken'));
    expect(status).toBe(409);
    expect(body).toMatchObject({
      kind: 'Status',
      reason: 'AlreadyExists',
      message: 'configmaps "taken" already exists',
      details: { name: 'taken', kind: 'configmaps' },
    });
  });

  test('generates a name', async () => {
    const object = { metadata: { generateName: 'gen-' } };
    const names = new Set<unknown>();
    for (let count = 0; count < 20; count++) {
      const { body } = await client.create(maps, object);
      names.add(readPath(body, 'metadata', 'name'));
    }
    expect(names.size).toBe(20);
    for (const name of names) expect(name).toMatch(/^gen-[a-z0-9]{5}$/);
  });

  test('refuses names, namespaces and versions that do not fit', async () => {
    const badName = await client.create(maps, configMap('Not_A_Name'));
    expect([badName.status, badName.body['reason']]).toEqual([422, 'Invalid']);
    expect(badName.body['message']).toMatch(
      /^ConfigMap "Not_A_Name" is invalid: metadata.name: Invalid value/,
    );
    const otherPlace = await client.create(maps, configMap('x', {}, { namespace: 'kube-system' }));
    expect(otherPlace.status).toBe(400);
    const noPlace = await client.create('/api/v1/namespaces/nowhere/configmaps', configMap('x'));
    expect(noPlace.body['message']).toBe('namespaces "nowhere" not found');
    const versioned = await client.create(maps, configMap('x', {}, { resourceVersion: '5' }));
    expect(versioned.body['message']).toBe(
      'resourceVersion should not be set on objects to be created',
    );
  });

  test('refuses unknown fields of a strict client, warns others, and stores them for nobody', async () => {
    const wrong = {
      ...claim('strict'),
      spec: { ...(claim('strict')['spec'] as object), sizze: 1 },
    };
    const strict = await client.create(`${claims}?fieldValidation=Strict`, wrong);
    expect(strict.status).toBe(400);
    expect(strict.body['message']).toBe(
      'PersistentVolumeClaim in version "v1" cannot be handled as a PersistentVolumeClaim: ' +
        'strict decoding error: unknown field "spec.sizze"',
    );
    const warned = await client.create(claims, wrong);
    expect(warned.status).toBe(201);
    expect(warned.headers.get('warning')).toBe('299 - "unknown field \\"spec.sizze\\""');
    expect(readPath(warned.body, 'spec', 'sizze')).toBeUndefined();
  });

  test('refuses a value of a wrong type', async () => {
    const { status, body } = await client.create(
      claims,
      claim('typed', { accessModes: 'ReadWriteOnce' }),
    );
    expect(status).toBe(400);
    expect(body['message']).toContain('spec.accessModes in body must be of type array: "string"');
  });

  test('changes nothing in a dry run', async () => {
    const dry = await client.create(`${maps}?dryRun=All`, configMap('dry'));
    expect(dry.status).toBe(201);
    expect((await client.get(`${maps}/dry`)).status).toBe(404);
  });
});

describe('update', () => {
  test('refuses what was read before somebody else wrote', async () => {
    const { body: created } = await client.create(maps, configMap('contended', { n: '0' }));
    const first = await client.request('PUT', `${maps}/contended`, {
      ...created,
      data: { n: '1' },
    });
    expect(first.status).toBe(200);
    const second = await client.request('PUT', `${maps}/contended`, {
      ...created,
      data: { n: '2' },
    });
    expect(second.status).toBe(409);
    expect(second.body['reason']).toBe('Conflict');
    expect(second.body['message']).toBe(
      'Operation cannot be fulfilled on configmaps "contended": the object has been modified; ' +
        'please apply your changes to the latest version and try again',
    );
  });

  test('writes nothing if nothing changes', async () => {
    const { body: created } = await client.create(maps, configMap('same', { n: '0' }));
    const { body: put } = await client.request('PUT', `${maps}/same`, created);
    const { body: patched } = await client.mergePatch(`${maps}/same`, { data: { n: '0' } });
    const version = readPath(created, 'metadata', 'resourceVersion');
    expect(readPath(put, 'metadata', 'resourceVersion')).toBe(version);
    expect(readPath(patched, 'metadata', 'resourceVersion')).toBe(version);
  });

  test('keeps what belongs to the server', async () => {
    const { body: created } = await client.create(maps, configMap('kept'));
    const { body } = await client.mergePatch(`${maps}/kept`, {
      metadata: { creationTimestamp: '2001-01-01T00:00:00Z', labels: { a: 'b' } },
    });
    expect(readPath(body, 'metadata', 'creationTimestamp')).toBe(
      readPath(created, 'metadata', 'creationTimestamp'),
    );
    const otherUid = await client.mergePatch(`${maps}/kept`, { metadata: { uid: 'other' } });
    expect(otherUid.body['message']).toContain(
      'metadata.uid: Invalid value: "other": field is immutable',
    );
    const asOther = await client.request(
      'PUT',
      `${maps}/kept`,
      configMap('kept', {}, { uid: 'other' }),
    );
    expect(asOther.body['message']).toContain('Precondition failed: UID in precondition: other');
  });

  test('answers 404 for what is not there', async () => {
    const { status, body } = await client.mergePatch(`${maps}/absent`, { data: {} });
    expect([status, body['message']]).toEqual([404, 'configmaps "absent" not found']);
  });

  test('refuses an unknown sort of patch by naming those it takes', async () => {
    await client.create(maps, configMap('patched'));
    const { status, body } = await client.patch(`${maps}/patched`, 'text/plain', '{}');
    expect(status).toBe(415);
    expect(body['message']).toContain('application/merge-patch+json');
  });
});

describe('delete', () => {
  test('removes an object and says which', async () => {
    const { body: created } = await client.create(maps, configMap('gone'));
    const { status, body } = await client.remove(`${maps}/gone`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'gone', kind: 'configmaps', uid: readPath(created, 'metadata', 'uid') },
    });
    expect((await client.get(`${maps}/gone`)).status).toBe(404);
  });

  test('holds an object until its finalizers are gone, and takes no new ones', async () => {
    await client.create(maps, configMap('held', {}, { finalizers: ['example.dev/hold'] }));
    const deleted = await client.remove(`${maps}/held`);
    expect(readPath(deleted.body, 'metadata', 'deletionTimestamp')).toBeDefined();
    expect((await client.remove(`${maps}/held`)).status).toBe(200);
    const more = await client.mergePatch(`${maps}/held`, {
      metadata: { finalizers: ['example.dev/hold', 'example.dev/more'] },
    });
    expect(more.status).toBe(422);
    expect(more.body['message']).toContain(
      'no new finalizers can be added if the object is being deleted',
    );
    const released = await client.mergePatch(`${maps}/held`, { metadata: { finalizers: null } });
    expect(released.status).toBe(200);
    expect((await client.get(`${maps}/held`)).status).toBe(404);
  });

  test('honours preconditions', async () => {
    await client.create(maps, configMap('guarded'));
    const wrong = await client.remove(`${maps}/guarded`, { preconditions: { uid: 'other' } });
    expect([wrong.status, wrong.body['reason']]).toEqual([409, 'Conflict']);
    expect(wrong.body['message']).toContain(
      'the UID in the precondition (other) does not match the UID in record',
    );
    expect((await client.get(`${maps}/guarded`)).status).toBe(200);
  });

  test('deletes the selected objects of a collection', async () => {
    for (const name of ['all-1', 'all-2']) {
      await client.create(maps, configMap(name, {}, { labels: { group: 'all' } }));
    }
    await client.create(maps, configMap('other', {}, { labels: { group: 'other' } }));
    expect((await client.remove(`${maps}?labelSelector=group%3Dall`)).status).toBe(200);
    const { body } = await client.get(`${maps}?labelSelector=group`);
    expect((body['items'] as unknown[]).length).toBe(1);
  });
});

describe('lists', () => {
  test('select by labels and fields, and name the fields that can be selected', async () => {
    await client.create(maps, configMap('list-a', {}, { labels: { tier: 'a', kind: 'list' } }));
    await client.create(maps, configMap('list-b', {}, { labels: { tier: 'b', kind: 'list' } }));
    const names = async (query: string): Promise<string[]> => {
      const { body } = await client.get(`${maps}?${query}`);
      return (body['items'] as { metadata: { name: string } }[]).map((each) => each.metadata.name);
    };
    expect(await names('labelSelector=kind%3Dlist,tier%20in%20(a,c)')).toEqual(['list-a']);
    expect(await names('labelSelector=kind%3Dlist,tier!%3Da')).toEqual(['list-b']);
    expect(await names('labelSelector=kind,!absent')).toEqual(['list-a', 'list-b']);
    expect(await names('fieldSelector=metadata.name%3Dlist-b')).toEqual(['list-b']);
    const wrong = await client.get(`${maps}?fieldSelector=data.key%3Dx`);
    expect(wrong.status).toBe(400);
    expect(wrong.body['message']).toContain('only "metadata.name", "metadata.namespace"');
  });

  test('page through the state of the first page, whatever happens meanwhile', async () => {
    const place = '/api/v1/namespaces/kube-public/configmaps';
    for (const name of ['p1', 'p2', 'p3', 'p4', 'p5']) await client.create(place, configMap(name));
    const first = await client.get(`${place}?limit=2`);
    expect(readPath(first.body, 'metadata', 'remainingItemCount')).toBe(3);
    await client.remove(`${place}/p4`);
    await client.create(place, configMap('p6'));
    const names: string[] = [];
    let page = first;
    for (;;) {
      names.push(
        ...(page.body['items'] as { metadata: { name: string } }[]).map(
          (each) => each.metadata.name,
        ),
      );
      const token = readPath(page.body, 'metadata', 'continue');
      if (token === undefined) break;
      page = await client.get(`${place}?limit=2&continue=${textOf(token)}`);
    }
    expect(names).toEqual(['p1', 'p2', 'p3', 'p4', 'p5']);
    expect(readPath(page.body, 'metadata', 'resourceVersion')).toBe(
      readPath(first.body, 'metadata', 'resourceVersion'),
    );
  });

  test('of built-in kinds carry no kind in their items, as in Kubernetes', async () => {
    const { body } = await client.get('/api/v1/namespaces');
    expect(body['kind']).toBe('NamespaceList');
    expect((body['items'] as { kind?: string }[])[0]?.kind).toBeUndefined();
  });
});
