/** Names, labels and sizes as they appear in every object of the contract, with their bounds. */
import { z } from 'zod';

/** Longest id: what a catalog record of the store has room for. */
export const idLengthMax = 100;
/** Sizes of volumes are rounded up to a multiple of this. */
export const sizeGranularityBytes = 1024 * 1024;
/** The largest volume: block numbers have 32 bits, and sizes are multiples of 1 MiB. */
export const volumeSizeBytesMax = 16 * 1024 ** 4 - sizeGranularityBytes;
/** Labels of one object; all attributes together must also fit 3,072 bytes. */
export const labelCountMax = 32;

/** An id of a volume, snapshot, pool or revert: chosen by the client, unique per daemon and kind. */
export const idSchema = z
  .string()
  .min(1)
  .max(idLengthMax)
  .regex(
    /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/,
    "must consist of a-z, 0-9, '-' and '.', and start and end with a letter or digit",
  )
  .meta({ description: 'Chosen by the client; unique per daemon and kind.' });

const labelKeySchema = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$/, 'must be a name like app or varve.dev/pvc');

/** Whatever the client wants to find its objects by. */
export const labelsSchema = z
  .record(labelKeySchema, z.string().max(253))
  .refine((labels) => Object.keys(labels).length <= labelCountMax, {
    message: `must not have more than ${labelCountMax} labels`,
  });

/** Labels by key. */
export type Labels = z.output<typeof labelsSchema>;

/** A size of a volume as a client gives it. The limits of the store are judged later, as `out-of-range`. */
export const requestedSizeSchema = z
  .int()
  .positive()
  .meta({ description: 'Rounded up to 1 MiB; answers give the rounded size.' });

/** A number of bytes in an answer. */
export const byteCountSchema = z.int().nonnegative();

/** A time in an answer: RFC 3339, UTC, milliseconds. */
export const timestampSchema = z.iso.datetime({ precision: 3 });

/** Rounds a size up to what the daemon makes of it. */
export function roundUpSizeBytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / sizeGranularityBytes) * sizeGranularityBytes;
}
