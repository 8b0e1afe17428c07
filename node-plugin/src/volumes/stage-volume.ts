/**
 * Staging: a volume's device is attached and, unless pods want the device itself, its file system is made
 * where there is none, checked, mounted at the staging path and grown to the device.
 *
 * The state file is written first. A failure is undone before it is answered, since kubelet takes most errors
 * as "nothing is there"; where undoing fails too, the answer is one that kubelet takes as "unknown", and it
 * will unstage.
 */
import { isProblemError, ProblemError } from '@varve/contract/problem';
import type { AttachmentMetadata } from '@varve/contract/kubernetes/attachment-metadata';
import type { HostKeys } from '../attach/connect-string.ts';
import { mountOptionsOf } from '../filesystem/mount-options.ts';
import { prepareFilesystem } from '../filesystem/prepare-filesystem.ts';
import {
  forgetStagedVolume,
  readStagedVolume,
  writeStagedVolume,
  type StagedVolume,
  type VolumeAccess,
} from '../state/staged-volume.ts';
import type { Mount, NvmeDevice } from '../system/node-system.ts';
import { decideStage } from './decide-stage.ts';
import { leaveVolume } from './unstage-volume.ts';
import { mountsAt, type AccessMode, type VolumeContext } from './volume-context.ts';

/** A call to stage a volume. */
export interface StageRequest {
  readonly volumeHandle: string;
  /** The volume's id at its daemon. */
  readonly volume: string;
  readonly stagingPath: string;
  readonly access: VolumeAccess;
  readonly accessMode: AccessMode;
  readonly metadata: AttachmentMetadata;
  readonly keys: HostKeys;
}

/** Stages a volume; a repeat finds all in place and changes nothing. */
export async function stageVolume(context: VolumeContext, request: StageRequest): Promise<void> {
  const { volumeHandle, stagingPath, access, accessMode, metadata } = request;
  const { subsystemNqn, namespaceUuid } = metadata;
  const wish = { stagingPath, access, accessMode, subsystemNqn, namespaceUuid };
  const before = await readStagedVolume(context.system, volumeHandle);
  const decision = decideStage(before, wish);
  if (decision.kind === 'refuse') {
    throw new ProblemError(decision.problem, `Staging ${volumeHandle} failed: ${decision.why}`);
  }
  // Options that cannot be are refused before anything happens.
  const options = access.kind === 'mount' ? optionsOf(request) : [];
  const staged = before ?? { formatVersion: 1, volumeHandle, ...wish, published: [] };
  if (before === undefined) await writeOrForget(context, staged);
  try {
    await bringUp(context, request, options);
  } catch (error) {
    throw await afterFailure(context, staged, error);
  }
}

async function writeOrForget(context: VolumeContext, staged: StagedVolume): Promise<void> {
  try {
    await writeStagedVolume(context.system, staged);
  } catch (error) {
    // It may be there all the same; nothing of the volume is.
    await forgetStagedVolume(context.system, staged.volumeHandle).catch(() => undefined);
    throw error;
  }
}

async function bringUp(
  context: VolumeContext,
  request: StageRequest,
  options: readonly string[],
): Promise<void> {
  const { stagingPath, access, metadata } = request;
  const top = (await mountsAt(context, stagingPath)).at(-1);
  const present = await context.attachment.findDevice(metadata);
  if (access.kind === 'mount' && top !== undefined && present !== undefined) {
    expectOwnMount(request, top, present);
    await growTo(context, request, present);
    return;
  }
  if (top !== undefined) throw foreignMount(request, top);
  const device = await context.attachment.attach(metadata, request.keys);
  if (access.kind === 'block') return;
  await mountFilesystem(context, request, { device, options });
}

async function mountFilesystem(
  context: VolumeContext,
  request: StageRequest,
  { device, options }: { readonly device: NvmeDevice; readonly options: readonly string[] },
): Promise<void> {
  const { stagingPath, access, metadata, volume } = request;
  if (access.kind !== 'mount') return;
  const { system } = context;
  const type = access.filesystem;
  const ledger = context.ledgers(metadata.daemonEndpoint);
  const prepare = { volume, device: device.path, type, isReadOnly: isReader(request) };
  await prepareFilesystem(prepare, { system, ledger });
  await system.makeFolder(stagingPath);
  await system.mount({ source: device.path, target: stagingPath, type, options });
  const mounted = (await mountsAt(context, stagingPath)).at(-1);
  if (mounted === undefined) {
    throw new ProblemError('unavailable', `Mounting ${stagingPath} failed: the mount is not there`);
  }
  expectOwnMount(request, mounted, device);
  await growTo(context, request, device);
}

/**
 * A restored or expanded volume is larger than its file system, and nobody asks again: at each staging it is
 * grown.
 */
async function growTo(
  context: VolumeContext,
  request: StageRequest,
  device: NvmeDevice,
): Promise<void> {
  if (request.access.kind !== 'mount' || isReader(request)) return;
  await context.system.growFilesystem({
    device: device.path,
    type: request.access.filesystem,
    mountedAt: request.stagingPath,
  });
}

async function afterFailure(
  context: VolumeContext,
  staged: StagedVolume,
  error: unknown,
): Promise<unknown> {
  const { volumeHandle } = staged;
  if (staged.published.length > 0) return stillThere(volumeHandle, error, 'pods use it');
  try {
    await leaveVolume(context, staged);
    return error;
  } catch (second) {
    context.log.warn({ volumeHandle, err: second }, 'a failed staging could not be undone');
    return stillThere(volumeHandle, error, 'undoing it failed');
  }
}

/** An error after which kubelet asks again, or unstages. */
function stillThere(volumeHandle: string, error: unknown, why: string): ProblemError {
  const text = isProblemError(error) ? error.message : String(error);
  return new ProblemError('unavailable', `${text} (parts of ${volumeHandle} remain: ${why})`, {
    cause: error,
  });
}

function optionsOf(request: StageRequest): readonly string[] {
  if (request.access.kind !== 'mount') return [];
  return mountOptionsOf(request.access.filesystem, request.access.options, isReader(request));
}

function isReader({ accessMode, access }: StageRequest): boolean {
  if (accessMode === 'SINGLE_NODE_READER_ONLY') return true;
  return access.kind === 'mount' && access.options.includes('ro');
}

function expectOwnMount(request: StageRequest, mount: Mount, device: NvmeDevice): void {
  if (mount.deviceNumber !== device.deviceNumber) throw foreignMount(request, mount);
}

function foreignMount({ volumeHandle, stagingPath }: StageRequest, mount: Mount): ProblemError {
  return new ProblemError(
    'unavailable',
    `Staging ${volumeHandle} failed: ${stagingPath} has a mount of the device ${mount.deviceNumber} (${mount.type}), ` +
      'which is not the volume; it is taken away when the volume is unstaged',
  );
}
