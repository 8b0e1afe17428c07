/**
 * Whether the source of a claim can be used now. A sentence says why not; all such reasons but the claim's own shape
 * may go away by themselves, and the watches wake the claim when the objects in question change. The order is that of
 * the upstream provisioner.
 */
import type { PersistentVolumeClaim } from '../../kube/core-kinds.ts';
import { hasFinalizer } from '../../kube/finalizer.ts';
import { isTerminating, objectKey } from '../../kube/kubernetes-object.ts';
import type { VolumeSnapshot, VolumeSnapshotContent } from '../../kube/snapshot-kinds.ts';
import { annotationOf } from '../shared/annotation.ts';
import { annotations, finalizers, snapshotApiGroup, yes } from '../shared/protocol-names.ts';
import { parseQuantityBytes } from '../shared/quantity.ts';
import { parseHandle, type StorageHandle } from '../shared/storage-handle.ts';
import type { VolumeDemand } from './claim-check.ts';
import type { SourceWorld } from './world.ts';

/** A source at the daemon that the new volume is made from. */
export interface UsableSource {
  readonly kind: 'snapshot' | 'volume';
  readonly handle: StorageHandle;
  /** For the volume's annotation: where its content came from. */
  readonly title: string;
}

/** What a claim asks for, and of which driver. */
export interface SourceQuestion {
  readonly claim: PersistentVolumeClaim;
  readonly demand: VolumeDemand;
  readonly driverName: string;
}

/** The source to use; undefined when the claim wants an empty volume; a sentence when the source cannot be used. */
export function checkSource(
  source: SourceWorld,
  question: SourceQuestion,
): UsableSource | string | undefined {
  if (source.kind === 'none') return undefined;
  if (source.kind === 'snapshot') return checkSnapshot(source, question);
  if (source.kind === 'claim') return checkClaim(source, question);
  if (source.kind === 'dropped') {
    return (
      `the claim was written with a ${source.title}, which Kubernetes does not accept as a source ` +
      `and has dropped; an empty volume is not what was asked for. ${allowedSources}`
    );
  }
  return source.isOtherNamespace
    ? `accessing ${source.title} is not allowed: the source must be in the namespace of the claim`
    : `dataSource ${source.title} is not a source that ${question.driverName} can read. ${allowedSources}`;
}

const allowedSources =
  `Use kind VolumeSnapshot with apiGroup ${snapshotApiGroup}, or kind PersistentVolumeClaim without apiGroup, ` +
  'and create the claim again';

function checkSnapshot(
  { name, snapshot, content }: Extract<SourceWorld, { kind: 'snapshot' }>,
  { claim, demand, driverName }: SourceQuestion,
): UsableSource | string {
  if (snapshot === undefined)
    return `snapshot ${name} not found in namespace ${claim.metadata.namespace}; the claim waits for it`;
  const isProtected = hasFinalizer(snapshot, finalizers.snapshotRestoring);
  const isReleased =
    content === undefined || annotationOf(content, annotations.contentBeingDeleted) === yes;
  // Until its content is marked the data stays; a snapshot that is deleted waits for the claims that want it.
  if (isTerminating(snapshot) && !isProtected && isReleased) {
    return `snapshot ${name} is being deleted`;
  }
  const contentName = snapshot.status?.boundVolumeSnapshotContentName;
  if (contentName === undefined) return `snapshot ${name} not bound${reasonOf(snapshot)}`;
  if (content === undefined) {
    return `VolumeSnapshotContent ${contentName} of snapshot ${name} not found`;
  }
  if (!refersTo(content, snapshot)) {
    return `VolumeSnapshotContent ${contentName} is bound to a different snapshot than ${name}`;
  }
  const { driver } = content.spec;
  if (driver !== driverName) return `snapshot ${name} is of driver ${driver}, not of ${driverName}`;
  if (snapshot.status?.readyToUse !== true)
    return `snapshot ${name} is not Ready${reasonOf(snapshot)}`;
  const handle = parseHandle(content.status?.snapshotHandle ?? '');
  if (handle === undefined) return `VolumeSnapshotContent ${contentName} has no snapshot handle`;
  const restoreSizeBytes = parseQuantityBytes(snapshot.status.restoreSize ?? 0) ?? 0;
  if (restoreSizeBytes > demand.sizeBytes) {
    return tooSmall(demand, restoreSizeBytes, `snapshot ${name}`);
  }
  const modeProblem = checkVolumeMode(claim, content);
  if (modeProblem !== undefined) return modeProblem;
  return { kind: 'snapshot', handle, title: `VolumeSnapshot/${objectKey(snapshot.metadata)}` };
}

/** A raw device must not become a file system by accident: the kernel would trust what a user wrote there. */
function checkVolumeMode(
  claim: PersistentVolumeClaim,
  content: VolumeSnapshotContent,
): string | undefined {
  const { sourceVolumeMode } = content.spec;
  const { volumeMode } = claim.spec;
  const isSame =
    sourceVolumeMode === undefined || volumeMode === undefined || sourceVolumeMode === volumeMode;
  if (isSame) return undefined;
  const allowed = annotationOf(content, annotations.contentAllowsModeChange) ?? '';
  // What Go's ParseBool takes for true.
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(allowed)) return undefined;
  return (
    `requested volume mode ${volumeMode} differs from the source's ${sourceVolumeMode}: ` +
    `VolumeSnapshotContent ${content.metadata.name} must have the annotation ` +
    `${annotations.contentAllowsModeChange}: "true"`
  );
}

function checkClaim(
  { name, claim: source, volume }: Extract<SourceWorld, { kind: 'claim' }>,
  { claim, demand, driverName }: SourceQuestion,
): UsableSource | string {
  if (source === undefined)
    return `PVC ${name} not found in namespace ${claim.metadata.namespace}; the claim waits for it`;
  if (isTerminating(source) && !hasFinalizer(source, finalizers.claimCloning)) {
    return `PVC ${name} is being deleted`;
  }
  if (source.status?.phase !== 'Bound') return `PVC ${name} is not bound; the claim waits for it`;
  const reference = volume?.spec.claimRef;
  if (volume === undefined || reference?.uid !== source.metadata.uid) {
    return `PV ${source.spec.volumeName} of PVC ${name} not found, or bound to another claim`;
  }
  const { csi } = volume.spec;
  if (csi?.driver !== driverName) {
    return `PVC ${name} is of driver ${csi?.driver ?? '(none)'}, not of ${driverName}`;
  }
  const handle = parseHandle(csi.volumeHandle);
  if (handle === undefined) return `PV ${volume.metadata.name} has no volume handle of ours`;
  const sourceSizeBytes = Math.max(
    parseQuantityBytes(source.spec.resources?.requests?.storage ?? 0) ?? 0,
    parseQuantityBytes(volume.spec.capacity?.storage ?? 0) ?? 0,
  );
  if (sourceSizeBytes > demand.sizeBytes) return tooSmall(demand, sourceSizeBytes, `PVC ${name}`);
  const sourceMode = source.spec.volumeMode ?? 'Filesystem';
  const mode = claim.spec.volumeMode ?? 'Filesystem';
  if (sourceMode !== mode) {
    return `requested volume mode ${mode} differs from ${sourceMode} of the source PVC ${name}`;
  }
  return { kind: 'volume', handle, title: `PersistentVolumeClaim/${objectKey(source.metadata)}` };
}

function tooSmall(demand: VolumeDemand, sizeBytes: number, what: string): string {
  return (
    `requested volume size ${demand.sizeBytes} is less than the size ${sizeBytes} ` +
    `for the source ${what}: ask for at least as much, and create the claim again`
  );
}

/** A snapshot that is not ready usually says why. */
function reasonOf(snapshot: VolumeSnapshot): string {
  const message = snapshot.status?.error?.message;
  return message === undefined ? '' : `: ${message}`;
}

function refersTo(content: VolumeSnapshotContent, snapshot: VolumeSnapshot): boolean {
  const { uid, name, namespace } = content.spec.volumeSnapshotRef;
  return (
    uid === snapshot.metadata.uid &&
    name === snapshot.metadata.name &&
    namespace === snapshot.metadata.namespace
  );
}
