/**
 * Makes the volume that one PersistentVolumeClaim asks for. The key is the claim's namespace and name. It owns the
 * provisioning finalizer, the placement and the `Provisioned` condition of the claim, the creation of its
 * PersistentVolume, and the volume at the daemon until that exists. A repeat is harmless because both names derive from
 * the claim's UID and the place is written down first. It never makes an empty volume for a claim with a source, and
 * never leaves a volume behind that no object in Kubernetes tells of. It comes back when the claim, its source, its
 * class or a daemon changes, and with growing pauses while the daemon refuses.
 */
import { isDeepStrictEqual } from 'node:util';
import { KeyedMutex } from '@varve/common/keyed-mutex';
import { isProblemError, ProblemError } from '@varve/contract/problem';
import type { Volume } from '@varve/contract/volume';
import type { ControllerContext } from '../../controller-context.ts';
import { isAlreadyExists } from '../../kube/api-errors.ts';
import type { PersistentVolumeClaim } from '../../kube/core-kinds.ts';
import { changeFinalizers } from '../../kube/finalizer.ts';
import { objectKey } from '../../kube/kubernetes-object.ts';
import { done, type ReconcileResult } from '../../kube/reconcile-result.ts';
import type { ControllerModule, Reconciler } from '../../kube/reconciler.ts';
import { persistentVolumeClaims, persistentVolumes, volumeSnapshots } from '../../kube/resource.ts';
import { patchStatus } from '../../kube/status-patch.ts';
import { ConditionSupport } from '../shared/condition-support.ts';
import { daemonLabels } from '../shared/daemon-labels.ts';
import { describeProblem, endWith, isHopeless } from '../shared/daemon-problem.ts';
import type { DecisionContext } from '../shared/decision-context.ts';
import { tell } from '../shared/object-event.ts';
import { annotations, finalizers } from '../shared/protocol-names.ts';
import { takeSteps } from '../shared/steps.ts';
import { formatPlacement, type Placement } from '../shared/storage-handle.ts';
import { failureWrite, type StatusWrite } from './claim-status.ts';
import { decide, type Decision, type Order } from './decide.ts';
import { gather } from './gather.ts';
import { volumeName } from './names.ts';
import type { UsableSource } from './source-check.ts';
import { draftVolume } from './volume-draft.ts';
import { claimIndexes, claimWatches } from './watches.ts';

type StepResult = ReconcileResult | 'again';
type Change = Exclude<Decision, { kind: 'nothing' }>;

/** Creates the controller of PersistentVolumeClaims. */
export function createPersistentVolumeClaimController(
  context: ControllerContext,
): ControllerModule {
  return {
    name: 'persistent-volume-claim',
    watches: claimWatches,
    indexes: claimIndexes,
    reconciler: new PersistentVolumeClaimReconciler(context),
  };
}

class PersistentVolumeClaimReconciler implements Reconciler {
  readonly #context: ControllerContext;
  readonly #conditions = new ConditionSupport();
  readonly #provisionerIdentity: string;
  /** Many claims of one source start at once: one of them protects it, the others would only meet conflicts. */
  readonly #sourceLock = new KeyedMutex();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#provisionerIdentity = `${context.clock.nowMs()}-${process.pid}-${context.driverName}`;
  }

  async reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    return takeSteps(signal, async () => {
      const world = await gather(key, this.#context);
      const decision = decide(world, this.#decisionContext());
      const { claim } = world;
      if (claim === undefined || decision.kind === 'nothing') return done();
      return this.#act(claim, decision, signal);
    });
  }

  async #act(
    claim: PersistentVolumeClaim,
    change: Change,
    signal: AbortSignal,
  ): Promise<StepResult> {
    switch (change.kind) {
      case 'place':
        await this.#place(claim, change.placement);
        return 'again';
      case 'place-beside-source':
        return this.#placeBesideSource(claim, change, signal);
      case 'protect-snapshot':
        await this.#protectSnapshot(objectKey(change.snapshot.metadata));
        return 'again';
      case 'protect-claim':
        await this.#protectClaim(objectKey(change.source.metadata));
        return 'again';
      case 'create-volume':
        return this.#createVolume(claim, change, signal);
      case 'abandon':
        return this.#abandon(claim, change.placement, signal);
      case 'release':
        await this.#release(claim);
        return 'again';
      case 'clear-condition':
        await this.#writeStatus(claim, { conditions: change.conditions, events: [] });
        break;
      case 'write-status':
        await this.#writeStatus(claim, change.write);
    }
    return done();
  }

  /** One patch, acknowledged before the daemon is asked for anything. */
  async #place(claim: PersistentVolumeClaim, placement: Placement): Promise<void> {
    const { client, events } = this.#context;
    const { namespace, name, resourceVersion, finalizers: held = [] } = claim.metadata;
    const others = held.filter((each) => each !== finalizers.claimProvisioning);
    const metadata = {
      resourceVersion,
      finalizers: [...others, finalizers.claimProvisioning],
      annotations: { [annotations.claimPlacement]: formatPlacement(placement) },
    };
    const patch = { type: 'merge', body: { metadata } } as const;
    await client.patch(persistentVolumeClaims, { namespace, name }, patch);
    const title = objectKey(claim.metadata);
    const message = `External provisioner is provisioning volume for claim "${title}"`;
    events.normal(claim, 'Provisioning', message);
  }

  async #placeBesideSource(
    claim: PersistentVolumeClaim,
    { order, source }: { readonly order: Order; readonly source: UsableSource },
    signal: AbortSignal,
  ): Promise<StepResult> {
    let pool: string;
    try {
      pool = await this.#poolOf(source, signal);
    } catch (error) {
      return this.#provisioningFailed(claim, error);
    }
    const { demand, storageClass } = order;
    if (demand.pool !== undefined && demand.pool !== pool) {
      const { name } = storageClass.metadata;
      const message =
        `the source is in pool ${pool}, and a copy stays with its source, ` +
        `but StorageClass ${name} places volumes in pools named ${demand.pool} only`;
      await this.#writeStatus(claim, failureWrite(claim, message, this.#decisionContext()));
      return done();
    }
    await this.#place(claim, { daemon: source.handle.daemon, pool });
    return 'again';
  }

  async #poolOf({ kind, handle }: UsableSource, signal: AbortSignal): Promise<string> {
    const daemon = await this.#context.daemons.clientOf(handle.daemon);
    const found =
      kind === 'snapshot'
        ? await daemon.getSnapshot(handle.id, { signal })
        : await daemon.getVolume(handle.id, { signal });
    return found.pool;
  }

  async #protectSnapshot(key: string): Promise<void> {
    const { client, listers } = this.#context;
    await this.#sourceLock.runExclusive([`snapshot ${key}`], async () => {
      const snapshot = listers.of(volumeSnapshots).get(key);
      if (snapshot === undefined) return;
      const add = [finalizers.snapshotRestoring];
      await changeFinalizers(client, volumeSnapshots, snapshot, { add });
    });
  }

  async #protectClaim(key: string): Promise<void> {
    const { client, listers } = this.#context;
    await this.#sourceLock.runExclusive([`claim ${key}`], async () => {
      const source = listers.of(persistentVolumeClaims).get(key);
      if (source === undefined) return;
      const add = [finalizers.claimCloning];
      await changeFinalizers(client, persistentVolumeClaims, source, { add });
    });
  }

  async #createVolume(
    claim: PersistentVolumeClaim,
    change: { readonly placement: Placement; readonly order: Order },
    signal: AbortSignal,
  ): Promise<StepResult> {
    const { client, events } = this.#context;
    let volume: Volume;
    try {
      volume = await this.#putVolume(claim, change, signal);
    } catch (error) {
      return this.#provisioningFailed(claim, error);
    }
    const { order, placement } = change;
    const draft = draftVolume(claim, {
      driverName: this.#context.driverName,
      provisionerIdentity: this.#provisionerIdentity,
      storageClass: order.storageClass,
      demand: order.demand,
      daemon: placement.daemon,
      volume,
      sourceTitle: order.source?.title,
    });
    const name = volumeName(claim.metadata.uid);
    try {
      await client.create(persistentVolumes, draft);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      // Our own earlier work: the cache learns of it here.
      await client.get(persistentVolumes, { name });
      return 'again';
    }
    events.normal(claim, 'ProvisioningSucceeded', `Successfully provisioned volume ${name}`);
    return 'again';
  }

  async #putVolume(
    claim: PersistentVolumeClaim,
    { placement, order }: { readonly placement: Placement; readonly order: Order },
    signal: AbortSignal,
  ): Promise<Volume> {
    const { source, demand } = order;
    const daemon = await this.#context.daemons.clientOf(placement.daemon);
    const wanted = source === undefined ? undefined : { [source.kind]: source.handle.id };
    const volume = await daemon.putVolume(
      volumeName(claim.metadata.uid),
      {
        pool: placement.pool,
        sizeBytes: demand.sizeBytes,
        ...(wanted !== undefined && { source: wanted }),
        labels: daemonLabels({ ...claim.metadata, kind: 'PersistentVolumeClaim' }),
      },
      { signal },
    );
    // The daemon promises both; to hand out an empty volume for a restore is the one thing that must never happen.
    if (volume.sizeBytes < demand.sizeBytes || !isDeepStrictEqual(volume.source, wanted)) {
      const what = `Creating volume ${volume.id} failed: the daemon answered with another size or source`;
      throw new ProblemError('already-exists', what);
    }
    return volume;
  }

  async #provisioningFailed(claim: PersistentVolumeClaim, error: unknown): Promise<StepResult> {
    if (!isProblemError(error)) throw error;
    const message = isHopeless(error)
      ? `Volume provisioning failed with infeasible error. ${describeProblem(error)}`
      : describeProblem(error);
    await this.#writeStatus(claim, failureWrite(claim, message, this.#decisionContext()));
    return endWith(error);
  }

  async #abandon(
    claim: PersistentVolumeClaim,
    placement: Placement | undefined,
    signal: AbortSignal,
  ): Promise<StepResult> {
    // Without a placement the daemon was never asked.
    if (placement !== undefined) {
      try {
        const daemon = await this.#context.daemons.clientOf(placement.daemon);
        await daemon.deleteVolume(volumeName(claim.metadata.uid), { signal });
      } catch (error) {
        if (!isProblemError(error)) throw error;
        const { events } = this.#context;
        events.warning(claim, 'ProvisioningCleanupFailed', describeProblem(error));
        return endWith(error);
      }
    }
    await this.#release(claim);
    return done();
  }

  async #release(claim: PersistentVolumeClaim): Promise<void> {
    const remove = [finalizers.claimProvisioning];
    await changeFinalizers(this.#context.client, persistentVolumeClaims, claim, { remove });
  }

  async #writeStatus(claim: PersistentVolumeClaim, write: StatusWrite | undefined): Promise<void> {
    if (write === undefined) return;
    const { client, events } = this.#context;
    const { conditions } = write;
    if (conditions !== undefined) {
      const answer = await patchStatus(client, persistentVolumeClaims, claim, { conditions });
      if (conditions.length > 0) this.#conditions.observe(answer);
    }
    tell(events, claim, write.events);
  }

  #decisionContext(): DecisionContext {
    return {
      driverName: this.#context.driverName,
      nowMs: this.#context.clock.nowMs(),
      hasConditions: this.#conditions.isSupported,
    };
  }
}
