import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApiServer, type ApiServer } from './api-server.ts';
import { sweepEvents } from './event-sweeper.ts';
import { readPath, textOf, type JsonObject } from './objects/json.ts';
import { claim } from './testing/manifests.ts';
import { TestClient } from './testing/test-client.ts';

const claims = '/api/v1/namespaces/default/persistentvolumeclaims';
const volumes = '/api/v1/persistentvolumes';
const classes = '/apis/storage.k8s.io/v1/storageclasses';
const pods = '/api/v1/namespaces/default/pods';
const secrets = '/api/v1/namespaces/default/secrets';
const coreEvents = '/api/v1/namespaces/default/events';
const newEvents = '/apis/events.k8s.io/v1/namespaces/default/events';
const snapshotSource = { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 's' };

let server: ApiServer;
let client: TestClient;

beforeAll(async () => {
  server = await startApiServer();
  client = new TestClient(server.url);
});

afterAll(async () => {
  await server.close();
});

async function messageOf(answer: Promise<{ body: JsonObject }>): Promise<string> {
  const { body } = await answer;
  return textOf(body['message']);
}

describe('a claim', () => {
  test('begins Pending, protected, and with its quantity in canonical form', async () => {
    const resources = { requests: { storage: '1024Mi' } };
    const { body } = await client.create(claims, claim('fresh', { resources }));
    expect(body).toMatchObject({
      metadata: { finalizers: ['kubernetes.io/pvc-protection'] },
      spec: { volumeMode: 'Filesystem', resources: { requests: { storage: '1Gi' } } },
      status: { phase: 'Pending' },
    });
  });

  test('has dataSource and dataSourceRef mirrored, whichever was given', async () => {
    const one = await client.create(claims, claim('mirror-1', { dataSource: snapshotSource }));
    expect(readPath(one.body, 'spec', 'dataSourceRef')).toEqual(snapshotSource);
    const two = await client.create(claims, claim('mirror-2', { dataSourceRef: snapshotSource }));
    expect(readPath(two.body, 'spec', 'dataSource')).toEqual(snapshotSource);
  });

  test('loses a dataSource of another kind without a word, as in Kubernetes, keeps a dataSourceRef, drops one into another namespace', async () => {
    const foreign = { apiGroup: 'example.dev', kind: 'Backup', name: 'b' };
    const dropped = await client.create(claims, claim('foreign-1', { dataSource: foreign }));
    expect(dropped.status).toBe(201);
    expect(readPath(dropped.body, 'spec', 'dataSource')).toBeUndefined();
    const kept = await client.create(claims, claim('foreign-2', { dataSourceRef: foreign }));
    expect(readPath(kept.body, 'spec', 'dataSourceRef')).toEqual(foreign);
    expect(readPath(kept.body, 'spec', 'dataSource')).toEqual(foreign);
    const elsewhere = { ...snapshotSource, namespace: 'other' };
    const crossing = await client.create(claims, claim('foreign-3', { dataSourceRef: elsewhere }));
    expect(readPath(crossing.body, 'spec', 'dataSourceRef')).toBeUndefined();
  });

  test('whose source has no group can be changed like any other', async () => {
    const dataSource = { kind: 'PersistentVolumeClaim', name: 'fresh' };
    const { body } = await client.create(claims, claim('clone', { dataSource }));
    expect(readPath(body, 'spec', 'dataSourceRef')).toEqual({ ...dataSource, apiGroup: null });
    const untouched = await client.mergePatch(`${claims}/clone`, { metadata: {} });
    expect(untouched.body).toEqual(body);
    const labels = { a: 'b' };
    const patched = await client.mergePatch(`${claims}/clone`, { metadata: { labels } });
    expect(patched.status).toBe(200);
    const put = await client.request('PUT', `${claims}/clone`, patched.body);
    expect(readPath(put.body, 'metadata', 'resourceVersion')).toBe(
      readPath(patched.body, 'metadata', 'resourceVersion'),
    );
    const strategic = 'application/strategic-merge-patch+json';
    const again = await client.patch(`${claims}/clone`, strategic, { metadata: { labels } });
    expect(again.status).toBe(200);
  });

  const refused: readonly (readonly [string, JsonObject, string])[] = [
    ['without access modes', { accessModes: [] }, 'spec.accessModes: Required value'],
    ['with an unknown access mode', { accessModes: ['Any'] }, 'Unsupported value: "Any"'],
    ['without a size', { resources: {} }, 'spec.resources[storage]: Required value'],
    ['of no size', { resources: { requests: { storage: '0' } } }, 'must be greater than zero'],
    [
      'of a size that is none',
      { resources: { requests: { storage: 'big' } } },
      'must be of type quantity: "big"',
    ],
    ['with an unknown mode', { volumeMode: 'Raw' }, 'supported values: "Block", "Filesystem"'],
    [
      'from a source without a name',
      { dataSource: { ...snapshotSource, name: '' } },
      'spec.dataSource.name',
    ],
    [
      'from two sources',
      { dataSource: snapshotSource, dataSourceRef: { ...snapshotSource, name: 'other' } },
      'must match dataSourceRef',
    ],
    [
      'from a kind without a group that needs one',
      { dataSourceRef: { kind: 'VolumeSnapshot', name: 's' } },
      `must be 'PersistentVolumeClaim' when referencing the default apiGroup`,
    ],
  ];
  for (const [what, spec, message] of refused) {
    test(`${what} is refused`, async () => {
      expect(await messageOf(client.create(claims, claim('refused', spec)))).toContain(message);
    });
  }

  test('does not change after it was made, but grows once bound where its class allows it', async () => {
    await client.create(classes, {
      metadata: { name: 'grows' },
      provisioner: 'p',
      allowVolumeExpansion: true,
    });
    await client.create(classes, { metadata: { name: 'fixed' }, provisioner: 'p' });
    const size = (storage: string): JsonObject => ({
      spec: { resources: { requests: { storage } } },
    });
    for (const storageClassName of ['grows', 'fixed']) {
      const path = `${claims}/${storageClassName}`;
      await client.create(claims, claim(storageClassName, { storageClassName }));
      const early = await client.mergePatch(path, size('1Gi'));
      expect(early.body['message']).toContain('spec: Forbidden: spec is immutable after creation');
      await client.mergePatch(`${path}/status`, {
        status: { phase: 'Bound', capacity: { storage: '256Mi' } },
      });
    }
    expect((await client.mergePatch(`${claims}/grows`, size('1Gi'))).status).toBe(200);
    const fixed = await client.mergePatch(`${claims}/fixed`, size('1Gi'));
    expect([fixed.status, fixed.body['reason']]).toEqual([403, 'Forbidden']);
    expect(fixed.body['message']).toContain('must support resize');
    expect(await messageOf(client.mergePatch(`${claims}/grows`, size('128Mi')))).toContain(
      'field can not be less than status.capacity',
    );
    const moved = await client.mergePatch(`${claims}/grows`, {
      spec: { storageClassName: 'fixed' },
    });
    expect(moved.status).toBe(422);
  });
});

describe('a volume', () => {
  const volume = (spec: JsonObject): JsonObject => ({
    metadata: { name: 'pv' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: '1Gi' },
      csi: { driver: 'd', volumeHandle: 'h' },
      ...spec,
    },
  });

  test('says where its data is, in one way only, and for ever', async () => {
    expect(await messageOf(client.create(volumes, volume({ csi: undefined })))).toContain(
      'must specify a volume type',
    );
    expect(
      await messageOf(client.create(volumes, volume({ csi: { driver: '', volumeHandle: '' } }))),
    ).toContain('spec.csi.driver: Required value, spec.csi.volumeHandle: Required value');
    expect(await messageOf(client.create(volumes, volume({ hostPath: { path: '/x' } })))).toContain(
      'may not specify more than 1 volume type',
    );
    const { body } = await client.create(volumes, volume({}));
    expect(readPath(body, 'spec', 'persistentVolumeReclaimPolicy')).toBe('Retain');
    const moved = client.mergePatch(`${volumes}/pv`, { spec: { csi: { volumeHandle: 'other' } } });
    expect(await messageOf(moved)).toContain(
      'spec.persistentvolumesource is immutable after creation',
    );
  });
});

describe('a storage class', () => {
  test('has defaults, and keeps what provisioning depends on', async () => {
    const { body } = await client.create(classes, { metadata: { name: 'c' }, provisioner: 'p' });
    expect(body).toMatchObject({ reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' });
    expect(
      await messageOf(client.mergePatch(`${classes}/c`, { parameters: { a: 'b' } })),
    ).toContain('parameters: Invalid value: {"a":"b"}: field is immutable');
    const late = { metadata: { name: 'd' }, provisioner: 'p', volumeBindingMode: 'Late' };
    expect(await messageOf(client.create(classes, late))).toContain('WaitForFirstConsumer');
  });
});

describe('a pod', () => {
  const pod = (spec: JsonObject): JsonObject => ({
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'main', image: 'alpine:3' }], ...spec },
  });
  const refused: readonly (readonly [string, JsonObject, string])[] = [
    ['without containers', { containers: [] }, 'spec.containers: Required value'],
    ['whose container has no image', { containers: [{ name: 'a' }] }, 'spec.containers[0].image'],
    [
      'with two containers of one name',
      {
        containers: [
          { name: 'a', image: 'x' },
          { name: 'a', image: 'x' },
        ],
      },
      'Duplicate value: "a"',
    ],
    [
      'that mounts what is not there',
      { containers: [{ name: 'a', image: 'x', volumeMounts: [{ name: 'v', mountPath: '/v' }] }] },
      'spec.containers[0].volumeMounts[0].name: Not found: "v"',
    ],
    ['with a volume of no kind', { volumes: [{ name: 'v' }] }, 'must specify a volume type'],
  ];
  for (const [what, spec, message] of refused) {
    test(`${what} is refused`, async () => {
      expect(await messageOf(client.create(pods, pod(spec)))).toContain(message);
    });
  }

  test('gets its defaults and keeps its specification', async () => {
    const { body } = await client.create(pods, pod({}));
    expect(body).toMatchObject({
      spec: { restartPolicy: 'Always', containers: [{ imagePullPolicy: 'IfNotPresent' }] },
      status: { phase: 'Pending' },
    });
    const patch = { spec: { restartPolicy: 'Never' } };
    expect(await messageOf(client.mergePatch(`${pods}/p`, patch))).toContain(
      'pod updates may not change',
    );
  });
});

describe('a secret', () => {
  test('takes plain text for writing only', async () => {
    const { body } = await client.create(secrets, {
      metadata: { name: 's' },
      stringData: { token: 'hello' },
    });
    expect(body).toMatchObject({ type: 'Opaque', data: { token: 'aGVsbG8=' } });
    expect(body['stringData']).toBeUndefined();
  });

  test('that is malformed is refused without being quoted', async () => {
    const secret = { metadata: { name: 'bad' }, data: { token: '!hunter2!' } };
    const message = await messageOf(client.create(secrets, secret));
    expect(message).toContain('data[token]');
    expect(message).not.toContain('hunter2');
  });
});

describe('events', () => {
  test('of both APIs are the same objects', async () => {
    await client.create(newEvents, {
      metadata: { name: 'e1' },
      regarding: { kind: 'VolumeSnapshot', namespace: 'default', name: 'snap', uid: 'u' },
      note: 'Waiting',
      reason: 'Creating',
      type: 'Normal',
      action: 'Create',
      eventTime: '2026-11-24T12:00:00.000000Z',
      reportingController: 'varve',
      reportingInstance: 'varve-0',
    });
    const selector = 'fieldSelector=involvedObject.name%3Dsnap,involvedObject.uid%3Du';
    const { body } = await client.get(`${coreEvents}?${selector}`);
    expect(body['items']).toEqual([
      expect.objectContaining({
        message: 'Waiting',
        involvedObject: expect.objectContaining({ name: 'snap' }),
        reportingComponent: 'varve',
      }),
    ]);
    const back = await client.get(`${newEvents}/e1`);
    expect(back.body).toMatchObject({ note: 'Waiting', reportingController: 'varve' });
    expect(back.body['message']).toBeUndefined();
  });

  test('are deleted after an hour', async () => {
    const old = '2001-01-01T00:00:00Z';
    await client.create(coreEvents, {
      metadata: { name: 'old' },
      involvedObject: { kind: 'Pod', namespace: 'default', name: 'p' },
      lastTimestamp: old,
    });
    const later = { ...server.state, now: () => new Date(Date.now() + 3_700_000) };
    sweepEvents(server.state);
    expect((await client.get(`${coreEvents}/old`)).status).toBe(200);
    sweepEvents(later);
    expect((await client.get(`${coreEvents}/old`)).status).toBe(404);
  });
});
