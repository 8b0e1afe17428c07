/**
 * Snapshots: read-only points in time of one volume. They own their blocks: nothing ever refuses their
 * deletion because data is shared.
 */
import { z } from 'zod';
import { filesystemSchema } from './filesystem.ts';
import { byteCountSchema, idSchema, labelsSchema, timestampSchema } from './identifier.ts';
import { pageQueryShape, pageSchema } from './page.ts';

/** Takes a snapshot. The volume is the creation argument. */
export const putSnapshotSchema = z
  .strictObject({
    volume: idSchema,
    labels: labelsSchema.default({}),
    /** It cannot be deleted before this time. */
    lockedUntil: z.iso.datetime({ offset: true }).optional(),
  })
  .meta({ id: 'PutSnapshot' });

/** Takes a snapshot. */
export type PutSnapshot = z.output<typeof putSnapshotSchema>;

/** A snapshot as it is now. */
export const snapshotSchema = z
  .object({
    id: idSchema,
    uuid: z.guid(),
    pool: idSchema,
    /** The volume that it was taken of, which may be deleted. */
    volume: idSchema,
    labels: labelsSchema,
    /** The instant of the cut. */
    createdAt: timestampSchema,
    /** The least size of a volume that is made from it. */
    restoreSizeBytes: byteCountSchema,
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
    /** Who uses its data. None of them keeps it from being deleted but the exports. */
    references: z.object({
      clones: z.int().nonnegative(),
      laterSnapshots: z.int().nonnegative(),
      exports: z.int().nonnegative(),
    }),
    lockedUntil: timestampSchema.optional(),
    filesystem: filesystemSchema,
    /** The name of its read-only NBD export. */
    exportName: z.string(),
  })
  .meta({ id: 'Snapshot' });

/** A snapshot as it is now. */
export type Snapshot = z.output<typeof snapshotSchema>;

/** Which snapshots to list. */
export const listSnapshotsQuerySchema = z.strictObject({
  ...pageQueryShape,
  pool: idSchema.optional(),
  volume: idSchema.optional(),
  space: z
    .enum(['true', 'false'])
    .default('false')
    .meta({ description: 'Count unique and reclaimable bytes, which takes longer.' }),
});

/** A page of snapshots. */
export const snapshotPageSchema = pageSchema(snapshotSchema).meta({ id: 'SnapshotPage' });

/**
 * Snapshots of one question "what frees deleting these together"; bounded so that an answer takes well under
 * a second.
 */
export const reclaimableIdsMax = 1000;

/** Asks what deleting these snapshots together would free; changes nothing. */
export const postReclaimableSchema = z
  .strictObject({ ids: z.array(idSchema).min(1).max(reclaimableIdsMax) })
  .meta({ id: 'PostReclaimable' });

/** The bytes that deleting all of them would free. */
export const reclaimableSchema = z
  .object({ reclaimableBytes: byteCountSchema })
  .meta({ id: 'Reclaimable' });
