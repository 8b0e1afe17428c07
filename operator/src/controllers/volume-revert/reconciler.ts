/**
 * Puts a volume back to a snapshot, in place. The key is the VolumeRevert's. It owns the object's status, the creation
 * of the safety snapshot and the revert at the daemon. A repeat is harmless because both have names from the UID, and
 * the daemon remembers what it has done. It never deletes anything. It comes back when anything changes that it waits
 * for, and with growing pauses while the daemon refuses.
 */
import { isProblemError } from '@varve/contract/problem';
import type { ControllerContext } from '../../controller-context.ts';
import { isAlreadyExists } from '../../kube/api-errors.ts';
import { isTerminating } from '../../kube/kubernetes-object.ts';
import { done, terminal, type ReconcileResult } from '../../kube/reconcile-result.ts';
import type { ControllerModule, Reconciler } from '../../kube/reconciler.ts';
import { apiVersionOf, volumeReverts, volumeSnapshots } from '../../kube/resource.ts';
import { patchStatus, type ConditionState } from '../../kube/status-patch.ts';
import type { VolumeRevert } from '../../kube/volume-revert-kind.ts';
import { changedConditions, formatTime } from '../shared/condition-list.ts';
import { conditionTypes } from '../shared/condition-types.ts';
import { describeProblem, endWith, isHopeless } from '../shared/daemon-problem.ts';
import { readLive } from '../shared/live-read.ts';
import { takeSteps } from '../shared/steps.ts';
import { decide, type Decision } from './decide.ts';
import { gather } from './gather.ts';
import { revertId, safetySnapshotName } from './names.ts';
import { refusedReason } from './progress.ts';
import { revertIndexes, revertWatches } from './watches.ts';

/** Creates the controller of VolumeReverts. */
export function createVolumeRevertController(context: ControllerContext): ControllerModule {
  return {
    name: 'volume-revert',
    watches: revertWatches,
    indexes: revertIndexes,
    reconciler: new VolumeRevertReconciler(context),
  };
}

class VolumeRevertReconciler implements Reconciler {
  readonly #context: ControllerContext;

  constructor(context: ControllerContext) {
    this.#context = context;
  }

  async reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    return takeSteps(signal, async () => this.#step(key, signal));
  }

  async #step(key: string, signal: AbortSignal): Promise<ReconcileResult | 'again'> {
    const world = gather(key, this.#context.listers);
    const decision = decide(world, this.#context.driverName);
    const { revert } = world;
    if (revert === undefined) return done();
    switch (decision.kind) {
      case 'nothing':
        break;
      case 'wait':
        await this.#state(revert, decision);
        break;
      case 'refuse':
        await this.#state(revert, { reason: refusedReason, message: decision.message });
        return terminal(new Error(decision.message));
      case 'take-safety-snapshot':
        await this.#takeSafetySnapshot(revert, decision.className);
        return 'again';
      case 'revert':
        return this.#revert(revert, decision, signal);
    }
    return done();
  }

  /** Owned by nobody: it outlives the revert. */
  async #takeSafetySnapshot(revert: VolumeRevert, className: string | undefined): Promise<void> {
    const { namespace, name, uid } = revert.metadata;
    try {
      await this.#context.client.create(volumeSnapshots, {
        apiVersion: apiVersionOf(volumeSnapshots),
        kind: volumeSnapshots.kind,
        metadata: {
          ...(namespace === undefined ? {} : { namespace }),
          name: safetySnapshotName(uid),
          annotations: { 'varve.dev/volume-revert': name },
        },
        spec: {
          source: { persistentVolumeClaimName: revert.spec.persistentVolumeClaimName },
          ...(className === undefined ? {} : { volumeSnapshotClassName: className }),
        },
      });
    } catch (error) {
      // Ours of before: the cache will show it.
      if (!isAlreadyExists(error)) throw error;
    }
  }

  async #revert(
    revert: VolumeRevert,
    { volume, snapshot }: Extract<Decision, { kind: 'revert' }>,
    signal: AbortSignal,
  ): Promise<ReconcileResult> {
    // This replaces data: a user may have withdrawn it a moment ago.
    const { namespace, name, uid } = revert.metadata;
    const live = await readLive(this.#context.client, volumeReverts, { namespace, name });
    if (live?.metadata.uid !== uid || isTerminating(live)) return done();
    try {
      const daemon = await this.#context.daemons.clientOf(volume.daemon);
      const target = { volume: volume.id, revert: revertId(uid) };
      await daemon.putRevert(target, { snapshot: snapshot.id }, { signal });
    } catch (error) {
      if (!isProblemError(error)) throw error;
      const reason = isHopeless(error) ? refusedReason : 'DaemonRefused';
      await this.#state(live, { reason, message: describeProblem(error) });
      return endWith(error);
    }
    const message = `The volume is put back to VolumeSnapshot "${revert.spec.volumeSnapshotName}"`;
    await this.#state(live, { status: 'True', reason: 'Reverted', message });
    return done();
  }

  /** Writes the condition, and tells of it, if it is another than before. */
  async #state(
    revert: VolumeRevert,
    said: Pick<ConditionState, 'reason' | 'message'> & { readonly status?: 'True' },
  ): Promise<void> {
    const { client, clock, events } = this.#context;
    const { reason, message, status = 'False' } = said;
    const { generation, uid } = revert.metadata;
    const nowMs = clock.nowMs();
    const state: ConditionState = { type: conditionTypes.reverted, status, reason, message };
    const held = revert.status?.conditions;
    const conditions = changedConditions(held, state, { nowMs, generation });
    if (conditions === undefined) return;
    await patchStatus(client, volumeReverts, revert, {
      conditions,
      observedGeneration: generation,
      ...(status === 'True' ? { completionTime: formatTime(nowMs) } : {}),
      ...(status === 'True' && revert.spec.safetySnapshot !== false
        ? { safetySnapshotName: safetySnapshotName(uid) }
        : {}),
    });
    if (status === 'True') events.normal(revert, reason, message);
    else events.warning(revert, reason, message);
  }
}
