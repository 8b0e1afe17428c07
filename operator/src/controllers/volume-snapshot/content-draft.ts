/**
 * The content that a snapshot of a claim gets. It carries all that is needed later, policy, driver and volume
 * handle, so that class, claim and volume may change or go: none of them is read again.
 */
import { checkSnapshotClassParameters } from '@varve/contract/kubernetes/class-parameters';
import { isProblemError } from '@varve/contract/problem';
import type { PersistentVolume, PersistentVolumeClaim, VolumeMode } from '../../kube/core-kinds.ts';
import { hasFinalizer } from '../../kube/finalizer.ts';
import { isTerminating, referenceTo, type Draft } from '../../kube/kubernetes-object.ts';
import type {
  VolumeSnapshot,
  VolumeSnapshotClass,
  VolumeSnapshotContent,
} from '../../kube/snapshot-kinds.ts';
import { annotations, finalizers, yes } from '../shared/protocol-names.ts';
import { contentName } from './names.ts';
import type { SnapshotFailure } from './snapshot-status.ts';
import type { World } from './world.ts';

/** The content to create, or why there can be none yet. */
export type ContentDraft =
  | { readonly content: Draft<VolumeSnapshotContent>; readonly failure?: undefined }
  | { readonly failure: SnapshotFailure };

/** Drafts the content of a dynamic snapshot. */
export function draftContent(
  snapshot: VolumeSnapshot,
  snapshotClass: VolumeSnapshotClass,
  world: World,
): ContentDraft {
  const source = findSource(snapshot, snapshotClass, world);
  if (typeof source === 'string') {
    const message = `Failed to create snapshot content with error ${source}`;
    return { failure: { reason: 'SnapshotContentCreationFailed', message } };
  }
  return {
    content: {
      apiVersion: snapshot.apiVersion,
      kind: 'VolumeSnapshotContent',
      metadata: {
        name: contentName(snapshot.metadata.uid),
        // Both stand there from the first moment on: no instant at which the content could vanish, or its
        // creation be taken for settled, while the daemon is being asked.
        finalizers: [finalizers.contentBound],
        annotations: { [annotations.contentBeingCreated]: yes },
      },
      spec: {
        deletionPolicy: snapshotClass.deletionPolicy,
        driver: snapshotClass.driver,
        source: { volumeHandle: source.volumeHandle },
        ...(source.volumeMode === undefined ? {} : { sourceVolumeMode: source.volumeMode }),
        volumeSnapshotClassName: snapshotClass.metadata.name,
        volumeSnapshotRef: referenceTo(snapshot),
      },
    },
  };
}

interface SnapshotSource {
  readonly volumeHandle: string;
  readonly volumeMode: VolumeMode | undefined;
}

/** The volume to take a snapshot of, or a sentence that says why there is none. */
function findSource(
  snapshot: VolumeSnapshot,
  snapshotClass: VolumeSnapshotClass,
  { claim, volume }: World,
): SnapshotSource | string {
  const claimName = snapshot.spec.source.persistentVolumeClaimName;
  if (claim === undefined) {
    return `the PVC ${claimName} does not exist; the snapshot is taken when it is created and bound`;
  }
  if (isTerminating(claim) && !hasFinalizer(claim, finalizers.claimAsSource)) {
    return `cannot add finalizer on claim ${claimName} because it is being deleted`;
  }
  if (claim.status?.phase !== 'Bound' || (claim.spec.volumeName ?? '') === '') {
    return `the PVC ${claimName} is not yet bound to a PV, will not attempt to take a snapshot`;
  }
  if (volume === undefined || !isBoundTo(volume, claim)) {
    const { volumeName } = claim.spec;
    return `claim in dataSource not bound or invalid: PV ${volumeName} does not refer to PVC ${claimName}`;
  }
  const { csi, volumeMode } = volume.spec;
  if (csi === undefined) {
    return `cannot find CSI PersistentVolumeSource for volume ${volume.metadata.name}`;
  }
  if (csi.driver !== snapshotClass.driver) {
    return (
      `VolumeSnapshotClass ${snapshotClass.metadata.name} is of driver ${snapshotClass.driver}, ` +
      `but PVC ${claimName} is of driver ${csi.driver}: name a class of the latter`
    );
  }
  const parameterProblem = snapshotClassProblem(snapshotClass);
  return parameterProblem ?? { volumeHandle: csi.volumeHandle, volumeMode };
}

/** A misspelt parameter would be without effect in silence: it is refused by name. */
function snapshotClassProblem({ metadata, parameters }: VolumeSnapshotClass): string | undefined {
  try {
    checkSnapshotClassParameters(parameters);
    return undefined;
  } catch (error) {
    if (isProblemError(error)) return `VolumeSnapshotClass ${metadata.name}: ${error.message}`;
    throw error;
  }
}

function isBoundTo(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const reference = volume.spec.claimRef;
  return (
    reference?.uid === claim.metadata.uid &&
    reference.name === claim.metadata.name &&
    reference.namespace === claim.metadata.namespace
  );
}
