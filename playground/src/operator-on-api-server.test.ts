/**
 * The operator's machinery against the embedded API server, over real sockets: what it installs, what it
 * says, and that it goes on after everything that an API server may do to it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '@varve/common/clock';
import { silentLogger } from '@varve/common/logger';
import { readConfig } from '@varve/operator/config';
import { ApiConnection, apiConnectionDefaults } from '@varve/operator/kube/http/api-connection';
import { RestKubeClient, restKubeClientDefaults } from '@varve/operator/kube/http/rest-kube-client';
import { KubeMetrics } from '@varve/operator/kube/kube-metrics';
import {
  coreEvents,
  customResourceDefinitions,
  leases,
  storageDaemons,
} from '@varve/operator/kube/resource';
import type { Operator } from '@varve/operator/operator';
import { startOperator } from '@varve/operator/operator';
import type { ApiServer, ApiServerOptions } from './api-server/api-server.ts';
import { startApiServer } from './api-server/api-server.ts';
import { refuseWith } from './api-server/http/interception.ts';

/** A user's view of the cluster. */
interface User {
  readonly client: RestKubeClient;
  readonly connection: ApiConnection;
}

let folder: string;
let server: ApiServer;
let user: User;
let operators: Operator[];

function kubeConfigOf({ kubeconfig }: ApiServer): KubeConfig {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  return config;
}

function connect(apiServer: ApiServer): User {
  const clock = systemClock;
  const connection = new ApiConnection(
    { ...apiConnectionDefaults, kubeConfig: kubeConfigOf(apiServer), userAgent: 'test' },
    { clock },
  );
  const metrics = new KubeMetrics();
  const client = new RestKubeClient(
    { fieldManager: 'test', ...restKubeClientDefaults },
    { connection, clock, metrics },
  );
  return { client, connection };
}

async function startServer(options: ApiServerOptions = {}): Promise<void> {
  server = await startApiServer({ stateDirectory: folder, token: 'a-token', ...options });
  user = connect(server);
}

async function start(...args: string[]): Promise<Operator> {
  const operator = await startOperator({
    config: readConfig({ args, environment: {} }),
    kubeConfig: kubeConfigOf(server),
    log: silentLogger(),
  });
  operators.push(operator);
  return operator;
}

/** Looks until it sees what it waits for; the test's own time limit ends a wait in vain. */
async function until<Found>(look: () => Promise<Found | undefined | false>): Promise<Found> {
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found !== undefined && found !== false) return found;
    await delay(20);
  }
}

async function declareDaemon(name: string): Promise<void> {
  await user.client.create(storageDaemons, {
    apiVersion: 'varve.dev/v1alpha1',
    kind: 'StorageDaemon',
    metadata: { name },
    spec: { endpoint: `unix://${join(folder, 'nobody.sock')}` },
  });
}

async function readyReasonOf(name: string): Promise<string | undefined> {
  const daemon = await user.client.get(storageDaemons, { name });
  return daemon.status?.conditions?.find(({ type }) => type === 'Ready')?.reason;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-operator-'));
  operators = [];
  await startServer();
});

afterEach(async () => {
  await Promise.all(operators.map(async (operator) => operator.stop()));
  await user.connection.close();
  await server.close();
  rmSync(folder, { recursive: true });
});

describe('operator on the embedded API server', () => {
  test('installs the definitions, judges a daemon, tells a user why, and ends cleanly', async () => {
    const operator = await start();
    await operator.working;
    const definitions = await user.client.list(customResourceDefinitions);
    expect(definitions.items.map(({ metadata }) => metadata.name).toSorted()).toEqual([
      'storagedaemons.varve.dev',
      'volumereverts.varve.dev',
      'volumesnapshotclasses.snapshot.storage.k8s.io',
      'volumesnapshotcontents.snapshot.storage.k8s.io',
      'volumesnapshots.snapshot.storage.k8s.io',
    ]);
    await declareDaemon('sd');
    await until(async () => (await readyReasonOf('sd')) === 'Unreachable');
    const event = await until(async () => {
      const { items } = await user.client.list(coreEvents, { namespace: 'default' });
      return items.find(({ involvedObject }) => involvedObject.name === 'sd');
    });
    expect(event).toMatchObject({
      type: 'Warning',
      reason: 'DaemonUnreachable',
      message: expect.stringContaining('cannot be reached (ENOENT)'),
    });
    await operator.stop();
    expect(await operator.stopped).toBe('stopped');
  });

  test('refuses nothing that it wrote itself: the status is as it was written', async () => {
    await (
      await start()
    ).working;
    await declareDaemon('sd');
    await until(async () => (await readyReasonOf('sd')) === 'Unreachable');
    const { status } = await user.client.get(storageDaemons, { name: 'sd' });
    expect(status?.observedGeneration).toBe(1);
    expect(status?.conditions?.map(({ type }) => type)).toEqual(['Ready', 'Schedulable']);
  });

  test('goes on when connections are cut and the history is gone', async () => {
    await (
      await start()
    ).working;
    await declareDaemon('before');
    await until(async () => (await readyReasonOf('before')) === 'Unreachable');
    for (const name of ['first', 'second']) {
      server.destroyConnections();
      server.compactHistory();
      await until(async () => {
        await declareDaemon(name);
        return true;
      });
      await until(async () => (await readyReasonOf(name)) === 'Unreachable');
    }
  });

  test('goes on when the API server was away, and what changed meanwhile is seen', async () => {
    await (
      await start()
    ).working;
    await declareDaemon('before');
    await until(async () => (await readyReasonOf('before')) === 'Unreachable');
    const port = Number(new URL(server.url).port);
    await user.connection.close();
    await server.close();
    await startServer({ listen: { port } });
    await declareDaemon('after');
    await until(async () => (await readyReasonOf('after')) === 'Unreachable');
  });

  test('waits for an API server that does not let it look, and says so', async () => {
    await server.close();
    let isForbidden = true;
    await startServer({
      intercept: ({ path }) =>
        isForbidden && path.includes('customresourcedefinitions')
          ? refuseWith(403, 'Forbidden', 'not allowed to look')
          : undefined,
    });
    const operator = await start();
    const answer = await until(async () => {
      const response = await fetch(`${operator.healthUrl}/readyz`);
      const text = await response.text();
      return text.includes('not allowed') && { code: response.status, text };
    });
    expect(answer.code).toBe(503);
    isForbidden = false;
    await operator.working;
    expect((await fetch(`${operator.healthUrl}/readyz`)).status).toBe(200);
    expect((await fetch(`${operator.healthUrl}/healthz`)).status).toBe(200);
    const metrics = await (await fetch(`${operator.healthUrl}/metrics`)).text();
    expect(metrics).toContain(
      'varve_operator_reflector_silence_seconds{resource="storagedaemons.varve.dev"}',
    );
  });

  test('of two one works, and the other takes over when it ends', async () => {
    const election = ['--leader-election=on', '--leader-election-namespace=default'];
    const first = await start(...election);
    await first.working;
    const second = await start(...election);
    let isSecondWorking = false;
    void second.working.then(() => (isSecondWorking = true));
    await declareDaemon('sd');
    await until(async () => (await readyReasonOf('sd')) === 'Unreachable');
    expect(isSecondWorking).toBe(false);
    expect((await fetch(`${second.healthUrl}/readyz`)).status).toBe(200);
    await first.stop();
    await second.working;
    const lease = await user.client.get(leases, { namespace: 'default', name: 'varve-operator' });
    expect(lease.spec?.leaseTransitions).toBe(1);
  });
});
