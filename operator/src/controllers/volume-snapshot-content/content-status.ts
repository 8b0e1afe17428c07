/**
 * What is written to a content's status. As on snapshots: only when it differs, and an event only with a write.
 * Messages hold nothing that changes from one attempt to the next.
 */
import type { Snapshot } from '@varve/contract/snapshot';
import type { Condition } from '../../kube/kubernetes-object.ts';
import type { SnapshotError, VolumeSnapshotContent } from '../../kube/snapshot-kinds.ts';
import type { ConditionState } from '../../kube/status-patch.ts';
import { changedConditions, formatTime } from '../shared/condition-list.ts';
import { conditionTypes } from '../shared/condition-types.ts';
import type { DecisionContext } from '../shared/decision-context.ts';
import { warningEvent, type ObjectEvent } from '../shared/object-event.ts';

/** A merge patch of `status`: null takes a field away. */
export interface ContentStatusPatch {
  readonly snapshotHandle?: string | null;
  /** Unix nanoseconds. */
  readonly creationTime?: number | null;
  readonly restoreSize?: number | null;
  readonly readyToUse?: boolean | null;
  readonly error?: SnapshotError | null;
  readonly conditions?: readonly Condition[];
}

/** A write of the status, and what is told with it. */
export interface StatusWrite {
  readonly patch: ContentStatusPatch;
  readonly events: readonly ObjectEvent[];
}

/** What went wrong, as a reason of the upstream sidecar and a sentence. */
export interface ContentFailure {
  readonly reason: string;
  readonly message: string;
}

/** Records what the daemon answered. What is recorded already stays: handle and time of a cut never change. */
export function takenPatch(
  content: VolumeSnapshotContent,
  handle: string,
  taken: Snapshot,
  context: DecisionContext,
): ContentStatusPatch {
  const { status } = content;
  const conditions = conditionsStating(
    content,
    {
      type: conditionTypes.ready,
      status: 'True',
      reason: 'SnapshotReady',
      message: `The storage daemon has taken the snapshot: ${handle}`,
    },
    context,
  );
  return {
    ...(status?.snapshotHandle === undefined && { snapshotHandle: handle }),
    ...(status?.creationTime === undefined && { creationTime: Date.parse(taken.createdAt) * 1e6 }),
    ...(status?.restoreSize === undefined &&
      taken.restoreSizeBytes > 0 && { restoreSize: taken.restoreSizeBytes }),
    readyToUse: true,
    ...(status?.error !== undefined && { error: null }),
    ...(conditions !== undefined && { conditions }),
  };
}

/** Records why there is no snapshot; undefined when that is recorded already. */
export function failureWrite(
  content: VolumeSnapshotContent,
  failure: ContentFailure,
  context: DecisionContext,
): StatusWrite | undefined {
  const { reason, message } = failure;
  const state = { type: conditionTypes.ready, status: 'False', reason, message } as const;
  const conditions = conditionsStating(content, state, context);
  const isNews = content.status?.error?.message !== message;
  if (!isNews && conditions === undefined) return undefined;
  return {
    patch: {
      ...(isNews && { error: { time: formatTime(context.nowMs), message } }),
      readyToUse: false,
      ...(conditions !== undefined && { conditions }),
    },
    events: isNews ? [warningEvent(reason, message)] : [],
  };
}

/** Says why the content is not deleted yet; undefined when that is said. Without conditions, the event must do. */
export function deletionWaitWrite(
  content: VolumeSnapshotContent,
  wait: ContentFailure,
  context: DecisionContext,
): StatusWrite | undefined {
  const events = [warningEvent(wait.reason, wait.message)];
  if (!context.hasConditions) return { patch: {}, events };
  const state = { type: conditionTypes.deletable, status: 'False', ...wait } as const;
  const conditions = conditionsStating(content, state, context);
  return conditions === undefined ? undefined : { patch: { conditions }, events };
}

/** Takes away what said that there is a snapshot, for a content that others keep after its data is deleted. */
export const clearedStatus: ContentStatusPatch = {
  snapshotHandle: null,
  creationTime: null,
  restoreSize: null,
  readyToUse: null,
};

function conditionsStating(
  content: VolumeSnapshotContent,
  state: ConditionState,
  context: DecisionContext,
): readonly Condition[] | undefined {
  if (!context.hasConditions) return undefined;
  return changedConditions(content.status?.conditions, state, {
    nowMs: context.nowMs,
    generation: content.metadata.generation,
  });
}
