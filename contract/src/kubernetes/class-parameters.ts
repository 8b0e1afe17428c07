/**
 * Parameters of StorageClasses and VolumeSnapshotClasses: strings by key, written by administrators. Keys
 * under `csi.storage.k8s.io/` belong to the CSI components; what we do not know there, or elsewhere, is
 * refused by name, since a misspelt parameter would otherwise be silently without effect.
 */
import { z } from 'zod';
import { ProblemError } from '../problem.ts';

const reservedPrefix = 'csi.storage.k8s.io/';

/** File systems that volumes can be made with. */
export const filesystemTypes = ['ext4', 'xfs'] as const;

const nameSchema = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'must be the name of an object');

const storageClassParametersSchema = z.strictObject({
  /** ext4 when absent; for volumeMode Filesystem only. */
  fsType: z.enum(filesystemTypes).optional(),
  /** Places volumes on this StorageDaemon only. */
  daemon: nameSchema.optional(),
  /** Places volumes in pools of this name only. */
  pool: nameSchema.optional(),
});

/** What a StorageClass of ours says. */
export type StorageClassParameters = z.output<typeof storageClassParametersSchema>;

const secretKinds = [
  '',
  'provisioner-',
  'controller-publish-',
  'node-stage-',
  'node-publish-',
  'controller-expand-',
  'node-expand-',
  'controller-modify-',
];

const storageClassReserved = new Set(secretKinds.flatMap(secretKeys));

const snapshotClassReserved = new Set(
  ['snapshotter-', 'snapshotter-list-', 'group-snapshotter-', 'group-snapshotter-get-'].flatMap(
    secretKeys,
  ),
);

/**
 * Reads the parameters of a StorageClass.
 *
 * @throws ProblemError `invalid-argument` that names the key and says what is allowed.
 */
export function parseStorageClassParameters(
  parameters: Readonly<Record<string, string>> | undefined,
): StorageClassParameters {
  const what = "Reading the StorageClass's parameters";
  const own: Record<string, string> = {};
  const fsTypeKeys: string[] = [];
  for (const [key, value] of Object.entries(parameters ?? {})) {
    if (key.toLowerCase() === 'fstype' || key === `${reservedPrefix}fstype`) {
      fsTypeKeys.push(key);
      own['fsType'] = value;
    } else if (!key.startsWith(reservedPrefix)) {
      own[key] = value;
    } else if (!storageClassReserved.has(key)) {
      throw refused(what, key, `is unknown in the reserved namespace ${reservedPrefix}`);
    }
  }
  if (fsTypeKeys.length > 1) {
    throw refused(what, fsTypeKeys.join(' and '), 'say the same thing; keep one of them');
  }
  const result = storageClassParametersSchema.safeParse(own);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (issue?.code === 'unrecognized_keys') {
    throw refused(what, issue.keys.join(', '), 'is unknown; allowed are fsType, daemon and pool');
  }
  const key = String(issue?.path[0]);
  throw refused(what, key, `is ${JSON.stringify(own[key])}: ${issue?.message}`);
}

/**
 * Checks the parameters of a VolumeSnapshotClass: there are none of ours, and the reserved ones are without
 * effect.
 *
 * @throws ProblemError `invalid-argument` that names the key and says what is allowed.
 */
export function checkSnapshotClassParameters(
  parameters: Readonly<Record<string, string>> | undefined,
): void {
  for (const key of Object.keys(parameters ?? {})) {
    if (snapshotClassReserved.has(key)) continue;
    const isReserved = key.startsWith(reservedPrefix);
    throw refused(
      "Reading the VolumeSnapshotClass's parameters",
      key,
      isReserved
        ? `is unknown in the reserved namespace ${reservedPrefix}`
        : 'is unknown; the class takes no parameters',
    );
  }
}

function secretKeys(kind: string): string[] {
  return ['name', 'namespace'].map((part) => `${reservedPrefix}${kind}secret-${part}`);
}

function refused(what: string, key: string, why: string): ProblemError {
  return new ProblemError('invalid-argument', `${what} failed: parameter ${key} ${why}`, {
    field: `parameters.${key}`,
  });
}
