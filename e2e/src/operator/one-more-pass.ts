/**
 * One pass of every controller over every key, one after the other, on a fresh view of the cluster: what a restarted
 * operator does first. On a world that is at rest it must change nothing.
 */
import { systemClock } from '@varve/common/clock';
import { silentLogger } from '@varve/common/logger';
import { uncontestedRole } from '@varve/operator/coexistence/snapshot-role';
import type { ControllerContext } from '@varve/operator/controller-context';
import { createObjectControllers } from '@varve/operator/controller-modules';
import { DaemonMetrics } from '@varve/operator/daemons/daemon-metrics';
import { DaemonRegistry } from '@varve/operator/daemons/daemon-registry';
import { ObjectCache } from '@varve/operator/kube/cache/object-cache';
import { ApiConnection, apiConnectionDefaults } from '@varve/operator/kube/http/api-connection';
import { ObservedKubeClient } from '@varve/operator/kube/http/observed-kube-client';
import { RestKubeClient, restKubeClientDefaults } from '@varve/operator/kube/http/rest-kube-client';
import { KubeMetrics } from '@varve/operator/kube/kube-metrics';
import { objectKey } from '@varve/operator/kube/kubernetes-object';
import { Registry } from 'prom-client';
import type { OperatorSite } from './operator-site.ts';

/** How the passes went. */
export interface PassReport {
  /** How many there were. */
  readonly passCount: number;
  /** Outcomes other than `done`, and failures. */
  readonly unrest: readonly string[];
  /** Calls that changed something, or told something. */
  readonly calls: readonly string[];
}

/** Runs the passes. No operator may run. */
export async function oneMorePass(site: OperatorSite): Promise<PassReport> {
  const clock = systemClock;
  const log = silentLogger();
  const metrics = new KubeMetrics(new Registry());
  const connection = new ApiConnection(
    { ...apiConnectionDefaults, kubeConfig: site.kubeConfig, userAgent: 'varve-operator/test' },
    { clock },
  );
  const client = new RestKubeClient(
    { ...restKubeClientDefaults, fieldManager: 'varve-operator' },
    { connection, clock, metrics },
  );
  const cache = new ObjectCache({ client, clock, log, metrics });
  const daemons = new DaemonRegistry({
    client,
    listers: cache,
    clock,
    log,
    metrics: new DaemonMetrics(new Registry()),
  });
  const told: string[] = [];
  const tell = (_object: unknown, reason: string, message: string): void => {
    told.push(`event ${reason}: ${message}`);
  };
  const context: ControllerContext = {
    driverName: 'csi.varve.dev',
    client: new ObservedKubeClient(client, cache),
    listers: cache,
    daemons,
    events: { normal: tell, warning: tell },
    snapshotRole: uncontestedRole,
    clock,
    log,
  };
  site.gate.arm();
  try {
    const { passCount, unrest } = await passOverAll(context, cache);
    return { passCount, unrest, calls: [...site.gate.calls, ...told] };
  } finally {
    await cache.stop();
    await daemons.destroy();
    await connection.close();
  }
}

async function passOverAll(
  context: ControllerContext,
  cache: ObjectCache,
): Promise<{ passCount: number; unrest: readonly string[] }> {
  const modules = createObjectControllers(context);
  for (const module of modules) {
    for (const { resource } of module.watches) cache.register(resource);
    for (const index of module.indexes) cache.addIndex(index);
  }
  cache.start();
  await cache.synced();
  const unrest: string[] = [];
  let passCount = 0;
  for (const { name, watches, reconciler } of modules) {
    const keys = new Set(
      watches.flatMap((watch) =>
        cache
          .of(watch.resource)
          .list()
          .flatMap((object) => {
            const change = { type: 'modified', object, previous: object } as const;
            return [objectKey(object.metadata), ...watch.keysOf(change, cache)];
          }),
      ),
    );
    for (const key of keys) {
      passCount += 1;
      const { outcome } = await reconciler.reconcile(key, new AbortController().signal);
      if (outcome !== 'done') unrest.push(`${name} ${key}: ${outcome}`);
    }
  }
  return { passCount, unrest };
}
