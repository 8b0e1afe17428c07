/**
 * What the daemon tells on its event stream. Events are hints to look again, never the only source of a
 * truth.
 */
import { z } from 'zod';
import { timestampSchema } from './identifier.ts';

/** Something that happened. */
export const eventSchema = z
  .object({
    /** Grows by one with each event of this run of the daemon. */
    sequence: z.int().positive(),
    at: timestampSchema,
    type: z.enum([
      'pool-formatted',
      'pool-opened',
      'pool-failed',
      'pool-read-only',
      'volume-created',
      'volume-changed',
      'volume-reverted',
      'volume-deleted',
      'snapshot-created',
      'snapshot-deleted',
      'connection-opened',
      'connection-closed',
      'space-progress',
      /** Events were dropped because the reader was too slow: list again. */
      'overflow',
    ]),
    /** `volume/abc`, `snapshot/abc`, `pool/abc`, or `daemon`. */
    object: z.string(),
    message: z.string(),
    fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  })
  .meta({ id: 'Event' });

/** Something that happened. */
export type Event = z.output<typeof eventSchema>;

/** What happened. */
export type EventType = Event['type'];
