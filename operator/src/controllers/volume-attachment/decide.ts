/**
 * What to do next about one VolumeAttachment: the world in, one decision out. Pure. Whom to fence is on record before
 * anybody gets access, since at the end the node may be gone.
 */
import type { CsiNode, PersistentVolume, VolumeAttachment } from '../../kube/core-kinds.ts';
import { hasFinalizer } from '../../kube/finalizer.ts';
import { isTerminating } from '../../kube/kubernetes-object.ts';
import { annotationOf } from '../shared/annotation.ts';
import { annotations, attacherFinalizerOf } from '../shared/protocol-names.ts';
import { parseHandle, type StorageHandle } from '../shared/storage-handle.ts';
import type { World } from './world.ts';

/** Who gets access to what. */
export interface Grant {
  readonly handle: StorageHandle;
  readonly hostNqn: string;
}

/** One step for the reconciler. */
export type Decision =
  | { readonly kind: 'nothing'; readonly because: string }
  /** It cannot be attached as things are; something that we watch has to change. */
  | { readonly kind: 'wait'; readonly message: string }
  /** Keep the PersistentVolume until it is detached. */
  | { readonly kind: 'hold-volume'; readonly volume: PersistentVolume }
  /** Write down who gets access, together with the finalizer. */
  | { readonly kind: 'record'; readonly annotations: Readonly<Record<string, string>> }
  /** Give access, and tell how to get there; nothing is written that is there already. */
  | { readonly kind: 'grant'; readonly grant: Grant }
  /** Fence the host, if it was ever given access, then let the attachment go. */
  | { readonly kind: 'revoke'; readonly grant: Grant | undefined }
  | { readonly kind: 'cannot-revoke'; readonly message: string };

/** The name of every node as a host; its Node's UID follows. */
const nodeNqnPrefix = 'nqn.2014-08.org.nvmexpress:uuid:';

/** Decides the next step. */
export function decide({ attachment, volume, csiNode }: World, driverName: string): Decision {
  if (attachment === undefined) return nothing('the attachment is gone');
  if (attachment.spec.attacher !== driverName) return nothing('it belongs to another driver');
  const isHeld = hasFinalizer(attachment, attacherFinalizerOf(driverName));
  if (isTerminating(attachment)) {
    return isHeld ? decideEnd(attachment, volume, csiNode) : nothing('it is not held by us');
  }
  const recorded = recordedGrant(attachment);
  if (isHeld && recorded !== undefined) {
    return attachment.status?.attached === true
      ? { kind: 'grant', grant: recorded }
      : decideStart(attachment, volume, recorded);
  }
  return decideRecord(attachment, { volume, csiNode, driverName });
}

/** Not attached yet, but all is on record. A volume that is going is not given to anybody any more. */
function decideStart(
  attachment: VolumeAttachment,
  volume: PersistentVolume | undefined,
  grant: Grant,
): Decision {
  const obstacle = volumeObstacle(attachment, volume);
  return obstacle === undefined ? { kind: 'grant', grant } : { kind: 'wait', message: obstacle };
}

interface Found {
  readonly volume: PersistentVolume | undefined;
  readonly csiNode: CsiNode | undefined;
  readonly driverName: string;
}

function decideRecord(
  attachment: VolumeAttachment,
  { volume, csiNode, driverName }: Found,
): Decision {
  const obstacle = volumeObstacle(attachment, volume);
  if (volume === undefined || obstacle !== undefined) return wait(obstacle ?? '');
  const { csi } = volume.spec;
  if (csi?.driver !== driverName) {
    return wait(
      `PersistentVolume ${volume.metadata.name} belongs to driver "${csi?.driver ?? ''}"; ` +
        `it must be "${driverName}"`,
    );
  }
  if (parseHandle(csi.volumeHandle) === undefined) {
    return wait(`volumeHandle "${csi.volumeHandle}" must be <StorageDaemon>/<volume>`);
  }
  const { nodeName } = attachment.spec;
  const nodeId = csiNode?.spec.drivers.find(({ name }) => name === driverName)?.nodeID;
  if (csiNode === undefined || nodeId === undefined) {
    return wait(
      `Node ${nodeName} does not run the driver ${driverName}: its CSINode must list it. ` +
        `Look whether the node plugin runs there`,
    );
  }
  const nodeUid = nodeUidOf(csiNode);
  if (nodeUid === undefined) {
    return wait(
      `CSINode ${nodeName} must have the Node as its owner, whose UID names the host; it has none`,
    );
  }
  if (!hasFinalizer(volume, attacherFinalizerOf(driverName))) {
    return { kind: 'hold-volume', volume };
  }
  return {
    kind: 'record',
    annotations: {
      [annotations.attachmentNodeId]: nodeId,
      [annotations.attachmentHost]: nodeNqnPrefix + nodeUid,
      [annotations.attachmentVolume]: csi.volumeHandle,
    },
  };
}

function volumeObstacle(
  attachment: VolumeAttachment,
  volume: PersistentVolume | undefined,
): string | undefined {
  const { persistentVolumeName } = attachment.spec.source;
  if (persistentVolumeName === undefined) {
    return 'spec.source.persistentVolumeName is missing; volumes in line are not supported';
  }
  if (volume === undefined) return `PersistentVolume ${persistentVolumeName} does not exist`;
  if (isTerminating(volume)) return `PersistentVolume ${persistentVolumeName} is being deleted`;
  return undefined;
}

/** What another attacher held has no record of ours: then its volume and node must say whom to fence. */
function decideEnd(
  attachment: VolumeAttachment,
  volume: PersistentVolume | undefined,
  csiNode: CsiNode | undefined,
): Decision {
  const recorded = recordedGrant(attachment);
  if (recorded !== undefined) return { kind: 'revoke', grant: recorded };
  const isRecordless = [annotations.attachmentHost, annotations.attachmentVolume].every(
    (key) => annotationOf(attachment, key) === undefined,
  );
  if (isRecordless && attachment.status?.attached !== true) {
    return { kind: 'revoke', grant: undefined };
  }
  const handle = parseHandle(volume?.spec.csi?.volumeHandle ?? '');
  const nodeUid = csiNode === undefined ? undefined : nodeUidOf(csiNode);
  if (handle !== undefined && nodeUid !== undefined) {
    return { kind: 'revoke', grant: { handle, hostNqn: nodeNqnPrefix + nodeUid } };
  }
  return {
    kind: 'cannot-revoke',
    message:
      `The annotations ${annotations.attachmentHost} and ${annotations.attachmentVolume} ` +
      `must say which host is to be fenced from which volume; at least one is missing or malformed`,
  };
}

function recordedGrant(attachment: VolumeAttachment): Grant | undefined {
  const hostNqn = annotationOf(attachment, annotations.attachmentHost);
  const handle = parseHandle(annotationOf(attachment, annotations.attachmentVolume) ?? '');
  return hostNqn === undefined || handle === undefined ? undefined : { handle, hostNqn };
}

/** The UID of the node, by its CSINode: kubelet makes the Node its owner. */
function nodeUidOf(csiNode: CsiNode): string | undefined {
  const owner = csiNode.metadata.ownerReferences?.find(({ kind }) => kind === 'Node');
  return owner?.uid.toLowerCase();
}

function nothing(because: string): Decision {
  return { kind: 'nothing', because };
}

function wait(message: string): Decision {
  return { kind: 'wait', message };
}
