/**
 * Publishing: a staged volume is shown at a pod's path by a bind mount, of the staging folder or of the
 * device's node. The path is in the state file before the mount is made, and until it is gone.
 */
import { ProblemError } from '@varve/contract/problem';
import { readStagedVolume, writeStagedVolume, type StagedVolume } from '../state/staged-volume.ts';
import type { Mount, NvmeDevice } from '../system/node-system.ts';
import { decidePublish } from './decide-publish.ts';
import {
  mountsAt,
  requireDevice,
  requireStaged,
  showsDevice,
  unmountAll,
  type AccessMode,
  type VolumeContext,
} from './volume-context.ts';

/** A call to publish a volume. */
export interface PublishRequest {
  readonly volumeHandle: string;
  readonly stagingPath: string;
  readonly targetPath: string;
  readonly accessKind: 'mount' | 'block';
  readonly accessMode: AccessMode;
  readonly readOnly: boolean;
}

/** Shows a staged volume to a pod; a repeat changes nothing. */
export async function publishVolume(
  context: VolumeContext,
  request: PublishRequest,
): Promise<void> {
  const { volumeHandle, stagingPath, targetPath } = request;
  const action = `Publishing ${volumeHandle} at ${targetPath}`;
  const staged = await requireStaged(context, volumeHandle, action);
  if (staged.stagingPath !== stagingPath) {
    const why = `it is staged at ${staged.stagingPath}, not at ${stagingPath}`;
    throw new ProblemError('failed-precondition', `${action} failed: ${why}`);
  }
  const decision = decidePublish(staged, request);
  if (decision.kind === 'refuse') {
    throw new ProblemError(decision.problem, `${action} failed: ${decision.why}`);
  }
  const device = await requireDevice(context, staged, action);
  const isKnown = staged.published.some((each) => each.targetPath === targetPath);
  if (isKnown && (await isInPlace(context, request, device))) return;
  const { accessMode, readOnly } = request;
  const entry = { targetPath, accessMode, readOnly };
  const noted = isKnown ? staged : { ...staged, published: [...staged.published, entry] };
  if (!isKnown) await writeStagedVolume(context.system, noted);
  try {
    await show(context, request, { staged, device });
  } catch (error) {
    await hideAfterFailure(context, noted, targetPath);
    throw error;
  }
}

/** Takes a volume from a pod's path; one that is not there is fine. */
export async function unpublishVolume(
  context: VolumeContext,
  { volumeHandle, targetPath }: Pick<PublishRequest, 'volumeHandle' | 'targetPath'>,
): Promise<void> {
  const staged = await readStagedVolume(context.system, volumeHandle);
  await unmountAll(context, targetPath);
  await context.system.removeTarget(targetPath);
  if (staged === undefined) return;
  const published = staged.published.filter((each) => each.targetPath !== targetPath);
  if (published.length === staged.published.length) return;
  await writeStagedVolume(context.system, { ...staged, published });
}

async function show(
  context: VolumeContext,
  request: PublishRequest,
  { staged, device }: { readonly staged: StagedVolume; readonly device: NvmeDevice },
): Promise<void> {
  const { system } = context;
  const { targetPath: target, readOnly } = request;
  // What a crash, or somebody else, has left there is not what was asked for.
  await unmountAll(context, target);
  if (request.accessKind === 'mount') {
    const stagedMount = (await mountsAt(context, staged.stagingPath)).at(-1);
    if (stagedMount === undefined || !showsDevice(stagedMount, device)) {
      throw new ProblemError(
        'failed-precondition',
        `Publishing ${staged.volumeHandle} failed: it is not mounted at ${staged.stagingPath}; it must be staged again`,
      );
    }
    await system.makeFolder(target);
    const options = readOnly ? ['ro'] : [];
    await system.mount({ source: staged.stagingPath, target, type: 'bind', options });
  } else {
    await system.makeFile(target);
    await system.mount({ source: device.path, target, type: 'bind', options: [] });
  }
  if (await isInPlace(context, request, device)) return;
  throw new ProblemError('unavailable', `Mounting ${target} failed: the mount is not there`);
}

async function isInPlace(
  context: VolumeContext,
  { targetPath, readOnly }: PublishRequest,
  device: NvmeDevice,
): Promise<boolean> {
  const mounts: readonly Mount[] = await mountsAt(context, targetPath);
  const [mount] = mounts;
  if (mount === undefined || mounts.length > 1) return false;
  return showsDevice(mount, device) && (!readOnly || mount.isReadOnly);
}

/**
 * Best effort: where it fails, the state still names the path, and kubelet unpublishes what it does not know
 * to be gone.
 */
async function hideAfterFailure(
  context: VolumeContext,
  noted: StagedVolume,
  targetPath: string,
): Promise<void> {
  try {
    await unpublishVolume(context, { volumeHandle: noted.volumeHandle, targetPath });
  } catch (error) {
    context.log.warn({ targetPath, err: error }, 'a failed publishing could not be undone');
    throw new ProblemError(
      'unavailable',
      `Publishing ${noted.volumeHandle} at ${targetPath} failed, and undoing it failed too`,
      { cause: error },
    );
  }
}
