/**
 * Watches over one storage daemon. The key is the StorageDaemon's name. It owns the object's status and
 * nothing else, and never changes anything at the daemon, so a repeat is harmless. It comes back when the
 * object changes, and by time: a daemon does not tell when it goes away.
 */
import type { ControllerContext } from '../../controller-context.ts';
import type { DaemonRegistry } from '../../daemons/daemon-registry.ts';
import { done, requeueAfter } from '../../kube/reconcile-result.ts';
import type { ReconcileResult } from '../../kube/reconcile-result.ts';
import type { ControllerModule, Reconciler } from '../../kube/reconciler.ts';
import { watch } from '../../kube/reconciler.ts';
import { storageDaemons } from '../../kube/resource.ts';
import { patchStatus } from '../../kube/status-patch.ts';
import { isTerminating } from '../../kube/kubernetes-object.ts';
import { decide } from './decide.ts';
import { gather } from './gather.ts';

/** Creates the controller of StorageDaemons. */
export function createStorageDaemonController(
  context: ControllerContext,
  registry: DaemonRegistry,
): ControllerModule {
  return {
    name: 'storage-daemon',
    watches: [
      // The status is this controller's own work: only what an administrator changed is a reason to ask.
      watch(storageDaemons, ({ type, object, previous }) =>
        type === 'modified' && object.metadata.generation === previous.metadata.generation
          ? []
          : [object.metadata.name],
      ),
    ],
    indexes: [],
    reconciler: new StorageDaemonReconciler(context, registry),
  };
}

class StorageDaemonReconciler implements Reconciler {
  readonly #context: ControllerContext;
  readonly #registry: DaemonRegistry;

  constructor(context: ControllerContext, registry: DaemonRegistry) {
    this.#context = context;
    this.#registry = registry;
  }

  async reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    const { client, listers, clock, events } = this.#context;
    const daemon = listers.of(storageDaemons).get(key);
    if (daemon === undefined || isTerminating(daemon)) {
      this.#registry.forget(key);
      return done();
    }
    const findings = await gather(daemon, this.#registry, signal);
    if (findings.failure?.kind === 'unauthenticated') this.#registry.doubt(key);
    const decision = decide({ daemon, findings }, clock.nowMs());
    await patchStatus(client, storageDaemons, daemon, decision.status);
    for (const { type, reason, message } of decision.events) events[type](daemon, reason, message);
    return requeueAfter(decision.delayMs);
  }
}
