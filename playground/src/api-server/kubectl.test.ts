/** Round trips of the real kubectl, if it is installed. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  startKubeControllers,
  type KubeControllers,
} from '../kube-controllers/kube-controllers.ts';
import { startApiServer, type ApiServer } from './api-server.ts';

const repository = resolve(import.meta.dirname, '../../..');
const isInstalled = spawnSync('kubectl', ['version', '--client']).status === 0;

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

let folder: string;
let server: ApiServer;
let controllers: KubeControllers;

async function kubectl(...args: string[]): Promise<Outcome> {
  const env = {
    ...process.env,
    KUBECONFIG: join(folder, 'kubeconfig'),
    KUBECACHEDIR: join(folder, 'cache'),
  };
  try {
    const options = { env, cwd: repository, timeout: 60_000 };
    const { stdout, stderr } = await promisify(execFile)('kubectl', args, options);
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

/** Runs kubectl and demands that it succeeds; returns what it printed. */
async function ok(...args: string[]): Promise<string> {
  const { code, out, err } = await kubectl(...args);
  expect(`${code} ${err}`).toMatch(/^0/);
  return out;
}

function manifest(name: string, text: string): string {
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, text);
  return file;
}

if (!isInstalled) {
  test('kubectl is not installed: its round trips are left out', () => {
    expect(isInstalled).toBe(false);
  });
}

(isInstalled ? describe : describe.skip)('kubectl', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'varve-kubectl-'));
    server = await startApiServer({ kubeconfigFile: join(folder, 'kubeconfig') });
    controllers = startKubeControllers(server.state, (_controller, _key, error) => {
      throw error;
    });
    for (const crd of readdirSync(join(repository, 'crds')))
      await ok('apply', '-f', join('crds', crd));
    await ok('wait', 'crd', '--all', '--for=condition=Established', '--timeout=20s');
  });

  afterAll(async () => {
    controllers.close();
    await server.close();
    rmSync(folder, { recursive: true });
  });

  test('applies the page as it stands, and a second time without a change', async () => {
    expect(await ok('apply', '-f', 'docs/examples')).toBe(
      'persistentvolumeclaim/my-restored-snapshot-volume created\n' +
        'pod/restored-database created\n' +
        'volumesnapshot.snapshot.storage.k8s.io/my-volume-snapshot created\n',
    );
    const again = await ok('apply', '-f', 'docs/examples');
    expect(again.match(/unchanged/g)).toHaveLength(3);
    expect((await kubectl('diff', '-f', 'docs/examples')).code).toBe(0);
  });

  test('applies on the server, over what was applied by the client', async () => {
    const { code, err } = await kubectl('apply', '--server-side', '-f', 'docs/examples');
    expect([code, err]).toEqual([0, '']);
    await ok('apply', '--server-side', '-f', 'docs/examples');
  });

  test('prints the columns of built-in and custom kinds', async () => {
    const claims = await ok('get', 'pvc', '-o', 'wide');
    expect(claims).toMatch(
      /^NAME +STATUS +VOLUME +CAPACITY +ACCESS MODES +STORAGECLASS .*AGE +VOLUMEMODE/,
    );
    expect(claims).toMatch(/my-restored-snapshot-volume +Pending/);
    const snapshots = await ok('get', 'volumesnapshot');
    expect(snapshots).toMatch(/^NAME +READYTOUSE +SOURCEPVC/);
    expect(await ok('get', 'pvc', '-o', 'name')).toBe(
      'persistentvolumeclaim/my-restored-snapshot-volume\n',
    );
    expect(
      await ok('get', 'pvc', '--sort-by=.metadata.name', '-o', 'jsonpath={.items[0].kind}'),
    ).toBe('PersistentVolumeClaim');
  });

  test('describes objects with their events', async () => {
    await ok(
      'wait',
      'pod/restored-database',
      '--for=condition=PodScheduled=false',
      '--timeout=20s',
    );
    const pod = await ok('describe', 'pod', 'restored-database');
    expect(pod).toContain('NoKubelet');
    expect(pod).toContain('The playground has no kubelet');
    expect(await ok('events', '--for', 'pod/restored-database')).toContain('NoKubelet');
    expect(await ok('describe', 'pvc', 'my-restored-snapshot-volume')).toMatch(
      /Used By: +restored-database/,
    );
    await ok('describe', 'volumesnapshot', 'my-volume-snapshot');
    await ok('describe', 'namespace', 'default');
  });

  test('changes objects in all its ways', async () => {
    const claim = 'pvc/my-restored-snapshot-volume';
    await ok('label', claim, 'a=b');
    await ok('annotate', claim, 'note=yes');
    await ok('patch', claim, '-p', '{"metadata":{"labels":{"c":"d"}}}');
    await ok('patch', claim, '--type=json', '-p', '[{"op":"remove","path":"/metadata/labels/a"}]');
    expect(await ok('get', claim, '-o', 'jsonpath={.metadata.labels}')).toBe('{"c":"d"}');
    const status = '{"status":{"readyToUse":true,"restoreSize":"256Mi"}}';
    const snapshot = 'volumesnapshot/my-volume-snapshot';
    await ok('patch', snapshot, '--subresource=status', '--type=merge', '-p', status);
    await ok('wait', snapshot, '--for=jsonpath={.status.readyToUse}=true', '--timeout=20s');
    const edit = { EDITOR: 'sed -i s/note:/remark:/' };
    Object.assign(process.env, edit);
    await ok('edit', claim);
    delete process.env['EDITOR'];
    expect(await ok('get', claim, '-o', 'jsonpath={.metadata.annotations.remark}')).toBe('yes');
  });

  test('is told what is wrong with a manifest', async () => {
    const unknown = manifest(
      'unknown',
      'apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: x}\nspec: {acessModes: []}\n',
    );
    expect((await kubectl('apply', '-f', unknown)).err).toContain(
      'strict decoding error: unknown field "spec.acessModes"',
    );
    const both = manifest(
      'both',
      'apiVersion: snapshot.storage.k8s.io/v1\nkind: VolumeSnapshot\nmetadata: {name: x}\nspec: {source: {}}\n',
    );
    expect((await kubectl('apply', '-f', both)).err).toContain(
      'The VolumeSnapshot "x" is invalid: spec.source',
    );
    const moved = '{"spec":{"accessModes":["ReadWriteMany"]}}';
    expect((await kubectl('patch', 'pvc/my-restored-snapshot-volume', '-p', moved)).err).toContain(
      'spec is immutable after creation',
    );
    expect((await kubectl('logs', 'restored-database')).err).toContain(
      'the playground has no kubelet',
    );
  });

  test('explains kinds, also custom ones', async () => {
    expect(await ok('explain', 'pvc.spec.dataSource')).toContain('apiGroup\t<string>');
    expect(await ok('explain', 'volumesnapshot.spec')).toContain(
      'volumeSnapshotClassName\t<string>',
    );
    expect(await ok('api-resources', '--categories=varve', '-o', 'name')).toContain(
      'storagedaemons.varve.dev',
    );
  });

  test('creates namespaces, configmaps, secrets and service accounts, and deletes them as one', async () => {
    await ok('create', 'namespace', 'team');
    await ok('create', 'configmap', 'c', '--from-literal=a=b', '-n', 'team');
    await ok('create', 'secret', 'generic', 's', '--from-literal=a=b', '-n', 'team');
    await ok('create', 'serviceaccount', 'x', '-n', 'team');
    expect(
      await ok('get', 'cm/c', 'secret/s', '-n', 'team', '-o', 'jsonpath={.items[*].data}'),
    ).toBe('{"a":"b"} {"a":"Yg=="}');
    await ok('delete', 'namespace', 'team', '--timeout=30s');
    expect((await kubectl('get', 'cm', 'c', '-n', 'team')).err).toContain('not found');
  });

  test('deletes, and waits until what it deleted is gone', async () => {
    await ok('delete', '-f', 'docs/examples', '--timeout=30s');
    expect((await kubectl('get', 'pvc,pod,volumesnapshot')).err).toContain('No resources found');
  });
});
