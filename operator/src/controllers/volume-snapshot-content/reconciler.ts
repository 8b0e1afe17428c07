/**
 * Brings one VolumeSnapshotContent and its snapshot at the storage daemon into agreement. The key is the content's
 * name. It owns the content's finalizer, status and being-created mark, and the snapshot at the daemon. A repeat is
 * harmless because the snapshot's id derives from the VolumeSnapshot's UID and the daemon's calls are idempotent. It
 * never lets a content go while a creation may be under way, and never deletes data because a VolumeSnapshot is
 * missing from a cache. It comes back when the content, its snapshot or the daemon changes, and with growing pauses
 * while the daemon refuses.
 */
import { isProblemError } from '@varve/contract/problem';
import type { Snapshot } from '@varve/contract/snapshot';
import type { ControllerContext } from '../../controller-context.ts';
import { changeFinalizers } from '../../kube/finalizer.ts';
import { isTerminating } from '../../kube/kubernetes-object.ts';
import { done, type ReconcileResult } from '../../kube/reconcile-result.ts';
import type { ControllerModule, Reconciler } from '../../kube/reconciler.ts';
import { volumeSnapshotContents } from '../../kube/resource.ts';
import type { VolumeSnapshotContent } from '../../kube/snapshot-kinds.ts';
import { patchStatus } from '../../kube/status-patch.ts';
import { ConditionSupport } from '../shared/condition-support.ts';
import { daemonLabels } from '../shared/daemon-labels.ts';
import { describeProblem, endWith, isHopeless } from '../shared/daemon-problem.ts';
import type { DecisionContext } from '../shared/decision-context.ts';
import { tell } from '../shared/object-event.ts';
import { annotations, finalizers, yes } from '../shared/protocol-names.ts';
import { snapshotNote, writeNote } from '../shared/status-note.ts';
import { takeSteps } from '../shared/steps.ts';
import { formatHandle, type StorageHandle } from '../shared/storage-handle.ts';
import {
  clearedStatus,
  deletionWaitWrite,
  failureWrite,
  takenPatch,
  type ContentFailure,
  type StatusWrite,
} from './content-status.ts';
import { decide, type Decision } from './decide.ts';
import { gather } from './gather.ts';
import { contentIndexes, contentWatches } from './watches.ts';

type StepResult = ReconcileResult | 'again';
type ContentChange = Exclude<Decision, { kind: 'nothing' }>;

/** Creates the controller of VolumeSnapshotContents. */
export function createVolumeSnapshotContentController(
  context: ControllerContext,
): ControllerModule {
  return {
    name: 'volume-snapshot-content',
    watches: contentWatches,
    indexes: contentIndexes,
    reconciler: new VolumeSnapshotContentReconciler(context),
  };
}

class VolumeSnapshotContentReconciler implements Reconciler {
  readonly #context: ControllerContext;
  readonly #conditions: ConditionSupport;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#conditions = new ConditionSupport(context.snapshotRole);
  }

  async reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    try {
      return await takeSteps(signal, async () => {
        const world = await gather(key, this.#context);
        const decision = decide(world, this.#decisionContext());
        const { content } = world;
        if (content === undefined || decision.kind === 'nothing') return done();
        return this.#act(content, decision, signal);
      });
    } finally {
      if (!signal.aborted) await this.#note(key);
    }
  }

  async #note(key: string): Promise<void> {
    if (this.#conditions.isSupported) return;
    const { client, listers, driverName } = this.#context;
    const object = listers.of(volumeSnapshotContents).get(key);
    if (object?.spec.driver !== driverName || isTerminating(object)) return;
    await writeNote(client, volumeSnapshotContents, { object, note: snapshotNote(object) });
  }

  async #act(
    content: VolumeSnapshotContent,
    change: ContentChange,
    signal: AbortSignal,
  ): Promise<StepResult> {
    switch (change.kind) {
      case 'prepare':
        await this.#prepare(content, change);
        return 'again';
      case 'take-snapshot':
        return this.#takeSnapshot(content, change, signal);
      case 'query-snapshot':
        return this.#querySnapshot(content, change.handle, signal);
      case 'delete-snapshot':
        return this.#deleteSnapshot(content, change.handle, signal);
      case 'settle':
        await this.#settle(content);
        break;
      case 'give-up':
        await this.#settle(await this.#writeStatus(content, change.write));
        break;
      case 'write-status':
        await this.#writeStatus(content, change.write);
        break;
      case 'remove-finalizer':
        await this.#removeFinalizer(content);
        break;
      case 'report-invalid':
        this.#context.events.warning(content, 'ContentValidationError', change.message);
    }
    return done();
  }

  /** One patch, acknowledged before the daemon is asked for anything. */
  async #prepare(
    content: VolumeSnapshotContent,
    change: { readonly addsFinalizer: boolean; readonly marks: boolean },
  ): Promise<void> {
    const { name, resourceVersion, finalizers: held = [] } = content.metadata;
    const metadata = {
      resourceVersion,
      ...(change.addsFinalizer && { finalizers: [...held, finalizers.contentBound] }),
      ...(change.marks && { annotations: { [annotations.contentBeingCreated]: yes } }),
    };
    const patch = { type: 'merge', body: { metadata } } as const;
    await this.#context.client.patch(volumeSnapshotContents, { name }, patch);
  }

  async #takeSnapshot(
    content: VolumeSnapshotContent,
    { handle, volumeId }: { readonly handle: StorageHandle; readonly volumeId: string },
    signal: AbortSignal,
  ): Promise<StepResult> {
    const labels = daemonLabels({ ...content.spec.volumeSnapshotRef, kind: 'VolumeSnapshot' });
    let taken: Snapshot;
    try {
      const daemon = await this.#context.daemons.clientOf(handle.daemon);
      taken = await daemon.putSnapshot(handle.id, { volume: volumeId, labels }, { signal });
    } catch (error) {
      return this.#creationFailed(content, error);
    }
    const patch = takenPatch(content, formatHandle(handle), taken, this.#decisionContext());
    // On its own and before the mark goes: what was taken must be on record first.
    await this.#writeStatus(content, { patch, events: [] });
    return 'again';
  }

  async #creationFailed(content: VolumeSnapshotContent, error: unknown): Promise<StepResult> {
    if (!isProblemError(error)) throw error;
    const message = `Failed to create snapshot: ${describeProblem(error)}`;
    const failure = { reason: 'SnapshotCreationFailed', message };
    const written = await this.#recordFailure(content, failure);
    // While it is tried again the mark stays: an earlier attempt may have had effect without an answer.
    if (isHopeless(error)) await this.#settle(written);
    return endWith(error);
  }

  async #querySnapshot(
    content: VolumeSnapshotContent,
    handle: StorageHandle,
    signal: AbortSignal,
  ): Promise<StepResult> {
    let found: Snapshot;
    try {
      const daemon = await this.#context.daemons.clientOf(handle.daemon);
      found = await daemon.getSnapshot(handle.id, { signal });
    } catch (error) {
      if (!isProblemError(error)) throw error;
      const what =
        error.kind === 'not-found'
          ? `can not find snapshot for snapshotID ${formatHandle(handle)}; it is looked for again`
          : describeProblem(error);
      const message = `Failed to check and update snapshot content: ${what}`;
      const reason = 'SnapshotContentCheckandUpdateFailed';
      await this.#recordFailure(content, { reason, message });
      return endWith(error);
    }
    const patch = takenPatch(content, formatHandle(handle), found, this.#decisionContext());
    await this.#writeStatus(content, { patch, events: [] });
    return done();
  }

  async #deleteSnapshot(
    content: VolumeSnapshotContent,
    handle: StorageHandle,
    signal: AbortSignal,
  ): Promise<StepResult> {
    try {
      const daemon = await this.#context.daemons.clientOf(handle.daemon);
      await daemon.deleteSnapshot(handle.id, { signal });
    } catch (error) {
      if (!isProblemError(error)) throw error;
      const message = `Failed to delete snapshot: ${describeProblem(error)}`;
      const wait = { reason: 'SnapshotDeleteError', message };
      await this.#writeStatus(content, deletionWaitWrite(content, wait, this.#decisionContext()));
      return endWith(error);
    }
    const isHeldByOthers = (content.metadata.finalizers ?? []).length > 1;
    const emptied = isHeldByOthers
      ? await patchStatus(this.#context.client, volumeSnapshotContents, content, clearedStatus)
      : content;
    await this.#removeFinalizer(emptied);
    return done();
  }

  async #recordFailure(
    content: VolumeSnapshotContent,
    failure: ContentFailure,
  ): Promise<VolumeSnapshotContent> {
    return this.#writeStatus(content, failureWrite(content, failure, this.#decisionContext()));
  }

  async #writeStatus(
    content: VolumeSnapshotContent,
    write: StatusWrite | undefined,
  ): Promise<VolumeSnapshotContent> {
    if (write === undefined) return content;
    const { client, events } = this.#context;
    const answer = await patchStatus(client, volumeSnapshotContents, content, write.patch);
    if (write.patch.conditions !== undefined) this.#conditions.observe(answer);
    tell(events, content, write.events);
    return answer;
  }

  /** Takes the being-created mark away. */
  async #settle(content: VolumeSnapshotContent): Promise<void> {
    const { name, resourceVersion } = content.metadata;
    const metadata = {
      resourceVersion,
      annotations: { [annotations.contentBeingCreated]: null },
    };
    const patch = { type: 'merge', body: { metadata } } as const;
    await this.#context.client.patch(volumeSnapshotContents, { name }, patch);
  }

  async #removeFinalizer(content: VolumeSnapshotContent): Promise<void> {
    const remove = [finalizers.contentBound];
    await changeFinalizers(this.#context.client, volumeSnapshotContents, content, { remove });
  }

  #decisionContext(): DecisionContext {
    return {
      driverName: this.#context.driverName,
      nowMs: this.#context.clock.nowMs(),
      hasConditions: this.#conditions.isSupported,
    };
  }
}
