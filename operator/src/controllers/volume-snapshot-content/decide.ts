/**
 * What to do next about one VolumeSnapshotContent: the world in, one decision out. Pure. The order of the checks:
 * foreign contents are left alone; deletion comes before creation; a creation that was begun is brought to a
 * definite answer before anything is deleted; data is never deleted because an object is missing.
 */
import { hasFinalizer } from '../../kube/finalizer.ts';
import { isTerminating } from '../../kube/kubernetes-object.ts';
import type { VolumeSnapshotContent } from '../../kube/snapshot-kinds.ts';
import { annotationOf } from '../shared/annotation.ts';
import type { DecisionContext } from '../shared/decision-context.ts';
import { annotations, finalizers, yes } from '../shared/protocol-names.ts';
import { parseHandle, type StorageHandle } from '../shared/storage-handle.ts';
import {
  deletionWaitWrite,
  failureWrite,
  type ContentFailure,
  type StatusWrite,
} from './content-status.ts';
import { daemonSnapshotId } from './names.ts';
import type { World } from './world.ts';

/** One step for the reconciler. */
export type Decision =
  | { readonly kind: 'nothing'; readonly because: string }
  /** The object contradicts itself: tell, and leave it alone. */
  | { readonly kind: 'report-invalid'; readonly message: string }
  /** Before the daemon is asked: the finalizer, and the mark that it may have been asked. */
  | { readonly kind: 'prepare'; readonly addsFinalizer: boolean; readonly marks: boolean }
  /** Ask the daemon for the snapshot `handle` of a volume of its own. A repeat finds the same one. */
  | {
      readonly kind: 'take-snapshot';
      readonly handle: StorageHandle;
      readonly volumeId: string;
    }
  /** Ask the daemon whether it has a pre-provisioned snapshot. */
  | { readonly kind: 'query-snapshot'; readonly handle: StorageHandle }
  /** Take the mark away: there is a definite answer, and it is recorded. */
  | { readonly kind: 'settle' }
  /** Record a failure that no retry can mend, and take the mark away. */
  | { readonly kind: 'give-up'; readonly write: StatusWrite | undefined }
  | { readonly kind: 'write-status'; readonly write: StatusWrite }
  /** Delete the data, then let the content go. */
  | { readonly kind: 'delete-snapshot'; readonly handle: StorageHandle }
  | { readonly kind: 'remove-finalizer' };

/** Decides the next step. */
export function decide(world: World, context: DecisionContext): Decision {
  const { content } = world;
  if (content === undefined) return nothing('the content is gone');
  if (content.spec.driver !== context.driverName) return nothing('it belongs to another driver');
  const { volumeHandle, snapshotHandle } = content.spec.source;
  if ((volumeHandle === undefined) === (snapshotHandle === undefined)) {
    // The CRD's own rule says so too; an old CRD may not have it.
    const message = 'spec.source must have exactly one of volumeHandle and snapshotHandle';
    return { kind: 'report-invalid', message };
  }
  if (isTerminating(content)) return decideDeletion(content, world, context);
  return snapshotHandle === undefined
    ? decideDynamic(content, context)
    : decideStatic(content, world, context);
}

function decideDeletion(
  content: VolumeSnapshotContent,
  { claimant }: World,
  context: DecisionContext,
): Decision {
  if (!hasFinalizer(content, finalizers.contentBound)) {
    return nothing('our finalizer is gone; others hold it');
  }
  if (claimant === 'alive' && !isMarked(content, annotations.contentBeingDeleted)) {
    // Deleted directly while its snapshot lives: the snapshot stays usable, and gets what it asked for.
    if (isUnsettled(content)) return decideUnsettled(content, context);
    const { namespace, name } = content.spec.volumeSnapshotRef;
    return waitForDeletion(content, context, {
      reason: 'BoundToSnapshot',
      message: `VolumeSnapshot ${namespace}/${name} uses this content: delete it, and the content goes with it`,
    });
  }
  if (content.spec.deletionPolicy !== 'Delete') return { kind: 'remove-finalizer' };
  const handle = parseHandle(content.status?.snapshotHandle ?? '') ?? unsettledHandle(content);
  // Neither found, nor taken, nor asked for: there is nothing to delete.
  return handle === undefined ? { kind: 'remove-finalizer' } : { kind: 'delete-snapshot', handle };
}

function decideDynamic(content: VolumeSnapshotContent, context: DecisionContext): Decision {
  if (!hasClaimant(content)) return nothing('no snapshot has claimed it');
  if (isUnsettled(content)) {
    return hasFinalizer(content, finalizers.contentBound)
      ? decideUnsettled(content, context)
      : { kind: 'prepare', addsFinalizer: true, marks: false };
  }
  if (content.status?.readyToUse === true) return protectOr(content, 'the snapshot is taken');
  if (isMarked(content, annotations.contentBeingDeleted)) {
    return nothing('its snapshot was deleted before the daemon was asked');
  }
  if (content.status?.error !== undefined) {
    return protectOr(content, 'a failure is recorded that no retry can mend');
  }
  const addsFinalizer = !hasFinalizer(content, finalizers.contentBound);
  return { kind: 'prepare', addsFinalizer, marks: true };
}

/** The daemon may have been asked, and there may be no answer on record. */
function decideUnsettled(content: VolumeSnapshotContent, context: DecisionContext): Decision {
  if (content.status?.readyToUse === true) return { kind: 'settle' };
  const { volumeHandle = '' } = content.spec.source;
  const handle = unsettledHandle(content);
  const volumeId = parseHandle(volumeHandle)?.id;
  if (handle !== undefined && volumeId !== undefined) {
    return { kind: 'take-snapshot', handle, volumeId };
  }
  const failure = {
    reason: 'SnapshotCreationFailed',
    message: `Failed to create snapshot: volumeHandle "${volumeHandle}" must be <StorageDaemon>/<volume>`,
  };
  return { kind: 'give-up', write: failureWrite(content, failure, context) };
}

/** A dynamic content whose creation may be under way. */
function isUnsettled(content: VolumeSnapshotContent): boolean {
  return (
    content.spec.source.volumeHandle !== undefined &&
    hasClaimant(content) &&
    isMarked(content, annotations.contentBeingCreated)
  );
}

/** Where the snapshot of a creation that is not settled is, if it is: its id is known before the daemon answers. */
function unsettledHandle(content: VolumeSnapshotContent): StorageHandle | undefined {
  if (!isUnsettled(content)) return undefined;
  const volume = parseHandle(content.spec.source.volumeHandle ?? '');
  const { uid = '' } = content.spec.volumeSnapshotRef;
  return volume === undefined ? undefined : { daemon: volume.daemon, id: daemonSnapshotId(uid) };
}

function hasClaimant(content: VolumeSnapshotContent): boolean {
  return (content.spec.volumeSnapshotRef.uid ?? '') !== '';
}

function decideStatic(
  content: VolumeSnapshotContent,
  { claimant }: World,
  context: DecisionContext,
): Decision {
  if (claimant !== 'none' && !hasFinalizer(content, finalizers.contentBound)) {
    return { kind: 'prepare', addsFinalizer: true, marks: false };
  }
  if (content.status?.readyToUse === true) return nothing('the snapshot was found');
  const { snapshotHandle = '' } = content.spec.source;
  const handle = parseHandle(snapshotHandle);
  if (handle !== undefined) return { kind: 'query-snapshot', handle };
  const write = failureWrite(
    content,
    {
      reason: 'SnapshotContentCheckandUpdateFailed',
      message:
        `Failed to check and update snapshot content: can not find snapshot for snapshotID ${snapshotHandle}: ` +
        'it must be <StorageDaemon>/<snapshot>',
    },
    context,
  );
  return write === undefined ? nothing('the handle is wrong') : { kind: 'write-status', write };
}

function protectOr(content: VolumeSnapshotContent, because: string): Decision {
  return hasFinalizer(content, finalizers.contentBound)
    ? nothing(because)
    : { kind: 'prepare', addsFinalizer: true, marks: false };
}

function waitForDeletion(
  content: VolumeSnapshotContent,
  context: DecisionContext,
  wait: ContentFailure,
): Decision {
  const write = deletionWaitWrite(content, wait, context);
  return write === undefined ? nothing(wait.message) : { kind: 'write-status', write };
}

function isMarked(content: VolumeSnapshotContent, annotation: string): boolean {
  return annotationOf(content, annotation) === yes;
}

function nothing(because: string): Decision {
  return { kind: 'nothing', because };
}
