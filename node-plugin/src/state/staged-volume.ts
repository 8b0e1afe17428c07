/**
 * What the plugin remembers of a volume on this node, one small file each: written before the first side effect and
 * removed after the last, so that whatever there is of a volume can be found and undone, also by a plugin that was
 * killed in between. It holds no key.
 */
import { createHash } from 'node:crypto';
import { ProblemError } from '@varve/contract/problem';
import { z } from 'zod';
import type { StateSystem } from '../system/node-system.ts';

const publishedSchema = z.object({
  targetPath: z.string(),
  readOnly: z.boolean(),
  accessMode: z.string(),
});

const stagedVolumeSchema = z.object({
  formatVersion: z.literal(1),
  volumeHandle: z.string(),
  stagingPath: z.string(),
  /** What pods see: a mounted file system, or the device itself. */
  access: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('mount'),
      filesystem: z.enum(['ext4', 'xfs']),
      options: z.array(z.string()),
    }),
    z.object({ kind: z.literal('block') }),
  ]),
  accessMode: z.string(),
  subsystemNqn: z.string(),
  namespaceUuid: z.string(),
  published: z.array(publishedSchema),
});

/** A volume that is staged, being staged or being unstaged. */
export type StagedVolume = z.output<typeof stagedVolumeSchema>;

/** What pods see of a volume. */
export type VolumeAccess = StagedVolume['access'];

/** The state of one volume; undefined when nothing of it is on this node. */
export async function readStagedVolume(
  system: StateSystem,
  volumeHandle: string,
): Promise<StagedVolume | undefined> {
  const name = stateNameOf(volumeHandle);
  const text = await system.readState(name);
  return text === undefined ? undefined : parseStagedVolume(name, text);
}

/** All volumes of this node. */
export async function listStagedVolumes(system: StateSystem): Promise<readonly StagedVolume[]> {
  const volumes: StagedVolume[] = [];
  for (const name of await system.listStates()) {
    const text = await system.readState(name);
    if (text !== undefined) volumes.push(parseStagedVolume(name, text));
  }
  return volumes;
}

/** Remembers a volume, durably. */
export async function writeStagedVolume(system: StateSystem, volume: StagedVolume): Promise<void> {
  await system.writeState(stateNameOf(volume.volumeHandle), `${JSON.stringify(volume)}\n`);
}

/** Forgets a volume of which nothing is left. */
export async function forgetStagedVolume(system: StateSystem, volumeHandle: string): Promise<void> {
  await system.removeState(stateNameOf(volumeHandle));
}

function parseStagedVolume(name: string, text: string): StagedVolume {
  try {
    return stagedVolumeSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new ProblemError(
      'internal',
      `Reading the state file ${name} failed: ${String(cause).slice(0, 200)}; ` +
        'it was not written by this version: drain the node, then remove the file',
      { cause },
    );
  }
}

/** Handles have slashes and up to 128 characters or more; a digest is a file name. */
function stateNameOf(volumeHandle: string): string {
  return `${createHash('sha256').update(volumeHandle).digest('hex')}.json`;
}
