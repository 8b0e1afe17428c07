/**
 * What to do next for a VolumeRevert. Pure. The order of the checks: what can never succeed is refused as soon as it is
 * known; nothing is taken or changed while the volume has a user; the safety snapshot comes last before the revert,
 * so that it holds the last write.
 */
import { isTerminating } from '../../kube/kubernetes-object.ts';
import type { VolumeRevert } from '../../kube/volume-revert-kind.ts';
import { parseHandle, type StorageHandle } from '../shared/storage-handle.ts';
import { safetySnapshotName } from './names.ts';
import { isFinished } from './progress.ts';
import type { World } from './world.ts';

/** One step for the reconciler. */
export type Decision =
  | { readonly kind: 'nothing'; readonly because: string }
  /** Waits for something that a watch tells of. */
  | { readonly kind: 'wait'; readonly reason: string; readonly message: string }
  /** Can never succeed. */
  | { readonly kind: 'refuse'; readonly message: string }
  | { readonly kind: 'take-safety-snapshot'; readonly className: string | undefined }
  | { readonly kind: 'revert'; readonly volume: StorageHandle; readonly snapshot: StorageHandle };

type Obstacle = Extract<Decision, { kind: 'wait' | 'refuse' }>;
type Found = { readonly kind: 'found'; readonly handle: StorageHandle };

/** Decides about one revert. */
export function decide(world: World, driverName: string): Decision {
  const { revert } = world;
  if (revert === undefined) return nothing('the revert is gone');
  if (isTerminating(revert)) return nothing('the revert is being deleted');
  if (isFinished(revert)) return nothing('the revert is finished');
  const volume = findVolume(revert, world, driverName);
  if (volume.kind !== 'found') return volume;
  const snapshot = findSnapshot(revert, world, driverName);
  if (snapshot.kind !== 'found') return snapshot;
  if (volume.handle.daemon !== snapshot.handle.daemon) {
    return refuse(
      `The snapshot is at StorageDaemon "${snapshot.handle.daemon}", the volume at ` +
        `"${volume.handle.daemon}"; a volume can be put back to a snapshot of itself only`,
    );
  }
  return (
    findUser(revert, world) ??
    needSafetySnapshot(revert, world) ?? {
      kind: 'revert',
      volume: volume.handle,
      snapshot: snapshot.handle,
    }
  );
}

function findVolume(
  { spec }: VolumeRevert,
  { claim, volume }: World,
  driverName: string,
): Found | Obstacle {
  const title = `PVC "${spec.persistentVolumeClaimName}"`;
  if (claim === undefined) return wait('ClaimNotFound', `There is no ${title} in this namespace`);
  if (isTerminating(claim)) return wait('ClaimBeingDeleted', `${title} is being deleted`);
  const isBound =
    claim.status?.phase === 'Bound' && volume?.spec.claimRef?.uid === claim.metadata.uid;
  if (!isBound) return wait('ClaimNotBound', `${title} is not bound to a volume yet`);
  const { csi } = volume.spec;
  const handle = parseHandle(csi?.volumeHandle ?? '');
  if (csi?.driver !== driverName || handle === undefined) {
    return refuse(`${title} has a volume that is not of the driver ${driverName}`);
  }
  return { kind: 'found', handle };
}

function findSnapshot(
  { spec }: VolumeRevert,
  { snapshot, content, volume }: World,
  driverName: string,
): Found | Obstacle {
  const title = `VolumeSnapshot "${spec.volumeSnapshotName}"`;
  if (snapshot === undefined) {
    return wait('SnapshotNotFound', `There is no ${title} in this namespace`);
  }
  if (isTerminating(snapshot)) return wait('SnapshotBeingDeleted', `${title} is being deleted`);
  // Both must name each other: else a user could name the content of another namespace.
  const isBound = content?.spec.volumeSnapshotRef.uid === snapshot.metadata.uid;
  if (!isBound || snapshot.status?.readyToUse !== true || content.status?.readyToUse !== true) {
    return wait('SnapshotNotReady', `${title} is not ready yet`);
  }
  const handle = parseHandle(content.status.snapshotHandle ?? '');
  if (content.spec.driver !== driverName || handle === undefined) {
    return refuse(`${title} is not of the driver ${driverName}`);
  }
  const mode = content.spec.sourceVolumeMode;
  const volumeMode = volume?.spec.volumeMode ?? 'Filesystem';
  if (mode !== undefined && mode !== volumeMode) {
    return refuse(`${title} is of a volume of mode ${mode}, the volume has mode ${volumeMode}`);
  }
  return { kind: 'found', handle };
}

/** Who uses the volume, or changes it before us. */
function findUser(revert: VolumeRevert, { attachments, siblings }: World): Obstacle | undefined {
  const [attachment] = attachments;
  if (attachment !== undefined) {
    return wait(
      'VolumeAttached',
      `The volume is attached to node "${attachment.spec.nodeName}"; it is put back when no pod uses it`,
    );
  }
  const earlier = siblings.find((each) => !isFinished(each) && isEarlier(each, revert));
  if (earlier === undefined) return undefined;
  return wait(
    'EarlierRevert',
    `VolumeRevert "${earlier.metadata.name}" of the same PVC comes first; it is not finished`,
  );
}

/** An order that everybody sees alike. */
function isEarlier(one: VolumeRevert, other: VolumeRevert): boolean {
  const orderOf = ({ metadata }: VolumeRevert): string =>
    `${metadata.creationTimestamp ?? ''} ${metadata.uid}`;
  return orderOf(one) < orderOf(other);
}

function needSafetySnapshot(
  { spec, metadata }: VolumeRevert,
  { safetySnapshot, snapshot }: World,
): Decision | undefined {
  if (spec.safetySnapshot === false) return undefined;
  if (safetySnapshot === undefined) {
    const className = snapshot?.spec.volumeSnapshotClassName;
    return { kind: 'take-safety-snapshot', className };
  }
  if (safetySnapshot.status?.readyToUse === true) return undefined;
  const name = safetySnapshotName(metadata.uid);
  const problem = safetySnapshot.status?.error?.message;
  return wait(
    'SafetySnapshotNotReady',
    `VolumeSnapshot "${name}", taken first, is not ready yet` +
      (problem === undefined ? '' : `: ${problem}`),
  );
}

function wait(reason: string, message: string): Obstacle {
  return { kind: 'wait', reason, message };
}

function refuse(message: string): Obstacle {
  return { kind: 'refuse', message };
}

function nothing(because: string): Decision {
  return { kind: 'nothing', because };
}
