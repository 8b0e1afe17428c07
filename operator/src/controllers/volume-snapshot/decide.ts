/**
 * What to do next about one VolumeSnapshot: the world in, one decision out. Pure. It reads top-down as the order of
 * the checks: foreign snapshots are left alone; deletion comes before validation; finalizers before the first
 * side effect; nothing is ever deleted, and no second snapshot taken, because an object is missing.
 */
import { canaryLabel } from '../../coexistence/canary.ts';
import { hasFinalizer } from '../../kube/finalizer.ts';
import type { Draft } from '../../kube/kubernetes-object.ts';
import { isTerminating } from '../../kube/kubernetes-object.ts';
import type {
  VolumeSnapshot,
  VolumeSnapshotClass,
  VolumeSnapshotContent,
} from '../../kube/snapshot-kinds.ts';
import { annotationOf } from '../shared/annotation.ts';
import type { DecisionContext } from '../shared/decision-context.ts';
import { annotations, finalizers, yes } from '../shared/protocol-names.ts';
import { draftContent } from './content-draft.ts';
import { contentName } from './names.ts';
import {
  deletionBlocker,
  deletionWaitWrite,
  failureWrite,
  propagationWrite,
  type SnapshotFailure,
  type StatusWrite,
} from './snapshot-status.ts';
import type { World } from './world.ts';

/** One step for the reconciler. */
export type Decision =
  /** All is as it should be, or somebody else has to act first: a watch wakes the key then. */
  | { readonly kind: 'nothing'; readonly because: string }
  /** Look again after a moment: most probably there is more to tell then. */
  | { readonly kind: 'wait'; readonly delayMs: number }
  | { readonly kind: 'add-finalizers'; readonly finalizers: readonly string[] }
  /** Write the only default class of our driver into the snapshot. */
  | { readonly kind: 'choose-class'; readonly className: string }
  /** Protect the claim, then create the content. */
  | { readonly kind: 'create-content'; readonly content: Draft<VolumeSnapshotContent> }
  /** Bind a pre-provisioned content to this snapshot. */
  | {
      readonly kind: 'claim-content';
      readonly content: VolumeSnapshotContent;
      readonly className: string | undefined;
    }
  | { readonly kind: 'write-status'; readonly write: StatusWrite }
  /** Mark the content as being deleted, and delete it if its policy says so. */
  | { readonly kind: 'release-content'; readonly content: VolumeSnapshotContent }
  | { readonly kind: 'remove-finalizers'; readonly finalizers: readonly string[] };

/** The daemon answers within milliseconds; a status that says "not yet" is written only for waits that people see. */
const quietWaitMs = 2000;

/** Decides the next step. */
export function decide(world: World, context: DecisionContext): Decision {
  const { snapshot } = world;
  if (snapshot === undefined) return nothing('the snapshot is gone');
  if (snapshot.metadata.labels?.[canaryLabel] !== undefined) return nothing('it is a canary');
  if (isForeign(world, context.driverName)) return nothing('it belongs to another driver');
  if (isTerminating(snapshot)) return decideDeletion(snapshot, world, context);

  const { persistentVolumeClaimName, volumeSnapshotContentName } = snapshot.spec.source;
  if ((persistentVolumeClaimName === undefined) === (volumeSnapshotContentName === undefined)) {
    // The CRD's own rule says so too; an old CRD may not have it.
    return fail(snapshot, context, {
      reason: 'SnapshotValidationError',
      message:
        'Snapshot validation failed: spec.source must have exactly one of ' +
        'persistentVolumeClaimName and volumeSnapshotContentName',
    });
  }
  return volumeSnapshotContentName === undefined
    ? decideDynamic(snapshot, world, context)
    : decideStatic(snapshot, volumeSnapshotContentName, world, context);
}

/** Whether another driver's controller answers for the snapshot. What cannot be told is ours to report. */
function isForeign({ content, namedClass, volume }: World, driverName: string): boolean {
  if (content !== undefined) return content.spec.driver !== driverName;
  const drivers = [namedClass?.driver, volume?.spec.csi?.driver].filter(
    (driver) => driver !== undefined,
  );
  return drivers.length > 0 && !drivers.includes(driverName);
}

function decideDeletion(
  snapshot: VolumeSnapshot,
  world: World,
  context: DecisionContext,
): Decision {
  const held = [finalizers.snapshotAsSource, finalizers.snapshotBound].filter((finalizer) =>
    hasFinalizer(snapshot, finalizer),
  );
  if (held.length === 0) return nothing('our finalizers are gone; others hold it');
  const { content } = world;
  // A content that refers to another snapshot is not this one's to delete.
  if (content === undefined || !refersTo(content, snapshot)) {
    return { kind: 'remove-finalizers', finalizers: held };
  }
  const isReleased = annotationOf(content, annotations.contentBeingDeleted) === yes;
  if (!isReleased && world.pendingRestores.length > 0) {
    const claims = world.pendingRestores.join(', ');
    return waitForDeletion(snapshot, context, {
      reason: 'SnapshotDeletePending',
      message:
        `Snapshot is being used to restore a PVC: ${claims}. ` +
        'It is deleted once that is bound or deleted',
    });
  }
  const isDeleted = content.spec.deletionPolicy === 'Delete';
  if (!isReleased || (isDeleted && !isTerminating(content))) {
    return { kind: 'release-content', content };
  }
  if (!isDeleted) return { kind: 'remove-finalizers', finalizers: held };
  const blocker = deletionBlocker(content);
  return blocker === undefined
    ? nothing('the content is being deleted')
    : waitForDeletion(snapshot, context, { reason: blocker.reason, message: blocker.message });
}

function decideDynamic(snapshot: VolumeSnapshot, world: World, context: DecisionContext): Decision {
  const { content } = world;
  if (content !== undefined) {
    const mismatch = dynamicContentFailure(content, snapshot);
    if (mismatch !== undefined) return fail(snapshot, context, mismatch);
    return decideBound(snapshot, content, context);
  }
  const lost = lostContentFailure(snapshot);
  if (lost !== undefined) return fail(snapshot, context, lost);

  const chosen = chooseClass(snapshot, world, context.driverName);
  if (chosen.failure !== undefined) return fail(snapshot, context, chosen.failure);
  if (snapshot.spec.volumeSnapshotClassName === undefined) {
    return { kind: 'choose-class', className: chosen.snapshotClass.metadata.name };
  }
  const missing = missingFinalizers(snapshot, chosen.snapshotClass.deletionPolicy === 'Delete');
  if (missing.length > 0) return { kind: 'add-finalizers', finalizers: missing };

  const drafted = draftContent(snapshot, chosen.snapshotClass, world);
  return drafted.failure === undefined
    ? { kind: 'create-content', content: drafted.content }
    : fail(snapshot, context, drafted.failure);
}

function decideStatic(
  snapshot: VolumeSnapshot,
  name: string,
  world: World,
  context: DecisionContext,
): Decision {
  const { content } = world;
  if (content === undefined) {
    return fail(snapshot, context, {
      reason: 'SnapshotContentMissing',
      message:
        `VolumeSnapshotContent is missing: ${name} does not exist; ` +
        'the snapshot becomes ready when it is created',
    });
  }
  const mismatch = staticContentFailure(content, snapshot);
  if (mismatch !== undefined) return fail(snapshot, context, mismatch);
  const { volumeSnapshotClassName: className } = snapshot.spec;
  const lacksClass = className !== undefined && content.spec.volumeSnapshotClassName === undefined;
  if (!hasClaimant(content) || lacksClass) return { kind: 'claim-content', content, className };
  return decideBound(snapshot, content, context);
}

/** The content is there and is this snapshot's: protect the snapshot, then tell what the content says. */
function decideBound(
  snapshot: VolumeSnapshot,
  content: VolumeSnapshotContent,
  context: DecisionContext,
): Decision {
  const missing = missingFinalizers(snapshot, content.spec.deletionPolicy === 'Delete');
  if (missing.length > 0) return { kind: 'add-finalizers', finalizers: missing };
  const delayMs = quietDelayMs(snapshot, content, context.nowMs);
  if (delayMs > 0) return { kind: 'wait', delayMs };
  const write = propagationWrite(snapshot, content, context);
  return write === undefined
    ? nothing('the status is up to date')
    : { kind: 'write-status', write };
}

/**
 * How long a snapshot that nothing has been said about may stay so: one write less for each of a thousand. A server
 * whose clock is ahead of ours gets no such pause.
 */
function quietDelayMs(
  snapshot: VolumeSnapshot,
  content: VolumeSnapshotContent,
  nowMs: number,
): number {
  if (snapshot.status !== undefined || content.status !== undefined) return 0;
  const ageMs = nowMs - Date.parse(content.metadata.creationTimestamp ?? '');
  return ageMs >= 0 ? Math.max(0, quietWaitMs - ageMs) : 0;
}

function dynamicContentFailure(
  content: VolumeSnapshotContent,
  snapshot: VolumeSnapshot,
): SnapshotFailure | undefined {
  const { name } = content.metadata;
  if (content.spec.source.snapshotHandle !== undefined) {
    return {
      reason: 'SnapshotContentMismatch',
      message:
        `VolumeSnapshotContent ${name} is pre-provisioned ` +
        'while expecting a dynamically provisioned one',
    };
  }
  return refersTo(content, snapshot) ? undefined : misbound(content, snapshot);
}

function staticContentFailure(
  content: VolumeSnapshotContent,
  snapshot: VolumeSnapshot,
): SnapshotFailure | undefined {
  if (content.spec.source.snapshotHandle === undefined) {
    return {
      reason: 'SnapshotContentMismatch',
      message:
        `VolumeSnapshotContent ${content.metadata.name} is dynamically provisioned ` +
        'while expecting a pre-provisioned one',
    };
  }
  const { name, namespace } = content.spec.volumeSnapshotRef;
  const fits = name === snapshot.metadata.name && namespace === snapshot.metadata.namespace;
  return fits && (!hasClaimant(content) || refersTo(content, snapshot))
    ? undefined
    : misbound(content, snapshot);
}

function misbound(content: VolumeSnapshotContent, snapshot: VolumeSnapshot): SnapshotFailure {
  const { namespace, name } = content.spec.volumeSnapshotRef;
  if (snapshot.status?.readyToUse === true) {
    return {
      reason: 'SnapshotMisbound',
      message:
        'VolumeSnapshotContent is not bound to the VolumeSnapshot correctly: ' +
        `${content.metadata.name} refers to ${namespace}/${name}`,
    };
  }
  return {
    reason: 'SnapshotContentMisbound',
    message:
      `VolumeSnapshotContent [${content.metadata.name}] is bound to a different snapshot: ` +
      `${namespace}/${name}`,
  };
}

/**
 * The point in time was taken once, and its content is gone. Taking another one under the same name would give
 * the bytes of another time to whoever restores it.
 */
function lostContentFailure(snapshot: VolumeSnapshot): SnapshotFailure | undefined {
  const { status } = snapshot;
  if (status?.creationTime === undefined && status?.readyToUse !== true) return undefined;
  const name = status.boundVolumeSnapshotContentName ?? contentName(snapshot.metadata.uid);
  return {
    reason: 'SnapshotContentMissing',
    message:
      `VolumeSnapshotContent is missing: ${name} was deleted, ` +
      "and with it the way to the snapshot's data",
  };
}

type ClassChoice =
  | { readonly snapshotClass: VolumeSnapshotClass; readonly failure?: undefined }
  | { readonly failure: SnapshotFailure };

function chooseClass(snapshot: VolumeSnapshot, world: World, driverName: string): ClassChoice {
  const { volumeSnapshotClassName: name } = snapshot.spec;
  if (name !== undefined) {
    if (world.namedClass !== undefined) return { snapshotClass: world.namedClass };
    return classFailure(
      'GetSnapshotClassFailed',
      'Failed to get snapshot class with error ' +
        `volumesnapshotclass.snapshot.storage.k8s.io "${name}" not found`,
    );
  }
  const attempt = 'Failed to set default snapshot class with error';
  const reason = 'SetDefaultSnapshotClassFailed';
  const claimName = snapshot.spec.source.persistentVolumeClaimName;
  if (world.claim === undefined) {
    return classFailure(reason, `${attempt} the PVC ${claimName} does not exist`);
  }
  if (world.volume?.spec.csi === undefined) {
    return classFailure(reason, `${attempt} the PVC ${claimName} is not yet bound to a CSI volume`);
  }
  const [first, ...others] = world.defaultClasses;
  if (first === undefined) {
    return classFailure(
      reason,
      `${attempt} cannot find default snapshot class: ` +
        `none of driver ${driverName} has the annotation ${annotations.snapshotClassIsDefault}`,
    );
  }
  if (others.length > 0) {
    return classFailure(
      reason,
      `${attempt} ${others.length + 1} default snapshot classes were found`,
    );
  }
  return { snapshotClass: first };
}

function classFailure(reason: string, message: string): ClassChoice {
  return { failure: { reason, message, leavesReadyToUse: true } };
}

function missingFinalizers(snapshot: VolumeSnapshot, isDeletedTogether: boolean): string[] {
  const wanted = isDeletedTogether
    ? [finalizers.snapshotAsSource, finalizers.snapshotBound]
    : [finalizers.snapshotAsSource];
  return wanted.filter((finalizer) => !hasFinalizer(snapshot, finalizer));
}

/** Whether a snapshot has claimed the content. */
function hasClaimant(content: VolumeSnapshotContent): boolean {
  const { uid } = content.spec.volumeSnapshotRef;
  return uid !== undefined && uid !== '';
}

/** Whether the content is bound to exactly this snapshot. */
function refersTo(content: VolumeSnapshotContent, snapshot: VolumeSnapshot): boolean {
  const { uid, name, namespace } = content.spec.volumeSnapshotRef;
  return (
    uid === snapshot.metadata.uid &&
    name === snapshot.metadata.name &&
    namespace === snapshot.metadata.namespace
  );
}

function fail(
  snapshot: VolumeSnapshot,
  context: DecisionContext,
  failure: SnapshotFailure,
): Decision {
  const write = failureWrite(snapshot, failure, context);
  return write === undefined ? nothing(failure.message) : { kind: 'write-status', write };
}

function waitForDeletion(
  snapshot: VolumeSnapshot,
  context: DecisionContext,
  wait: { readonly reason: string; readonly message: string },
): Decision {
  const write = deletionWaitWrite(snapshot, wait, context);
  return write === undefined ? nothing(wait.message) : { kind: 'write-status', write };
}

function nothing(because: string): Decision {
  return { kind: 'nothing', because };
}
