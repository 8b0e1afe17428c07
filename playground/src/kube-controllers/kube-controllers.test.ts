import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startApiServer, type ApiServer } from '../api-server/api-server.ts';
import { readPath, type JsonObject } from '../api-server/objects/json.ts';
import { claim, configMap, widget, widgetDefinition } from '../api-server/testing/manifests.ts';
import { TestClient, type TestAnswer } from '../api-server/testing/test-client.ts';
import { startKubeControllers, type KubeControllers } from './kube-controllers.ts';

const claims = '/api/v1/namespaces/default/persistentvolumeclaims';
const volumes = '/api/v1/persistentvolumes';
const classes = '/apis/storage.k8s.io/v1/storageclasses';
const maps = '/api/v1/namespaces/default/configmaps';
const pods = '/api/v1/namespaces/default/pods';

let server: ApiServer;
let controllers: KubeControllers;
let client: TestClient;
let failures: string[];

beforeEach(async () => {
  failures = [];
  server = await startApiServer();
  client = new TestClient(server.url);
  controllers = startKubeControllers(server.state, (controller, key, error) => {
    failures.push(`${controller} ${key}: ${String(error)}`);
  });
});

afterEach(async () => {
  controllers.close();
  await server.close();
  expect(failures).toEqual([]);
});

/** Waits, by a watch, until the object is as wanted; undefined stands for an object that is gone. */
async function until(
  collection: string,
  name: string,
  isReached: (object: JsonObject | undefined) => boolean,
): Promise<JsonObject | undefined> {
  const watch = await client.watch(
    `${collection}?watch=true&fieldSelector=metadata.name%3D${name}`,
  );
  try {
    const { body, status } = await client.get(`${collection}/${name}`);
    let object = status === 200 ? body : undefined;
    while (!isReached(object)) {
      const event = await watch.next();
      if (event === undefined) throw new Error(`the watch of ${name} ended`);
      object = event.type === 'DELETED' ? undefined : event.object;
    }
    return object;
  } finally {
    watch.close();
  }
}

function hasPhase(phase: string): (object: JsonObject | undefined) => boolean {
  return (object) => readPath(object, 'status', 'phase') === phase;
}

function isGone(object: JsonObject | undefined): boolean {
  return object === undefined;
}

async function createClass(name: string, more: JsonObject = {}): Promise<TestAnswer> {
  return client.create(classes, { metadata: { name }, provisioner: 'csi.varve.dev', ...more });
}

function volume(name: string, spec: JsonObject = {}): JsonObject {
  return {
    metadata: { name, annotations: { 'pv.kubernetes.io/provisioned-by': 'csi.varve.dev' } },
    spec: {
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: '256Mi' },
      csi: { driver: 'csi.varve.dev', volumeHandle: name },
      persistentVolumeReclaimPolicy: 'Delete',
      storageClassName: 'standard',
      ...spec,
    },
  };
}

async function eventsAbout(name: string): Promise<string[]> {
  const selector = `fieldSelector=involvedObject.name%3D${name}`;
  const { body } = await client.get(`/api/v1/namespaces/default/events?${selector}`);
  return (body['items'] as { reason: string }[]).map((event) => event.reason);
}

describe('binding', () => {
  test('asks the external provisioner, then binds the claim to the volume that it made', async () => {
    await createClass('standard');
    const { body: created } = await client.create(
      claims,
      claim('data', { storageClassName: 'standard' }),
    );
    const asked = await until(
      claims,
      'data',
      (object) =>
        readPath(object, 'metadata', 'annotations', 'volume.kubernetes.io/storage-provisioner') !==
        undefined,
    );
    expect(readPath(asked, 'metadata', 'annotations')).toMatchObject({
      'volume.beta.kubernetes.io/storage-provisioner': 'csi.varve.dev',
      'volume.kubernetes.io/storage-provisioner': 'csi.varve.dev',
    });
    const uid = readPath(created, 'metadata', 'uid');
    await client.create(
      volumes,
      volume('pv-data', {
        claimRef: { kind: 'PersistentVolumeClaim', namespace: 'default', name: 'data', uid },
      }),
    );
    const bound = await until(claims, 'data', hasPhase('Bound'));
    expect(bound).toMatchObject({
      spec: { volumeName: 'pv-data' },
      status: { accessModes: ['ReadWriteOnce'], capacity: { storage: '256Mi' } },
    });
    expect(readPath(bound, 'metadata', 'annotations', 'pv.kubernetes.io/bind-completed')).toBe(
      'yes',
    );
    await until(volumes, 'pv-data', hasPhase('Bound'));
    expect(await eventsAbout('data')).toEqual(['ExternalProvisioning']);
  });

  test('releases the volume when its claim goes, and holds it against deletion until then', async () => {
    await createClass('standard');
    await client.create(claims, claim('data', { storageClassName: 'standard' }));
    await client.create(volumes, volume('pv-free'));
    await until(claims, 'data', hasPhase('Bound'));
    await client.remove(`${volumes}/pv-free`);
    const held = await client.get(`${volumes}/pv-free`);
    expect(readPath(held.body, 'metadata', 'finalizers')).toEqual(['kubernetes.io/pv-protection']);
    await client.remove(`${claims}/data`);
    await until(claims, 'data', isGone);
    await until(volumes, 'pv-free', isGone);
  });

  test('leaves a volume Released whose policy is to retain it', async () => {
    await createClass('standard');
    await client.create(claims, claim('data', { storageClassName: 'standard' }));
    await client.create(volumes, volume('pv', { persistentVolumeReclaimPolicy: 'Retain' }));
    await until(claims, 'data', hasPhase('Bound'));
    await client.remove(`${claims}/data`);
    await until(volumes, 'pv', hasPhase('Released'));
  });

  test('takes the smallest free volume that fits, and none for a claim with a data source', async () => {
    await createClass('standard');
    for (const [name, storage] of [
      ['pv-large', '1Gi'],
      ['pv-small', '128Mi'],
      ['pv-fit', '300Mi'],
    ] as const) {
      await client.create(volumes, volume(name, { capacity: { storage } }));
    }
    const dataSource = { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 's' };
    await client.create(claims, claim('restored', { storageClassName: 'standard', dataSource }));
    await client.create(claims, claim('plain', { storageClassName: 'standard' }));
    const bound = await until(claims, 'plain', hasPhase('Bound'));
    expect(readPath(bound, 'spec', 'volumeName')).toBe('pv-fit');
    const { body } = await client.get(`${claims}/restored`);
    expect(readPath(body, 'spec', 'volumeName')).toBeUndefined();
  });

  test('waits for the first pod where the class says so', async () => {
    await createClass('late', { volumeBindingMode: 'WaitForFirstConsumer' });
    await client.create(claims, claim('data', { storageClassName: 'late' }));
    const events = '/api/v1/namespaces/default/events';
    const watch = await client.watch(
      `${events}?watch=true&fieldSelector=involvedObject.name%3Ddata`,
    );
    expect((await watch.next())?.object['reason']).toBe('WaitForFirstConsumer');
    watch.close();
    await client.create(pods, pod('user', 'data'));
    const asked = await until(
      claims,
      'data',
      (object) =>
        readPath(object, 'metadata', 'annotations', 'volume.kubernetes.io/selected-node') !==
        undefined,
    );
    expect(
      readPath(asked, 'metadata', 'annotations', 'volume.kubernetes.io/storage-provisioner'),
    ).toBe('csi.varve.dev');
  });

  test('says what is missing: a class, or any way to a volume', async () => {
    await client.create(claims, claim('classless', { storageClassName: '' }));
    await client.create(claims, claim('misnamed', { storageClassName: 'absent' }));
    const watch = await client.watch('/api/v1/namespaces/default/events?watch=true');
    expect((await watch.next())?.object).toMatchObject({ reason: 'FailedBinding' });
    expect((await watch.next())?.object).toMatchObject({
      reason: 'ProvisioningFailed',
      message: 'storageclass.storage.k8s.io "absent" not found',
    });
    watch.close();
  });

  test('gives the default class to claims, also to one that was there before it', async () => {
    await client.create(claims, claim('early'));
    const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' };
    await client.create(classes, { metadata: { name: 'standard', annotations }, provisioner: 'p' });
    const { body } = await client.create(claims, claim('later'));
    expect(readPath(body, 'spec', 'storageClassName')).toBe('standard');
    await until(
      claims,
      'early',
      (object) => readPath(object, 'spec', 'storageClassName') === 'standard',
    );
  });

  test('marks a claim Lost whose volume vanished', async () => {
    await createClass('standard');
    await client.create(claims, claim('data', { storageClassName: 'standard' }));
    await client.create(volumes, volume('pv'));
    await until(claims, 'data', hasPhase('Bound'));
    await client.remove(`${volumes}/pv`);
    await client.mergePatch(`${volumes}/pv`, { metadata: { finalizers: null } });
    await until(claims, 'data', hasPhase('Lost'));
  });
});

function pod(name: string, claimName: string, spec: JsonObject = {}): JsonObject {
  return {
    metadata: { name },
    spec: {
      containers: [{ name: 'main', image: 'alpine:3' }],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
      ...spec,
    },
  };
}

describe('pods', () => {
  test('stay Pending, and an event says that there is no kubelet', async () => {
    await client.create(pods, pod('waiting', 'data'));
    const told = await until(
      pods,
      'waiting',
      (object) => readPath(object, 'status', 'conditions') !== undefined,
    );
    expect(readPath(told, 'status', 'phase')).toBe('Pending');
    const watch = await client.watch('/api/v1/namespaces/default/events?watch=true');
    const event = await watch.next();
    expect(event?.object['message']).toContain('The playground has no kubelet');
    watch.close();
    await client.remove(`${pods}/waiting`);
    await until(pods, 'waiting', isGone);
  });

  test('on a node keep their claims from vanishing', async () => {
    await client.create(claims, claim('data', { storageClassName: '' }));
    await client.create(pods, pod('user', 'data', { nodeName: 'node' }));
    await client.remove(`${claims}/data`);
    await client.create(maps, configMap('later'));
    await until(maps, 'later', (object) => object !== undefined);
    expect((await client.get(`${claims}/data`)).status).toBe(200);
    await client.remove(`${pods}/user`);
    await until(claims, 'data', isGone);
  });
});

describe('owners', () => {
  async function createOwned(
    owner: TestAnswer,
    name: string,
    more: JsonObject = {},
  ): Promise<void> {
    const uid = readPath(owner.body, 'metadata', 'uid');
    const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid, ...more };
    await client.create(maps, configMap(name, {}, { ownerReferences: [reference] }));
  }

  test('take their dependents with them', async () => {
    const owner = await client.create(maps, configMap('owner'));
    await createOwned(owner, 'owned');
    await client.remove(`${maps}/owner`);
    await until(maps, 'owned', isGone);
  });

  test('leave them as orphans if asked', async () => {
    const owner = await client.create(maps, configMap('owner'));
    await createOwned(owner, 'owned');
    await client.remove(`${maps}/owner`, { propagationPolicy: 'Orphan' });
    await until(maps, 'owner', isGone);
    const { body, status } = await client.get(`${maps}/owned`);
    expect(status).toBe(200);
    expect(readPath(body, 'metadata', 'ownerReferences')).toBeUndefined();
  });

  test('wait for dependents that block them, if deleted in the foreground', async () => {
    const owner = await client.create(maps, configMap('owner'));
    await createOwned(owner, 'owned', { blockOwnerDeletion: true });
    await client.mergePatch(`${maps}/owned`, { metadata: { finalizers: ['example.dev/hold'] } });
    await client.remove(`${maps}/owner`, { propagationPolicy: 'Foreground' });
    await until(
      maps,
      'owned',
      (object) => readPath(object, 'metadata', 'deletionTimestamp') !== undefined,
    );
    expect((await client.get(`${maps}/owner`)).status).toBe(200);
    await client.mergePatch(`${maps}/owned`, { metadata: { finalizers: null } });
    await until(maps, 'owner', isGone);
  });

  test('that never were do not keep an object', async () => {
    const ghost = { body: { metadata: { uid: 'never-there' } } } as unknown as TestAnswer;
    await createOwned(ghost, 'owned');
    await until(maps, 'owned', isGone);
  });
});

describe('namespaces', () => {
  const spaces = '/api/v1/namespaces';

  test('take no new objects once deleted, delete what they hold, and go when that is gone', async () => {
    await client.create(
      '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
      widgetDefinition(),
    );
    await client.create(spaces, { metadata: { name: 'team' } });
    const place = `${spaces}/team/configmaps`;
    await client.create(place, configMap('plain'));
    await client.create(place, configMap('held', {}, { finalizers: ['example.dev/hold'] }));
    const widgets = '/apis/example.dev/v1/namespaces/team/widgets';
    await client.create(widgets, widget('one'));
    await client.remove(`${spaces}/team`);
    const told = await until(
      spaces,
      'team',
      (object) => readPath(object, 'status', 'conditions') !== undefined,
    );
    expect(JSON.stringify(readPath(told, 'status', 'conditions'))).toContain(
      'configmaps has 1 resource instances',
    );
    const refused = await client.create(place, configMap('late'));
    expect([refused.status, refused.body['reason']]).toEqual([403, 'Forbidden']);
    expect(JSON.stringify(refused.body)).toContain('NamespaceTerminating');
    expect((await client.get(`${widgets}/one`)).status).toBe(404);
    await client.mergePatch(`${place}/held`, { metadata: { finalizers: null } });
    await until(spaces, 'team', isGone);
  });

  test('that the cluster needs cannot be deleted', async () => {
    expect((await client.remove(`${spaces}/default`)).status).toBe(403);
  });
});
