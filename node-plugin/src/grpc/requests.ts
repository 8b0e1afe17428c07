/** Requests of CSI, checked: what is missing or wrong is an `invalid-argument` that names the field. */
import { ProblemError } from '@varve/contract/problem';
import { z } from 'zod';
import type { VolumeAccess } from '../state/staged-volume.ts';
import type { AccessMode } from '../volumes/volume-context.ts';

const volumeIdSchema = z.string().min(1, 'must be given').max(256);
/** The specification demands 128 bytes at least; Linux has 4,096. */
const pathSchema = z.string().min(1, 'must be given').max(4096);
const absolutePathSchema = pathSchema.startsWith('/', 'must be an absolute path');
const mapSchema = z.record(z.string(), z.string()).default({});

const capabilitySchema = z.object(
  {
    block: z.object({}).nullish(),
    mount: z
      .object({ fsType: z.string().default(''), mountFlags: z.array(z.string()).default([]) })
      .nullish(),
    accessMode: z.object({ mode: z.string() }, 'must be given'),
  },
  'must be given',
);

/** Requests by the name of their call. */
export const requestSchemas = {
  stage: z.object({
    volumeId: volumeIdSchema,
    stagingTargetPath: absolutePathSchema,
    volumeCapability: capabilitySchema,
    publishContext: mapSchema,
    secrets: mapSchema,
  }),
  unstage: z.object({ volumeId: volumeIdSchema, stagingTargetPath: pathSchema }),
  publish: z.object({
    volumeId: volumeIdSchema,
    targetPath: absolutePathSchema,
    volumeCapability: capabilitySchema,
    stagingTargetPath: z.string(),
    readonly: z.boolean(),
  }),
  unpublish: z.object({ volumeId: volumeIdSchema, targetPath: absolutePathSchema }),
  stats: z.object({ volumeId: volumeIdSchema, volumePath: pathSchema }),
  expand: z.object({
    volumeId: volumeIdSchema,
    volumePath: pathSchema,
    capacityRange: z.object({ requiredBytes: z.string(), limitBytes: z.string() }).nullish(),
  }),
} as const;

/**
 * Reads a request.
 *
 * @throws ProblemError `invalid-argument` that names the field. It never quotes a value: it may be a secret.
 */
export function parseRequest<Schema extends z.ZodType>(
  action: string,
  schema: Schema,
  request: unknown,
): z.output<Schema> {
  const result = schema.safeParse(request);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = (issue?.path ?? []).map((part) => snakeCase(String(part))).join('.');
  throw new ProblemError('invalid-argument', `${action} failed: ${field} ${issue?.message}`, {
    field,
  });
}

/** What a capability asks for. */
export interface WantedAccess {
  readonly access: VolumeAccess;
  readonly accessMode: AccessMode;
}

const accessModes: readonly AccessMode[] = [
  'SINGLE_NODE_WRITER',
  'SINGLE_NODE_READER_ONLY',
  'SINGLE_NODE_SINGLE_WRITER',
  'SINGLE_NODE_MULTI_WRITER',
];

/** What a capability asks for; `invalid-argument` or `failed-precondition` when it cannot be had. */
export function readCapability(
  action: string,
  capability: z.output<typeof capabilitySchema>,
): WantedAccess {
  const accessMode = accessModes.find((each) => each === capability.accessMode.mode);
  if (accessMode === undefined) {
    throw new ProblemError(
      'failed-precondition',
      `${action} failed: the access mode ${capability.accessMode.mode} is not supported; a volume is for one node, ` +
        'allowed are ReadWriteOnce and ReadWriteOncePod',
    );
  }
  if (capability.block) return { access: { kind: 'block' }, accessMode };
  if (!capability.mount) {
    const message = `${action} failed: volume_capability must have block or mount`;
    throw new ProblemError('invalid-argument', message, { field: 'volume_capability' });
  }
  const { fsType, mountFlags } = capability.mount;
  const filesystem = fsType === '' ? 'ext4' : fsType;
  if (filesystem !== 'ext4' && filesystem !== 'xfs') {
    throw new ProblemError(
      'invalid-argument',
      `${action} failed: the file system ${JSON.stringify(fsType)} is not supported; allowed are ext4 and xfs`,
      { field: 'volume_capability.mount.fs_type' },
    );
  }
  return { access: { kind: 'mount', filesystem, options: mountFlags }, accessMode };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
