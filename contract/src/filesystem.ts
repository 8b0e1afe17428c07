/**
 * What the daemon knows about the file system on a volume, so that a volume with data is never formatted:
 * mkfs may run only in the state `formatting`, which a volume enters only while nothing is written to it.
 * Snapshots record the state of their volume; what is made from them inherits it.
 */
import { z } from 'zod';

/** The file systems that Varve makes. */
export const filesystemTypeSchema = z.enum(['ext4', 'xfs']);

/** Nothing was written yet; mkfs is under way; there is a file system. */
export const filesystemStateSchema = z.enum(['blank', 'formatting', 'ready']);

/** The recorded state. `type` is there in all states but `blank`. */
export const filesystemSchema = z
  .object({ state: filesystemStateSchema, type: filesystemTypeSchema.optional() })
  .meta({ id: 'Filesystem' });

/** The recorded state. */
export type Filesystem = z.output<typeof filesystemSchema>;

/** The state to move to: `blank` to `formatting` to `ready`. */
export const putFilesystemSchema = z
  .strictObject({ state: filesystemStateSchema, type: filesystemTypeSchema.optional() })
  .refine((body) => (body.state === 'blank') === (body.type === undefined), {
    path: ['type'],
    message: 'must be given with the states formatting and ready, and only with them',
  })
  .meta({ id: 'PutFilesystem' });
