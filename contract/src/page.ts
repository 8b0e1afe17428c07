/**
 * How lists are cut into pages and filtered. Order is by id, so a page starts after the last id of the one
 * before.
 */
import { z } from 'zod';
import { idSchema } from './identifier.ts';

/** Objects of a page, if the client does not say. */
export const pageLimitDefault = 500;
/** The largest page: about 1 MiB of JSON. */
export const pageLimitMax = 1000;

/** Query of every list. */
export const pageQueryShape = {
  limit: z.coerce.number<number>().int().min(1).max(pageLimitMax).default(pageLimitDefault),
  after: idSchema.optional().meta({ description: 'The `next` of the page before.' }),
  label: z
    .union([z.string(), z.array(z.string()).max(16)])
    .optional()
    .meta({
      description: '`key=value` or `key`; may be repeated, then all must hold.',
    }),
};

/** A page of objects. */
export function pageSchema<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    /** Give it as `after` to get the next page; absent on the last one. */
    next: z.string().optional(),
  });
}

/** A page of objects. */
export interface Page<Item> {
  readonly items: Item[];
  readonly next?: string | undefined;
}
