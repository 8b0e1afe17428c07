/** What the operations on volumes work with, and questions that several of them ask. */
import type { Logger } from '@varve/common/logger';
import { ProblemError } from '@varve/contract/problem';
import type { Attachment } from '../attach/attachment.ts';
import type { FilesystemLedgers } from '../filesystem/filesystem-ledger.ts';
import { readStagedVolume, type StagedVolume } from '../state/staged-volume.ts';
import type { Mount, NodeSystem, NvmeDevice } from '../system/node-system.ts';

/** The machine, the attached volumes and the daemons. */
export interface VolumeContext {
  readonly system: NodeSystem;
  readonly attachment: Attachment;
  readonly ledgers: FilesystemLedgers;
  readonly log: Logger;
}

/** How kubelet's access modes are called by CSI. */
export type AccessMode =
  | 'SINGLE_NODE_WRITER'
  | 'SINGLE_NODE_READER_ONLY'
  | 'SINGLE_NODE_SINGLE_WRITER'
  | 'SINGLE_NODE_MULTI_WRITER';

/** Mounts at a path, the topmost last. */
export async function mountsAt(context: VolumeContext, path: string): Promise<readonly Mount[]> {
  return (await context.system.listMounts()).filter((mount) => mount.path === path);
}

/**
 * A mounted file system has its device's number; a mounted device node has the number of the devtmpfs, and its
 * name.
 */
export function showsDevice(mount: Mount, device: NvmeDevice): boolean {
  return mount.deviceNumber === device.deviceNumber || isNodeOf(mount, device);
}

function isNodeOf(mount: Mount, device: NvmeDevice): boolean {
  return mount.type === 'devtmpfs' && `/dev${mount.root}` === device.path;
}

/** The state of a volume that must be staged here. */
export async function requireStaged(
  context: VolumeContext,
  volumeHandle: string,
  action: string,
): Promise<StagedVolume> {
  const staged = await readStagedVolume(context.system, volumeHandle);
  if (staged !== undefined) return staged;
  throw new ProblemError('not-found', `${action} failed: ${volumeHandle} is not staged here`);
}

/** The device of a volume that must be attached. */
export async function requireDevice(
  context: VolumeContext,
  staged: StagedVolume,
  action: string,
): Promise<NvmeDevice> {
  const device = await context.attachment.findDevice(staged);
  if (device !== undefined) return device;
  throw new ProblemError(
    'unavailable',
    `${action} failed: the device of ${staged.volumeHandle} is gone from this node; ` +
      'the daemon was away for longer than the loss timeout, or access was revoked. ' +
      'Delete the pod, so that it is staged anew',
  );
}

/** Takes all mounts of a path away, and looks. */
export async function unmountAll(context: VolumeContext, path: string): Promise<void> {
  for (const mount of await mountsAt(context, path)) await context.system.unmount(mount.path);
  const left = await mountsAt(context, path);
  if (left.length === 0) return;
  throw new ProblemError('unavailable', `Unmounting ${path} failed: it is still mounted`);
}
