/**
 * What is written to a snapshot's status. A status is written only when it differs, and an event is told only
 * with a write: without that, the write would wake the controller, which would write again.
 */
import type { Condition } from '../../kube/kubernetes-object.ts';
import type {
  SnapshotError,
  VolumeSnapshot,
  VolumeSnapshotContent,
} from '../../kube/snapshot-kinds.ts';
import type { ConditionState } from '../../kube/status-patch.ts';
import { changedConditions, findCondition, formatTime } from '../shared/condition-list.ts';
import { conditionTypes } from '../shared/condition-types.ts';
import type { DecisionContext } from '../shared/decision-context.ts';
import { normalEvent, warningEvent, type ObjectEvent } from '../shared/object-event.ts';
import { parseQuantityBytes, formatQuantityBytes } from '../shared/quantity.ts';

/** A merge patch of `status`: null takes a field away. */
export interface SnapshotStatusPatch {
  readonly boundVolumeSnapshotContentName?: string;
  readonly creationTime?: string;
  readonly readyToUse?: boolean;
  readonly restoreSize?: string;
  readonly error?: SnapshotError | null;
  readonly conditions?: readonly Condition[];
}

/** A write of the status, and what is told with it. */
export interface StatusWrite {
  readonly patch: SnapshotStatusPatch;
  readonly events: readonly ObjectEvent[];
}

/** Why a snapshot is not ready. The reasons are those of the upstream controller. */
export interface SnapshotFailure {
  readonly reason: string;
  readonly message: string;
  /** Failures to find the class say nothing about the data: they leave `readyToUse` as it is. */
  readonly leavesReadyToUse?: boolean;
}

/** Records a failure; undefined when it is recorded already. */
export function failureWrite(
  snapshot: VolumeSnapshot,
  failure: SnapshotFailure,
  context: DecisionContext,
): StatusWrite | undefined {
  const { reason, message } = failure;
  const conditions = conditionsStating(
    snapshot,
    { type: conditionTypes.ready, status: 'False', reason, message },
    context,
  );
  const isNews = snapshot.status?.error?.message !== message;
  if (!isNews && conditions === undefined) return undefined;
  return {
    patch: {
      ...(isNews ? { error: { time: formatTime(context.nowMs), message } } : {}),
      ...(failure.leavesReadyToUse === true ? {} : { readyToUse: false }),
      ...(conditions === undefined ? {} : { conditions }),
    },
    events: isNews ? [warningEvent(reason, message)] : [],
  };
}

/** Brings what the content says into the snapshot's status; undefined when it is there already. */
export function propagationWrite(
  snapshot: VolumeSnapshot,
  content: VolumeSnapshotContent,
  context: DecisionContext,
): StatusWrite | undefined {
  const status = snapshot.status ?? {};
  // A ready snapshot is not refreshed: only the loss of its content makes it un-ready again.
  const isReady = status.readyToUse === true || content.status?.readyToUse === true;
  const conditions = conditionsStating(snapshot, readyState(content, isReady), context);
  const fields = status.readyToUse === true ? {} : changedFields(snapshot, content);
  const patch: SnapshotStatusPatch = {
    ...fields,
    ...(conditions === undefined ? {} : { conditions }),
  };
  if (Object.keys(patch).length === 0) return undefined;
  return { patch, events: propagationEvents(snapshot, fields) };
}

/** Says that a deletion waits; undefined when that is said already. Without conditions, the event must do. */
export function deletionWaitWrite(
  snapshot: VolumeSnapshot,
  wait: { readonly reason: string; readonly message: string },
  context: DecisionContext,
): StatusWrite | undefined {
  const events = [warningEvent(wait.reason, wait.message)];
  if (!context.hasConditions) return { patch: {}, events };
  const state = { type: conditionTypes.deletable, status: 'False', ...wait } as const;
  const conditions = conditionsStating(snapshot, state, context);
  return conditions === undefined ? undefined : { patch: { conditions }, events };
}

function changedFields(
  snapshot: VolumeSnapshot,
  content: VolumeSnapshotContent,
): SnapshotStatusPatch {
  const status = snapshot.status ?? {};
  const { creationTime, restoreSize, readyToUse = false, error } = content.status ?? {};
  const knownSizeBytes = parseQuantityBytes(status.restoreSize ?? 0) ?? 0;
  return {
    ...(status.boundVolumeSnapshotContentName === undefined && {
      boundVolumeSnapshotContentName: content.metadata.name,
    }),
    ...(status.creationTime === undefined &&
      creationTime !== undefined && { creationTime: formatTime(creationTime / 1e6) }),
    ...(status.readyToUse !== readyToUse && { readyToUse }),
    ...(knownSizeBytes === 0 &&
      restoreSize !== undefined &&
      restoreSize > 0 && { restoreSize: formatQuantityBytes(restoreSize) }),
    ...(status.error?.message !== error?.message && { error: error ?? null }),
  };
}

function readyState(content: VolumeSnapshotContent, isReady: boolean): ConditionState {
  const type = conditionTypes.ready;
  if (isReady) {
    const message = `The snapshot can be restored from ${content.metadata.name}`;
    return { type, status: 'True', reason: 'SnapshotReady', message };
  }
  const failure = content.status?.error?.message;
  if (failure !== undefined) {
    return { type, status: 'False', reason: 'SnapshotCreationFailed', message: failure };
  }
  const message = `Waiting for the storage daemon to take the snapshot for ${content.metadata.name}`;
  return { type, status: 'False', reason: 'CreatingSnapshot', message };
}

function propagationEvents(
  snapshot: VolumeSnapshot,
  fields: SnapshotStatusPatch,
): readonly ObjectEvent[] {
  const { namespace, name } = snapshot.metadata;
  const title = `${namespace}/${name}`;
  const events: ObjectEvent[] = [];
  if (fields.creationTime !== undefined) {
    const message = `Snapshot ${title} was successfully created by the CSI driver.`;
    events.push(normalEvent('SnapshotCreated', message));
  }
  if (fields.readyToUse === true) {
    events.push(normalEvent('SnapshotReady', `Snapshot ${title} is ready to use.`));
  }
  if (fields.error?.message !== undefined) {
    events.push(warningEvent('SnapshotCreationFailed', fields.error.message));
  }
  return events;
}

function conditionsStating(
  snapshot: VolumeSnapshot,
  state: ConditionState,
  context: DecisionContext,
): readonly Condition[] | undefined {
  if (!context.hasConditions) return undefined;
  return changedConditions(snapshot.status?.conditions, state, {
    nowMs: context.nowMs,
    generation: snapshot.metadata.generation,
  });
}

/** Why the deletion of a content waits, if it does. */
export function deletionBlocker(content: VolumeSnapshotContent): Condition | undefined {
  const condition = findCondition(content.status?.conditions, conditionTypes.deletable);
  return condition?.status === 'False' ? condition : undefined;
}
