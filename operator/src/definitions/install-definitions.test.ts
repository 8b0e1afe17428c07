import { beforeEach, describe, expect, test } from '@jest/globals';
import { silentLogger } from '@varve/common/logger';
import { ManualClock } from '@varve/common/testing/manual-clock';
import { ownManifests, snapshotManifests } from '@varve/contract/kubernetes/resource-catalogue';
import type { CustomResourceDefinition } from '../kube/core-kinds.ts';
import { customResourceDefinitions } from '../kube/resource.ts';
import { failure, MemoryCluster } from '../testing/memory-cluster.ts';
import { installDefinitions } from './install-definitions.ts';

const allNames = [...ownManifests(), ...snapshotManifests()].map(({ metadata }) => metadata.name);
const snapshots = 'volumesnapshots.snapshot.storage.k8s.io';
const classes = 'volumesnapshotclasses.snapshot.storage.k8s.io';
const contents = 'volumesnapshotcontents.snapshot.storage.k8s.io';

let clock: ManualClock;
let cluster: MemoryCluster;

/** The API server makes a new definition served, as this does. */
function establishAll(): void {
  for (const definition of cluster.peekAll(customResourceDefinitions)) {
    if (definition.status !== undefined) continue;
    const condition = { type: 'Established', status: 'True', reason: '', message: '' } as const;
    cluster.put(customResourceDefinitions, {
      ...definition,
      status: { conditions: [{ ...condition, lastTransitionTime: '' }] },
    });
  }
}

async function install(): Promise<void> {
  const log = silentLogger();
  const installing = installDefinitions(
    { client: cluster, clock, log },
    new AbortController().signal,
  );
  installing.catch(() => undefined);
  await clock.advance(100);
  establishAll();
  await clock.advance(1000);
  await installing;
}

function putForeign(name: string, metadata: object = {}): void {
  const [group] = name.split('.').slice(1);
  cluster.put(customResourceDefinitions, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name, ...metadata },
    spec: { group: group ?? '', names: { plural: '', kind: '' }, scope: 'Cluster', versions: [] },
  });
}

function held(name: string): CustomResourceDefinition {
  return cluster.peek(customResourceDefinitions, name)!;
}

beforeEach(() => {
  clock = new ManualClock();
  cluster = new MemoryCluster(clock);
});

describe('installDefinitions()', () => {
  test('installs everything on a cluster that has nothing, and waits until it is served', async () => {
    let isOver = false;
    const log = silentLogger();
    const signal = new AbortController().signal;
    const installing = installDefinitions({ client: cluster, clock, log }, signal).then(
      () => (isOver = true),
    );
    await clock.advance(5000);
    expect(cluster.peekAll(customResourceDefinitions).map(({ metadata }) => metadata.name)).toEqual(
      allNames,
    );
    expect(isOver).toBe(false);
    establishAll();
    await clock.advance(1000);
    await installing;
    expect(held(snapshots).metadata.labels).toMatchObject({
      'app.kubernetes.io/managed-by': 'varve-operator',
    });
  });

  test('writes nothing the second time', async () => {
    await install();
    cluster.written.length = 0;
    await install();
    expect(cluster.written).toEqual([]);
  });

  test('brings an older definition of ours up to date, and leaves a newer one alone', async () => {
    await install();
    const revise = (name: string, revision: string): void => {
      const { metadata } = held(name);
      const annotations = {
        ...metadata.annotations,
        'varve.dev/definition-revision': revision,
        'varve.dev/definition-hash': 'other',
      };
      cluster.put(customResourceDefinitions, {
        ...held(name),
        metadata: { ...metadata, annotations },
      });
    };
    revise(snapshots, '0');
    revise(contents, '99');
    revise(classes, '1');
    cluster.written.length = 0;
    await install();
    // The one of the same revision but another hash comes from a build in between: ours counts.
    expect(cluster.written.map(({ verb, key }) => `${verb} ${key}`)).toEqual([
      `patch ${classes}`,
      `patch ${snapshots}`,
    ]);
    expect(held(snapshots).metadata.annotations?.['varve.dev/definition-hash']).not.toBe('other');
    expect(held(contents).metadata.annotations?.['varve.dev/definition-hash']).toBe('other');
  });

  test('never touches snapshot definitions of somebody else, and installs none beside them', async () => {
    putForeign(snapshots);
    putForeign(contents, { labels: { 'app.kubernetes.io/managed-by': 'Helm' } });
    const log = silentLogger();
    const abort = new AbortController();
    const installing = installDefinitions({ client: cluster, clock, log }, abort.signal);
    await clock.advance(100);
    establishAll();
    await clock.advance(1000);
    expect(cluster.written.map(({ verb, key }) => `${verb} ${key}`)).toEqual([
      'create storagedaemons.varve.dev',
      'create volumereverts.varve.dev',
    ]);
    // The set is not complete: it goes on waiting for the one that its owner still has to install.
    let isOver = false;
    void installing.then(() => (isOver = true));
    await clock.advance(60_000);
    expect(isOver).toBe(false);
    putForeign(classes);
    establishAll();
    await clock.advance(1000);
    await installing;
    expect(isOver).toBe(true);
  });

  test('tells when it may not look', async () => {
    cluster.onCall = () => {
      throw failure('forbidden', 'customresourcedefinitions is forbidden');
    };
    await expect(install()).rejects.toMatchObject({ kind: 'forbidden' });
  });

  test('another instance that installs at the same time does no harm', async () => {
    cluster.onCall = ({ verb }) => {
      if (verb !== 'create') return;
      cluster.onCall = undefined;
      for (const name of allNames)
        putForeign(name, { labels: { 'app.kubernetes.io/managed-by': 'varve-operator' } });
    };
    await install();
    expect(cluster.peekAll(customResourceDefinitions)).toHaveLength(allNames.length);
  });
});
