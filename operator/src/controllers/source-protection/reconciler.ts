/**
 * Takes the finalizers off sources that nobody needs any more. Two controllers, keyed by the claim and by the snapshot.
 * They own the removal of `pvc-as-source-protection`, `cloning-protection` and the provisioner's
 * `volumesnapshot-as-source-protection`, whoever put them on. A repeat is harmless because the need is worked out from
 * the objects each time. They never put one on, and touch no claim of another driver. They come back when the source
 * or anything made from it changes.
 */
import type { ControllerContext } from '../../controller-context.ts';
import type { PersistentVolumeClaim } from '../../kube/core-kinds.ts';
import { changeFinalizers } from '../../kube/finalizer.ts';
import { done, type ReconcileResult } from '../../kube/reconcile-result.ts';
import type { ControllerModule, Reconciler } from '../../kube/reconciler.ts';
import { persistentVolumeClaims, volumeSnapshots } from '../../kube/resource.ts';
import { patchStatus } from '../../kube/status-patch.ts';
import { ConditionSupport } from '../shared/condition-support.ts';
import { tell } from '../shared/object-event.ts';
import { decideClaim, decideSnapshot, type Decision } from './decide.ts';
import { gatherClaim, gatherSnapshot } from './gather.ts';
import {
  claimProtectionIndexes,
  claimProtectionWatches,
  snapshotProtectionIndexes,
  snapshotProtectionWatches,
} from './watches.ts';

/** Creates the controllers that protect sources. */
export function createSourceProtectionControllers(
  context: ControllerContext,
): readonly ControllerModule[] {
  return [
    {
      name: 'claim-protection',
      watches: claimProtectionWatches,
      indexes: claimProtectionIndexes,
      reconciler: new ClaimProtectionReconciler(context),
    },
    {
      name: 'snapshot-protection',
      watches: snapshotProtectionWatches,
      indexes: snapshotProtectionIndexes,
      reconciler: new SnapshotProtectionReconciler(context),
    },
  ];
}

class ClaimProtectionReconciler implements Reconciler {
  readonly #context: ControllerContext;
  readonly #conditions = new ConditionSupport();

  constructor(context: ControllerContext) {
    this.#context = context;
  }

  async reconcile(key: string): Promise<ReconcileResult> {
    const { client, driverName, clock } = this.#context;
    const world = gatherClaim(key, this.#context);
    const decision = decideClaim(world, {
      driverName,
      nowMs: clock.nowMs(),
      hasConditions: this.#conditions.isSupported,
    });
    const { claim } = world;
    if (claim === undefined) return done();
    if (decision.kind === 'tell-blocker') await this.#tellBlocker(claim, decision);
    if (decision.kind === 'remove-finalizers') {
      const remove = decision.finalizers;
      await changeFinalizers(client, persistentVolumeClaims, claim, { remove });
    }
    return done();
  }

  async #tellBlocker(
    claim: PersistentVolumeClaim,
    { conditions, event }: Extract<Decision, { kind: 'tell-blocker' }>,
  ): Promise<void> {
    const { client, events } = this.#context;
    if (conditions !== undefined) {
      const answer = await patchStatus(client, persistentVolumeClaims, claim, { conditions });
      this.#conditions.observe(answer);
    }
    tell(events, claim, [event]);
  }
}

class SnapshotProtectionReconciler implements Reconciler {
  readonly #context: ControllerContext;

  constructor(context: ControllerContext) {
    this.#context = context;
  }

  async reconcile(key: string): Promise<ReconcileResult> {
    const { client, listers } = this.#context;
    const world = gatherSnapshot(key, listers);
    const decision = decideSnapshot(world);
    if (world.snapshot === undefined || decision.kind !== 'remove-finalizers') return done();
    const remove = decision.finalizers;
    await changeFinalizers(client, volumeSnapshots, world.snapshot, { remove });
    return done();
  }
}
