/**
 * Compares one storage daemon with the cluster, both ways, again and again. The key is the StorageDaemon's name. It
 * owns the object's condition `Consistent`. A repeat is harmless: it looks at both sides anew. It removes nothing
 * unless that is switched on, and then only data that was an orphan for the whole grace period and is one by the API
 * server's word too. It comes back by time, and when the daemon is back.
 */
import { isProblemError } from '@varve/contract/problem';
import { Gauge, type Registry } from 'prom-client';
import type { ControllerContext } from '../../controller-context.ts';
import { requeueAfter, done, type ReconcileResult } from '../../kube/reconcile-result.ts';
import type { ControllerModule, Reconciler } from '../../kube/reconciler.ts';
import { watch } from '../../kube/reconciler.ts';
import { persistentVolumes, storageDaemons, volumeSnapshotContents } from '../../kube/resource.ts';
import { patchStatus } from '../../kube/status-patch.ts';
import { isDaemonBack, isDaemonReady } from '../shared/daemon-readiness.ts';
import { tell } from '../shared/object-event.ts';
import { decide, type RemovalRules } from './decide.ts';
import { findOrphans, isStillOrphan } from './gather.ts';
import type { Orphan, OrphanKind } from './world.ts';

/** How often daemons are compared with the cluster, and what becomes of orphans. */
export interface OrphanCheckOptions {
  readonly intervalMs: number;
  readonly removal: RemovalRules;
}

const kinds: readonly OrphanKind[] = ['volume', 'snapshot', 'persistent-volume', 'content'];

/** Creates the controller that looks for orphans. */
export function createOrphanCheckController(
  context: ControllerContext,
  options: OrphanCheckOptions,
  registry: Registry,
): ControllerModule {
  return {
    name: 'orphan-check',
    watches: [
      watch(storageDaemons, (change) =>
        change.type === 'deleted' || isDaemonBack(change) ? [change.object.metadata.name] : [],
      ),
      // Not for what they wake: the comparison reads them.
      watch(persistentVolumes, () => []),
      watch(volumeSnapshotContents, () => []),
    ],
    indexes: [],
    reconciler: new OrphanCheckReconciler(context, options, registry),
  };
}

class OrphanCheckReconciler implements Reconciler {
  readonly #context: ControllerContext;
  readonly #options: OrphanCheckOptions;
  readonly #gauge: Gauge;
  /** Since when things at a daemon are orphans. Only a memory: after a restart each grace period begins anew. */
  readonly #sinceMs = new Map<string, ReadonlyMap<string, number>>();

  constructor(context: ControllerContext, options: OrphanCheckOptions, registry: Registry) {
    this.#context = context;
    this.#options = options;
    this.#gauge = new Gauge({
      name: 'varve_operator_orphans',
      help: 'Things without their counterpart, at the daemon or in the cluster, by daemon and kind',
      labelNames: ['daemon', 'kind'],
      registers: [registry],
    });
  }

  async reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    const { client, listers, events, clock } = this.#context;
    const found = listers.of(storageDaemons).get(key);
    if (found === undefined) {
      this.#forget(key);
      return done();
    }
    if (!isDaemonReady(found)) return done();
    const orphans = await findOrphans(key, this.#context, signal);
    const ageMsOf = this.#remember(key, orphans);
    for (const kind of kinds) {
      const count = orphans.filter((orphan) => orphan.kind === kind).length;
      this.#gauge.set({ daemon: key, kind }, count);
    }
    const daemon = listers.of(storageDaemons).get(key) ?? found;
    const { removal, intervalMs } = this.#options;
    const decision = decide({ daemon, orphans, ageMsOf }, removal, { nowMs: clock.nowMs() });
    const { conditions, removals } = decision;
    if (conditions !== undefined) await patchStatus(client, storageDaemons, daemon, { conditions });
    tell(events, daemon, decision.events);
    for (const orphan of removals) await this.#remove(key, orphan, signal);
    return requeueAfter(removals.length > 0 ? 0 : intervalMs);
  }

  #remember(key: string, orphans: readonly Orphan[]): (orphan: Orphan) => number {
    const nowMs = this.#context.clock.monotonicMs();
    const before = this.#sinceMs.get(key);
    const since = new Map(orphans.map((each) => [idOf(each), before?.get(idOf(each)) ?? nowMs]));
    this.#sinceMs.set(key, since);
    return (orphan) => nowMs - (since.get(idOf(orphan)) ?? nowMs);
  }

  #forget(key: string): void {
    this.#sinceMs.delete(key);
    for (const kind of kinds) this.#gauge.remove({ daemon: key, kind });
  }

  async #remove(daemonName: string, orphan: Orphan, signal: AbortSignal): Promise<void> {
    const client = await this.#context.daemons.clientOf(daemonName);
    try {
      const held =
        orphan.kind === 'volume'
          ? await client.getVolume(orphan.name, { signal })
          : await client.getSnapshot(orphan.name, { signal });
      if (!(await isStillOrphan({ ...held, orphan, daemonName }, this.#context))) return;
      if (orphan.kind === 'volume') await client.deleteVolume(orphan.name, { signal });
      else await client.deleteSnapshot(orphan.name, { signal });
    } catch (error) {
      if (isProblemError(error) && error.kind === 'not-found') return;
      throw error;
    }
    const daemon = this.#context.listers.of(storageDaemons).get(daemonName);
    const message = `Removed ${orphan.kind} ${orphan.name} of ${orphan.owner}, which nothing in the cluster names`;
    if (daemon !== undefined) this.#context.events.normal(daemon, 'OrphanRemoved', message);
    this.#context.log.info({ daemon: daemonName, ...orphan }, 'removed an orphan');
  }
}

function idOf({ kind, name }: Orphan): string {
  return `${kind}/${name}`;
}
