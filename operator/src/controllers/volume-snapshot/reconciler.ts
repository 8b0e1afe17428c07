/**
 * Brings one VolumeSnapshot to what its user asked for. The key is its namespace and name. It owns the snapshot's
 * finalizers and status, and the creation and deletion of its content. A repeat is harmless because the content's name
 * derives from the snapshot's UID and every change is guarded by a resourceVersion. It never talks to a storage
 * daemon, never deletes a content because its snapshot is missing, and never takes a second snapshot in place of a
 * lost one. It comes back when the snapshot, its content, claim, volume or class changes; only failed calls are
 * retried by time.
 */
import { KeyedMutex } from '@varve/common/keyed-mutex';
import { FencedKubeClient } from '../../coexistence/fenced-kube-client.ts';
import type { ControllerContext } from '../../controller-context.ts';
import { apiErrorKind, isAlreadyExists, isNotFound } from '../../kube/api-errors.ts';
import { changeFinalizers } from '../../kube/finalizer.ts';
import { isTerminating, objectKey, type Draft } from '../../kube/kubernetes-object.ts';
import { done, requeueAfter, type ReconcileResult } from '../../kube/reconcile-result.ts';
import type { ControllerModule, Reconciler } from '../../kube/reconciler.ts';
import {
  persistentVolumeClaims,
  volumeSnapshotContents,
  volumeSnapshots,
} from '../../kube/resource.ts';
import type { VolumeSnapshot, VolumeSnapshotContent } from '../../kube/snapshot-kinds.ts';
import { patchStatus } from '../../kube/status-patch.ts';
import { formatTime } from '../shared/condition-list.ts';
import { ConditionSupport } from '../shared/condition-support.ts';
import type { DecisionContext } from '../shared/decision-context.ts';
import { readLive } from '../shared/live-read.ts';
import { tell } from '../shared/object-event.ts';
import { annotations, finalizers, yes } from '../shared/protocol-names.ts';
import { snapshotNote, writeNote } from '../shared/status-note.ts';
import { takeSteps } from '../shared/steps.ts';
import { decide, type Decision } from './decide.ts';
import { gather } from './gather.ts';
import { failureWrite, type StatusWrite } from './snapshot-status.ts';
import type { World } from './world.ts';
import { snapshotIndexes, snapshotWatches } from './watches.ts';

type Change = Exclude<Decision, { kind: 'nothing' | 'wait' }>;

/** How a change that the API server refuses is told. Those marked go to the status as well. */
const refusals: Readonly<Record<Change['kind'], { reason: string; isFailure: boolean }>> = {
  'add-finalizers': { reason: 'SnapshotFinalizerError', isFailure: false },
  'choose-class': { reason: 'SetDefaultSnapshotClassFailed', isFailure: true },
  'create-content': { reason: 'SnapshotContentCreationFailed', isFailure: true },
  'claim-content': { reason: 'SnapshotBindFailed', isFailure: true },
  'write-status': { reason: 'SnapshotStatusUpdateFailed', isFailure: false },
  'release-content': { reason: 'SnapshotContentObjectDeleteError', isFailure: false },
  'remove-finalizers': { reason: 'SnapshotFinalizerError', isFailure: false },
};

/** Creates the controller of VolumeSnapshots. */
export function createVolumeSnapshotController(context: ControllerContext): ControllerModule {
  return {
    name: 'volume-snapshot',
    watches: snapshotWatches,
    indexes: snapshotIndexes,
    reconciler: new VolumeSnapshotReconciler(context),
  };
}

class VolumeSnapshotReconciler implements Reconciler {
  readonly #context: ControllerContext;
  readonly #conditions: ConditionSupport;
  /** Many snapshots of one claim start at once: one of them protects it, the others would only meet conflicts. */
  readonly #claimLock = new KeyedMutex();

  constructor(context: ControllerContext) {
    const client = new FencedKubeClient(context.client, context.snapshotRole);
    this.#context = { ...context, client };
    this.#conditions = new ConditionSupport(context.snapshotRole);
  }

  async reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    const { snapshotRole } = this.#context;
    // Another controller answers for all snapshots. When the role comes to us all keys are looked at again.
    if (snapshotRole.state === 'foreign') return done();
    if (snapshotRole.state === 'undecided')
      return this.#tellUndecided(key, snapshotRole.decidedByMs);
    return takeSteps(signal, async () => {
      const world = await gather(key, this.#context);
      const decision = decide(world, this.#decisionContext());
      const { snapshot } = world;
      if (snapshot === undefined) return done();
      if (decision.kind === 'nothing') return this.#note(snapshot, world);
      if (decision.kind === 'wait') return requeueAfter(decision.delayMs);
      try {
        return await this.#act(snapshot, decision);
      } catch (error) {
        await this.#reportRefusal(snapshot, decision, error);
        throw error;
      }
    });
  }

  /** At the end of a way, where conditions would say how it is. */
  async #note(object: VolumeSnapshot, { content }: World): Promise<ReconcileResult> {
    const { client, driverName } = this.#context;
    const isOurs = content === undefined || content.spec.driver === driverName;
    if (this.#conditions.isSupported || !isOurs || object.status === undefined) return done();
    if (isTerminating(object)) return done();
    await writeNote(client, volumeSnapshots, { object, note: snapshotNote(object) });
    return done();
  }

  /** Tells whoever waits for a snapshot of our driver what it waits for. Not another's: that is told by the other. */
  async #tellUndecided(key: string, decidedByMs: number | undefined): Promise<ReconcileResult> {
    const world = await gather(key, this.#context);
    const { snapshot, namedClass } = world;
    const { driverName, events } = this.#context;
    const isWaiting = snapshot?.status?.readyToUse !== true && namedClass?.driver === driverName;
    if (snapshot !== undefined && isWaiting && decidedByMs !== undefined) {
      const message =
        'Whether another snapshot-controller serves this cluster is being found out, until ' +
        `${formatTime(decidedByMs)} at the latest; the snapshot is taken then`;
      events.normal(snapshot, 'FindingSnapshotController', message);
    }
    return done();
  }

  async #act(snapshot: VolumeSnapshot, change: Change): Promise<ReconcileResult | 'again'> {
    const { client } = this.#context;
    switch (change.kind) {
      case 'create-content':
        await this.#createContent(snapshot, change.content);
        return 'again';
      case 'claim-content':
        await this.#claimContent(snapshot, change.content, change.className);
        return 'again';
      case 'choose-class':
        await this.#chooseClass(snapshot, change.className);
        return 'again';
      case 'add-finalizers':
        await changeFinalizers(client, volumeSnapshots, snapshot, { add: change.finalizers });
        return 'again';
      case 'remove-finalizers':
        await changeFinalizers(client, volumeSnapshots, snapshot, { remove: change.finalizers });
        break;
      case 'release-content':
        await this.#releaseContent(change.content);
        break;
      case 'write-status':
        await this.#writeStatus(snapshot, change.write);
    }
    return done();
  }

  async #chooseClass(snapshot: VolumeSnapshot, className: string): Promise<void> {
    const { namespace, name, resourceVersion } = snapshot.metadata;
    const body = { metadata: { resourceVersion }, spec: { volumeSnapshotClassName: className } };
    await this.#context.client.patch(volumeSnapshots, { namespace, name }, { type: 'merge', body });
  }

  async #createContent(
    snapshot: VolumeSnapshot,
    content: Draft<VolumeSnapshotContent>,
  ): Promise<void> {
    const { client, events } = this.#context;
    // It may have gone while we waited for the lock: then the next step says so.
    if (!(await this.#protectClaim(snapshot))) return;
    try {
      await client.create(volumeSnapshotContents, content);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      // Our own earlier work, or another's: the cache learns of it here, and the next step judges whose it is.
      await client.get(volumeSnapshotContents, { name: content.metadata.name ?? '' });
      return;
    }
    const title = objectKey(snapshot.metadata);
    const message = `Waiting for a snapshot ${title} to be created by the CSI driver.`;
    events.normal(snapshot, 'CreatingSnapshot', message);
  }

  /** Keeps the claim, and so its volume, until the snapshot is taken. Taken away by `source-protection`. */
  async #protectClaim(snapshot: VolumeSnapshot): Promise<boolean> {
    const { client, listers } = this.#context;
    const key = objectKey({
      namespace: snapshot.metadata.namespace,
      name: snapshot.spec.source.persistentVolumeClaimName ?? '',
    });
    return this.#claimLock.runExclusive([key], async () => {
      const claim = listers.of(persistentVolumeClaims).get(key);
      if (claim === undefined) return false;
      const add = [finalizers.claimAsSource];
      const held = await changeFinalizers(client, persistentVolumeClaims, claim, { add });
      return held !== undefined;
    });
  }

  async #claimContent(
    snapshot: VolumeSnapshot,
    content: VolumeSnapshotContent,
    className: string | undefined,
  ): Promise<void> {
    const { name, resourceVersion } = content.metadata;
    const body = {
      metadata: { resourceVersion },
      spec: {
        volumeSnapshotRef: { uid: snapshot.metadata.uid },
        ...(className === undefined ? {} : { volumeSnapshotClassName: className }),
      },
    };
    await this.#context.client.patch(volumeSnapshotContents, { name }, { type: 'merge', body });
  }

  async #writeStatus(snapshot: VolumeSnapshot, write: StatusWrite): Promise<void> {
    const { client, events } = this.#context;
    const answer = await patchStatus(client, volumeSnapshots, snapshot, write.patch);
    if (write.patch.conditions !== undefined) this.#conditions.observe(answer);
    tell(events, snapshot, write.events);
  }

  /** The mark first: it is what allows the content's own controller to delete the data. */
  async #releaseContent(content: VolumeSnapshotContent): Promise<void> {
    const { client } = this.#context;
    const { name, uid, resourceVersion } = content.metadata;
    if (content.metadata.annotations?.[annotations.contentBeingDeleted] !== yes) {
      const body = {
        metadata: { resourceVersion, annotations: { [annotations.contentBeingDeleted]: yes } },
      };
      await client.patch(volumeSnapshotContents, { name }, { type: 'merge', body });
    }
    if (content.spec.deletionPolicy !== 'Delete') return;
    try {
      await client.delete(volumeSnapshotContents, { name }, { uid });
      // The answer to a DELETE does not reach the cache. Without this the next pass would ask once more.
      await readLive(client, volumeSnapshotContents, { name });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** Only an answer that says no is worth telling: a conflict or a lost connection is retried without a word. */
  async #reportRefusal(snapshot: VolumeSnapshot, change: Change, error: unknown): Promise<void> {
    const kind = apiErrorKind(error);
    if (kind !== 'forbidden' && kind !== 'invalid' && kind !== 'bad-request') return;
    const { reason, isFailure } = refusals[change.kind];
    const { message } = error as Error;
    if (!isFailure) {
      this.#context.events.warning(snapshot, reason, message);
      return;
    }
    const write = failureWrite(snapshot, { reason, message }, this.#decisionContext());
    if (write !== undefined) await this.#writeStatus(snapshot, write);
  }

  #decisionContext(): DecisionContext {
    return {
      driverName: this.#context.driverName,
      nowMs: this.#context.clock.nowMs(),
      hasConditions: this.#conditions.isSupported,
    };
  }
}
