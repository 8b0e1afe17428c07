/** Growing a volume in use, and telling how full and how well it is. */
import { ProblemError } from '@varve/contract/problem';
import type { StagedVolume } from '../state/staged-volume.ts';
import type { FilesystemUsage, NvmeDevice } from '../system/node-system.ts';
import {
  mountsAt,
  requireDevice,
  requireStaged,
  showsDevice,
  type VolumeContext,
} from './volume-context.ts';

/** A call to grow a volume on this node. */
export interface ExpandRequest {
  readonly volumeHandle: string;
  readonly volumePath: string;
  /** 0 when the call names none. */
  readonly requiredBytes: number;
}

/** How full a volume is and how it is doing. */
export interface VolumeStatistics {
  readonly usage: FilesystemUsage | { readonly totalBytes: number };
  readonly isAbnormal: boolean;
  readonly message: string;
}

/** Makes the device's new size known, and grows the file system to it; returns the device's size. */
export async function expandVolume(
  context: VolumeContext,
  { volumeHandle, volumePath, requiredBytes }: ExpandRequest,
): Promise<number> {
  const action = `Expanding ${volumeHandle}`;
  const staged = await requireStaged(context, volumeHandle, action);
  await expectShown(context, staged, volumePath, action);
  await context.attachment.rescan(staged.subsystemNqn);
  const { subsystemNqn, namespaceUuid } = staged;
  const wanted = { subsystemNqn, namespaceUuid, minimumBytes: requiredBytes };
  const device = await context.attachment.waitForDevice(wanted);
  if (staged.access.kind === 'mount') {
    const { filesystem: type } = staged.access;
    const mountedAt = staged.stagingPath;
    await context.system.growFilesystem({ device: device.path, type, mountedAt });
  }
  return device.sizeBytes;
}

/** How full a volume is, and whether its pod can work. */
export async function volumeStatistics(
  context: VolumeContext,
  { volumeHandle, volumePath }: Pick<ExpandRequest, 'volumeHandle' | 'volumePath'>,
): Promise<VolumeStatistics> {
  const action = `Reading the statistics of ${volumeHandle}`;
  const staged = await requireStaged(context, volumeHandle, action);
  const device = await requireDevice(context, staged, action);
  const mount = await expectShown(context, staged, volumePath, action);
  const trouble = await context.attachment.pathTrouble(staged.subsystemNqn);
  // With no path left, asking the file system would wait as long as the pod does.
  const message = trouble ?? readOnlyTrouble(staged, mount) ?? 'the volume is attached';
  const isAbnormal = message !== 'the volume is attached';
  if (staged.access.kind === 'block' || trouble !== undefined) {
    return { usage: { totalBytes: device.sizeBytes }, isAbnormal, message };
  }
  return { usage: await context.system.usage(volumePath), isAbnormal, message };
}

/** ext4 and xfs stop writing when their metadata cannot be written; the staged mount then says so. */
function readOnlyTrouble(
  staged: StagedVolume,
  mounts: { readonly stagedIsReadOnly: boolean },
): string | undefined {
  const isAsked =
    staged.accessMode === 'SINGLE_NODE_READER_ONLY' ||
    (staged.access.kind === 'mount' && staged.access.options.includes('ro'));
  if (!mounts.stagedIsReadOnly || isAsked) return undefined;
  return 'the file system became read-only after an error; look at the kernel log of the node';
}

async function expectShown(
  context: VolumeContext,
  staged: StagedVolume,
  volumePath: string,
  action: string,
): Promise<{ readonly stagedIsReadOnly: boolean }> {
  const device: NvmeDevice = await requireDevice(context, staged, action);
  const mount = (await mountsAt(context, volumePath)).at(-1);
  const isStagedBlock = staged.access.kind === 'block' && volumePath === staged.stagingPath;
  if (!isStagedBlock && (mount === undefined || !showsDevice(mount, device))) {
    throw new ProblemError('not-found', `${action} failed: it is not mounted at ${volumePath}`);
  }
  const atStaging = (await mountsAt(context, staged.stagingPath)).at(-1);
  return { stagedIsReadOnly: atStaging?.isReadOnly ?? false };
}
