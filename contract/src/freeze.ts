/**
 * Freezing file systems for a snapshot: what the operator asks of the node plugin of the node that has them
 * mounted, at `PUT /v1/freezes/{id}`, and ends with `DELETE`. The id is the caller's; both calls may be
 * repeated.
 */
import { z } from 'zod';

/** What to freeze. */
export const putFreezeSchema = z.strictObject({
  /** `<StorageDaemon>/<volume>`, as a PersistentVolume names it. */
  volumeHandles: z.array(z.string().min(1).max(256)).min(1).max(100),
});

/** How a freeze is doing, or how it ended. */
export const freezeStateSchema = z.discriminatedUnion('state', [
  z.object({ state: z.literal('frozen') }),
  z.object({
    state: z.literal('thawed'),
    /** Only of a freeze that its caller ended is it sure that it lasted until then. */
    endedBy: z.enum(['caller', 'watchdog']),
    /** From before the first file system froze until after the last thawed. */
    frozenMs: z.int().nonnegative(),
  }),
]);

/** How a freeze is doing, or how it ended. */
export type FreezeState = z.output<typeof freezeStateSchema>;
