/**
 * When a source may be let go: a claim that a snapshot is being taken of or that is being cloned, and a snapshot that
 * a claim is being restored from. Pure. Others put these finalizers on; only this controller takes them off, and it
 * works out the need anew each time, so that none stays on because somebody died between two steps.
 */
import type { PersistentVolumeClaim } from '../../kube/core-kinds.ts';
import { hasFinalizer } from '../../kube/finalizer.ts';
import { isTerminating, type Condition } from '../../kube/kubernetes-object.ts';
import type { VolumeSnapshot, VolumeSnapshotContent } from '../../kube/snapshot-kinds.ts';
import { annotationOf } from '../shared/annotation.ts';
import { isPending } from '../shared/claim-source.ts';
import { changedConditions } from '../shared/condition-list.ts';
import { conditionTypes } from '../shared/condition-types.ts';
import type { DecisionContext } from '../shared/decision-context.ts';
import { warningEvent, type ObjectEvent } from '../shared/object-event.ts';
import { annotations, finalizers, yes } from '../shared/protocol-names.ts';

/** A snapshot that is asked of a claim, and its content if there is one. */
export interface RequestedSnapshot {
  readonly snapshot: VolumeSnapshot;
  readonly content: VolumeSnapshotContent | undefined;
}

/** All that a decision about the protection of one claim looks at. */
export interface ClaimWorld {
  readonly claim: PersistentVolumeClaim | undefined;
  /** Whether its volume is, or is to be, of our driver. */
  readonly isOurs: boolean;
  /** Whether we are the snapshot controller: `pvc-as-source-protection` is taken away by nobody else then. */
  readonly isSnapshotController: boolean;
  readonly snapshots: readonly RequestedSnapshot[];
  /** Claims that name it as their source. */
  readonly clones: readonly PersistentVolumeClaim[];
}

/** All that a decision about the protection of one snapshot looks at. */
export interface SnapshotWorld {
  readonly snapshot: VolumeSnapshot | undefined;
  /** Claims that name it as their source. */
  readonly restores: readonly PersistentVolumeClaim[];
}

/** One step for the reconciler. */
export type Decision =
  | { readonly kind: 'nothing'; readonly because: string }
  | { readonly kind: 'remove-finalizers'; readonly finalizers: readonly string[] }
  /** Say what holds a claim that is being deleted. */
  | {
      readonly kind: 'tell-blocker';
      readonly conditions: readonly Condition[] | undefined;
      readonly event: ObjectEvent;
    };

/** Decides about the finalizers of a claim. */
export function decideClaim(world: ClaimWorld, context: DecisionContext): Decision {
  const { claim } = world;
  if (claim === undefined) return nothing('the claim is gone');
  if (!world.isOurs) return nothing('it belongs to another driver');
  const isBeingDeleted = isTerminating(claim);
  const taken = world.snapshots
    .filter((each) => needsSource(each, isBeingDeleted))
    .map(({ snapshot }) => `VolumeSnapshot ${snapshot.metadata.name} is being taken of it`);
  const copied = world.clones
    .filter(isBeingMade)
    .map(({ metadata }) => `PVC ${metadata.name} is being cloned from it`);
  const idle = [
    ...(taken.length === 0 && world.isSnapshotController ? [finalizers.claimAsSource] : []),
    ...(copied.length === 0 ? [finalizers.claimCloning] : []),
  ].filter((finalizer) => hasFinalizer(claim, finalizer));
  if (idle.length > 0) return { kind: 'remove-finalizers', finalizers: idle };
  const blockers = [
    ...(hasFinalizer(claim, finalizers.claimAsSource) ? taken : []),
    ...(hasFinalizer(claim, finalizers.claimCloning) ? copied : []),
  ];
  return isBeingDeleted && blockers.length > 0
    ? tellBlockers(claim, blockers, context)
    : nothing('nothing to let go of');
}

/** Decides about the finalizer of a snapshot. */
export function decideSnapshot({ snapshot, restores }: SnapshotWorld): Decision {
  if (snapshot === undefined) return nothing('the snapshot is gone');
  if (!hasFinalizer(snapshot, finalizers.snapshotRestoring)) return nothing('it is not held');
  return restores.some(isBeingMade)
    ? nothing('a claim is being restored from it')
    : { kind: 'remove-finalizers', finalizers: [finalizers.snapshotRestoring] };
}

/**
 * Whether the snapshot still needs the claim's volume. A claim that is being deleted is held only by snapshots that
 * have got as far as their content: the others find the claim gone, and say so.
 */
function needsSource(
  { snapshot, content }: RequestedSnapshot,
  isClaimBeingDeleted: boolean,
): boolean {
  if (snapshot.status?.readyToUse === true || isTerminating(snapshot)) return false;
  if (content === undefined) return !isClaimBeingDeleted;
  const isSettled = annotationOf(content, annotations.contentBeingCreated) !== yes;
  const hasAnswer = content.status?.readyToUse === true || content.status?.error !== undefined;
  return !(isSettled && hasAnswer);
}

/** Whether the daemon may be copying for the claim: from before it is asked until the volume is bound. */
function isBeingMade(claim: PersistentVolumeClaim): boolean {
  return isPending(claim) && hasFinalizer(claim, finalizers.claimProvisioning);
}

function tellBlockers(
  claim: PersistentVolumeClaim,
  blockers: readonly string[],
  context: DecisionContext,
): Decision {
  const reason = 'UsedAsSource';
  const [first, ...others] = blockers;
  const rest = others.length === 0 ? '' : `, and ${others.length} more like it`;
  const message = `The claim is deleted when it is no longer needed: ${first}${rest}`;
  const event = warningEvent(reason, message);
  if (!context.hasConditions) return { kind: 'tell-blocker', conditions: undefined, event };
  const conditions = changedConditions(
    claim.status?.conditions,
    { type: conditionTypes.deletable, status: 'False', reason, message },
    { nowMs: context.nowMs },
  );
  return conditions === undefined ? nothing(message) : { kind: 'tell-blocker', conditions, event };
}

function nothing(because: string): Decision {
  return { kind: 'nothing', because };
}
