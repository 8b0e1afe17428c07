import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@varve/common/clock';
import { DaemonMetrics } from '../../daemons/daemon-metrics.ts';
import { DaemonRegistry } from '../../daemons/daemon-registry.ts';
import { Registry } from 'prom-client';
import { secrets, storageDaemons } from '../../kube/resource.ts';
import type { StorageDaemon } from '../../kube/storage-daemon-kind.ts';
import { ControllerHarness } from '../../testing/controller-harness.ts';
import { FakeDaemon, fakeInfo } from '../../testing/fake-daemon.ts';
import { MemoryCluster } from '../../testing/memory-cluster.ts';
import { createStorageDaemonController } from './reconciler.ts';

let daemon: FakeDaemon;
let cluster: MemoryCluster;
let registry: DaemonRegistry;
let harness: ControllerHarness;

function declare(spec: Partial<StorageDaemon['spec']> = {}, name = 'sd'): void {
  cluster.put(storageDaemons, {
    apiVersion: 'varve.dev/v1alpha1',
    kind: 'StorageDaemon',
    metadata: { name },
    spec: { endpoint: daemon.endpoint, ...spec },
  });
}

function readyOf(object: StorageDaemon | undefined): string {
  const ready = object?.status?.conditions?.find(({ type }) => type === 'Ready');
  return `${ready?.status} ${ready?.reason}`;
}

async function untilReadyIs(wanted: string, name = 'sd'): Promise<StorageDaemon> {
  const object = await cluster.until(storageDaemons, name, (held) => readyOf(held) === wanted);
  return object!;
}

beforeEach(async () => {
  daemon = new FakeDaemon();
  await daemon.start();
  cluster = new MemoryCluster(systemClock);
  harness = await ControllerHarness.start({
    cluster,
    clock: systemClock,
    createModules: (context) => {
      registry = new DaemonRegistry({
        ...context,
        client: cluster,
        metrics: new DaemonMetrics(new Registry()),
      });
      return [createStorageDaemonController(context, registry)];
    },
  });
});

afterEach(async () => {
  await harness.stop();
  await registry.destroy();
  await daemon.stop();
});

describe('StorageDaemon controller', () => {
  test('shows a daemon that works, and lets everybody have its client', async () => {
    declare();
    const object = await untilReadyIs('True Serving');
    expect(object.status).toMatchObject({
      daemonId: fakeInfo.daemonId,
      size: '64Gi',
      pools: [{ name: 'fast', ready: true }],
    });
    expect(harness.events).toEqual(['Normal sd DaemonReady: pool fast has 64 GiB free of 64 GiB']);
    await expect((await registry.clientOf('sd')).getInfo()).resolves.toEqual(fakeInfo);
  });

  test('notices that a daemon went away and came back, by itself', async () => {
    declare();
    await untilReadyIs('True Serving');
    await daemon.stop();
    // An administrator's change makes it ask at once; otherwise the next round would.
    declare({ cordoned: true });
    const object = await untilReadyIs('False Unreachable');
    expect(object.status?.pools).toHaveLength(1);
    await daemon.start();
    await untilReadyIs('True Serving');
    expect(harness.events.map((event) => event.split(':')[0])).toEqual([
      'Normal sd DaemonReady',
      'Warning sd DaemonUnreachable',
      'Normal sd Cordoned',
      'Normal sd DaemonReady',
    ]);
  });

  test('uses the token of the Secret, and the new one after it was rotated', async () => {
    daemon.token = 'right';
    const secret = (token: string): void => {
      cluster.put(secrets, {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'access', namespace: 'varve-system' },
        data: { token: Buffer.from(`${token}\n`).toString('base64') },
      });
    };
    declare({ credentials: { secretRef: { name: 'access', namespace: 'varve-system' } } });
    const missing = await untilReadyIs('False CredentialsMissing');
    expect(JSON.stringify(missing.status)).toContain(
      'from Secret varve-system/access failed: it does not exist',
    );
    secret('wrong');
    const refused = await untilReadyIs('False CredentialsRefused');
    expect(JSON.stringify(refused.status)).not.toContain('wrong"');
    secret('right');
    await untilReadyIs('True Serving');
  });

  test('keeps everybody away from a daemon that is another one than before', async () => {
    declare();
    await untilReadyIs('True Serving');
    daemon.info = { ...fakeInfo, daemonId: '99999999-9999-4999-8999-999999999999' };
    declare({ cordoned: true });
    await untilReadyIs('False IdentityChanged');
    await expect(registry.clientOf('sd')).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('the volumes are on daemon 11111111'),
    });
    // A new object says: this one is meant.
    await cluster.delete(storageDaemons, { name: 'sd' });
    declare();
    await untilReadyIs('True Serving');
    await expect((await registry.clientOf('sd')).getInfo()).resolves.toEqual(daemon.info);
  });

  test('tells why there is no client', async () => {
    await expect(registry.clientOf('nowhere')).rejects.toMatchObject({
      kind: 'unavailable',
      message: 'Reaching storage daemon "nowhere" failed: there is no StorageDaemon of that name',
    });
    declare({ endpoint: 'http://192.0.2.1:9400' }, 'remote');
    const object = await untilReadyIs('False InvalidEndpoint', 'remote');
    expect(JSON.stringify(object.status)).toContain('plain http is for loopback only');
  });

  test('says which of a daemon’s states keeps it from serving', async () => {
    daemon.notReady = 'the daemon is starting';
    declare();
    await untilReadyIs('False NotReady');
    daemon.notReady = undefined;
    daemon.pools = [];
    await untilReadyIs('False NoPool');
  });
});
