/** Pools: the block devices or files that hold the data of volumes and snapshots. */
import { z } from 'zod';
import { byteCountSchema, idSchema, labelsSchema } from './identifier.ts';
import { pageQueryShape, pageSchema } from './page.ts';

/** Devices of one pool: what a superblock has room for. */
export const poolDevicesMax = 16;

const devicePathSchema = z
  .string()
  .min(2)
  .max(1024)
  .regex(/^\/[^\0]*[^/\0]$/, 'must be an absolute path');

/** A signature that a device carries, as blkid names it (`ext4`, `gpt`, `LVM2_member`) or `varve`. */
export const foundSignatureSchema = z
  .strictObject({ type: z.string().min(1).max(64), uuid: z.string().max(64).optional() })
  .meta({ id: 'FoundSignature' });

/** A signature that a device carries. */
export type FoundSignature = z.output<typeof foundSignatureSchema>;

/** One device of a new pool. */
export const putPoolDeviceSchema = z
  .strictObject({
    path: devicePathSchema,
    /** For a plain file only: it is created sparse, with this size, if it does not exist. */
    sizeBytes: z.int().positive().optional(),
    /**
     * Overwrites what is there. Must quote exactly what the refusal named, type and uuid. A readable Varve
     * pool is never overwritten.
     */
    force: z.array(foundSignatureSchema).min(1).max(8).optional(),
  })
  .meta({ id: 'PutPoolDevice' });

/** One device of a new pool. */
export type PutPoolDevice = z.output<typeof putPoolDeviceSchema>;

/** Formats devices as a pool. The paths, in order, are the creation arguments. */
export const putPoolSchema = z
  .strictObject({
    devices: z.array(putPoolDeviceSchema).min(1).max(poolDevicesMax),
    labels: labelsSchema.default({}),
  })
  .meta({ id: 'PutPool' });

/** Formats devices as a pool. */
export type PutPool = z.output<typeof putPoolSchema>;

/** One aspect of a pool's health. All types are positive: `True` is good. */
export const poolConditionSchema = z
  .object({
    type: z.enum(['Open', 'Writable']),
    status: z.enum(['True', 'False']),
    reason: z.string(),
    message: z.string(),
  })
  .meta({ id: 'PoolCondition' });

/** One aspect of a pool's health. */
export type PoolCondition = z.output<typeof poolConditionSchema>;

/**
 * A pool as it is now. Sizes are there while it is open; size = allocated + free, the others are parts of
 * these.
 */
export const poolSchema = z
  .object({
    id: idSchema,
    uuid: z.guid(),
    labels: labelsSchema,
    devices: z.array(
      z.object({
        path: z.string(),
        kind: z.enum(['file', 'block']),
        sizeBytes: byteCountSchema.optional(),
        hasVolatileCache: z.boolean().optional(),
      }),
    ),
    conditions: z.array(poolConditionSchema),
    cells: z.int().nonnegative(),
    sizeBytes: byteCountSchema,
    /** User data and metadata, blocks that wait to be freed included. */
    allocatedBytes: byteCountSchema,
    freeBytes: byteCountSchema,
    /** Data that volumes and snapshots reference, shared blocks counted once. */
    referencedBytes: byteCountSchema,
    metadataBytes: byteCountSchema,
    /**
     * The sum over all volumes of what is reserved beside their data and holds none yet; given up when the pool gets
     * full. What clones share counts for each.
     */
    slackBytes: byteCountSchema.optional(),
    /** Kept for deletes and checkpoints. */
    reservedBytes: byteCountSchema,
    /** What background work still has to free. */
    pendingFreeBytes: byteCountSchema,
    /** The sum of the sizes of all volumes, for a judgement of over-commitment. */
    provisionedBytes: byteCountSchema,
    /** Memory for maps of volumes and snapshots: what they may use, and what they use now. */
    mapMemory: z
      .object({ budgetBytes: byteCountSchema, residentBytes: byteCountSchema })
      .optional(),
    volumes: z.int().nonnegative(),
    snapshots: z.int().nonnegative(),
  })
  .meta({ id: 'Pool' });

/** A pool as it is now. */
export type Pool = z.output<typeof poolSchema>;

/** Which pools to list. */
export const listPoolsQuerySchema = z.strictObject(pageQueryShape);

/** A page of pools. */
export const poolPageSchema = pageSchema(poolSchema).meta({ id: 'PoolPage' });
