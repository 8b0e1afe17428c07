/**
 * Unstaging: what the file system holds in memory is written back, it is unmounted, the device is
 * disconnected, and the state file goes last. Nothing is disconnected under a mount: each step looks whether
 * the one before it took effect.
 */
import { ProblemError } from '@varve/contract/problem';
import { forgetStagedVolume, readStagedVolume, type StagedVolume } from '../state/staged-volume.ts';
import { mountsAt, showsDevice, unmountAll, type VolumeContext } from './volume-context.ts';

/** A call to unstage a volume. */
export interface UnstageRequest {
  readonly volumeHandle: string;
  readonly stagingPath: string;
}

/** Unstages a volume; one that is not staged is fine. */
export async function unstageVolume(
  context: VolumeContext,
  { volumeHandle, stagingPath }: UnstageRequest,
): Promise<void> {
  const staged = await readStagedVolume(context.system, volumeHandle);
  if (staged === undefined) return;
  if (staged.stagingPath !== stagingPath) {
    throw new ProblemError(
      'failed-precondition',
      `Unstaging ${volumeHandle} failed: it is staged at ${staged.stagingPath}, not at ${stagingPath}`,
    );
  }
  await leaveVolume(context, staged);
}

/** Undoes all of a volume that is on this node. */
export async function leaveVolume(context: VolumeContext, staged: StagedVolume): Promise<void> {
  const { volumeHandle, stagingPath } = staged;
  const { system, attachment } = context;
  // All that the subsystem has: also what was refused as another volume must not stay.
  const devices = await attachment.devicesOf(staged.subsystemNqn);
  const targets = new Set(staged.published.map(({ targetPath }) => targetPath));
  const elsewhere = (await system.listMounts()).filter(
    (mount) =>
      mount.path !== stagingPath &&
      (targets.has(mount.path) || devices.some((device) => showsDevice(mount, device))),
  );
  const [inTheWay] = elsewhere;
  if (inTheWay !== undefined) {
    throw new ProblemError(
      'in-use',
      `Unstaging ${volumeHandle} failed: it is still mounted at ${inTheWay.path}; unmount it there`,
      { blocker: inTheWay.path },
    );
  }
  const mounted = (await mountsAt(context, stagingPath)).length > 0;
  if (mounted && devices.length > 0 && staged.access.kind === 'mount') {
    await system.syncFilesystem(stagingPath);
  }
  if (mounted) await unmountAll(context, stagingPath);
  for (const device of devices) await system.flushDevice(device.path);
  await attachment.detach(staged.subsystemNqn);
  await forgetStagedVolume(system, volumeHandle);
}
