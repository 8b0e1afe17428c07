/** Volumes: writable, thin, created empty, from a snapshot, or from another volume's present content. */
import { z } from 'zod';
import { filesystemSchema } from './filesystem.ts';
import { hostNqnSchema } from './host.ts';
import {
  byteCountSchema,
  idSchema,
  labelsSchema,
  requestedSizeSchema,
  timestampSchema,
} from './identifier.ts';
import { pageQueryShape, pageSchema } from './page.ts';

/** What a volume is made from: exactly one of the two. */
export const volumeSourceSchema = z
  .strictObject({ snapshot: idSchema.optional(), volume: idSchema.optional() })
  .refine((source) => (source.snapshot === undefined) !== (source.volume === undefined), {
    message: 'must name either a snapshot or a volume',
  })
  .meta({ id: 'VolumeSource' });

/** What a volume is made from. */
export type VolumeSource = z.output<typeof volumeSourceSchema>;

const rateSchema = z.int().min(1).max(Number.MAX_SAFE_INTEGER).optional();

/** Quality of service: upper bounds per second; what is absent is unlimited. */
export const limitsSchema = z
  .strictObject({
    readIops: rateSchema,
    writeIops: rateSchema,
    readBytesPerSecond: rateSchema,
    writeBytesPerSecond: rateSchema,
  })
  .meta({ id: 'Limits' });

/** Quality of service. */
export type Limits = z.output<typeof limitsSchema>;

/** Creates a volume. Pool, size and source are the creation arguments: a repeat must give the same ones. */
export const putVolumeSchema = z
  .strictObject({
    pool: idSchema,
    sizeBytes: requestedSizeSchema,
    source: volumeSourceSchema.optional(),
    labels: labelsSchema.default({}),
    limits: limitsSchema.default({}),
  })
  .meta({ id: 'PutVolume' });

/** Creates a volume. */
export type PutVolume = z.output<typeof putVolumeSchema>;

/** Changes a volume: grows it, replaces all its labels, replaces all its limits. */
export const patchVolumeSchema = z
  .strictObject({
    sizeBytes: requestedSizeSchema.optional(),
    labels: labelsSchema.optional(),
    limits: limitsSchema.optional(),
  })
  .meta({ id: 'PatchVolume' });

/** Changes a volume. */
export type PatchVolume = z.output<typeof patchVolumeSchema>;

/** Where hosts find a volume. */
const nvmeExportSchema = z
  .object({
    subsystemNqn: z.string(),
    /** The one namespace of the subsystem. */
    nsid: z.int().positive(),
    addresses: z.array(
      z.object({
        transport: z.enum(['tcp']),
        address: z.string(),
        port: z.int().min(1).max(65_535),
      }),
    ),
  })
  .meta({ id: 'NvmeExport' });

/** A volume as it is now. */
export const volumeSchema = z
  .object({
    id: idSchema,
    uuid: z.guid().meta({ description: 'Identifies the device to hosts; a clone gets its own.' }),
    pool: idSchema,
    sizeBytes: byteCountSchema,
    source: volumeSourceSchema.optional(),
    labels: labelsSchema,
    limits: limitsSchema,
    filesystem: filesystemSchema,
    createdAt: timestampSchema,
    /** The snapshot that it descends from now; absent for a root, and when that snapshot is deleted. */
    parentSnapshot: idSchema.optional(),
    /** Bytes that it has allocated, shared ones included. */
    referencedBytes: byteCountSchema,
    /**
     * Of the referenced bytes, what is reserved beside its data and holds none: the rest of clusters of 64 KiB. It is
     * given up when the pool gets full.
     */
    slackBytes: byteCountSchema.optional(),
    /** Bytes that only it references; in lists only with `space=true`. */
    uniqueBytes: byteCountSchema.optional(),
    /** Bytes that its deletion frees; in lists only with `space=true`. */
    reclaimableBytes: byteCountSchema.optional(),
    /** Open connections to its export: while there are any, it cannot be deleted or reverted. */
    connections: z.int().nonnegative(),
    /** NQNs of the hosts that may attach it: while there are any, it cannot be deleted or reverted. */
    hosts: z.array(hostNqnSchema),
    /** How hosts that have a grant reach it; absent while the daemon listens for none. */
    nvme: nvmeExportSchema.optional(),
    /** The name of its NBD export. */
    exportName: z.string(),
    /** The last reverts, oldest first. */
    reverts: z.array(idSchema),
  })
  .meta({ id: 'Volume' });

/** A volume as it is now. */
export type Volume = z.output<typeof volumeSchema>;

/** Which volumes to list. */
export const listVolumesQuerySchema = z.strictObject({
  ...pageQueryShape,
  pool: idSchema.optional(),
  space: z
    .enum(['true', 'false'])
    .default('false')
    .meta({ description: 'Count unique and reclaimable bytes, which takes longer.' }),
});

/** A page of volumes. */
export const volumePageSchema = pageSchema(volumeSchema).meta({ id: 'VolumePage' });

/** Puts a volume back to a snapshot of its own line; the volume keeps its size, id and uuid. */
export const putRevertSchema = z.strictObject({ snapshot: idSchema }).meta({ id: 'PutRevert' });
