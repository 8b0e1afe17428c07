/** Handlers of pools. */
import type { HttpServices } from './http-services.ts';
import { matchesLabels, parseLabelFilters } from './list-query.ts';
import type { RouteHandlers } from './route-handlers.ts';

/** Creates the handlers of pools. */
export function createPoolHandlers({
  pools,
}: HttpServices): RouteHandlers<'listPools' | 'getPool' | 'putPool'> {
  return {
    listPools: async ({ query }) => {
      const filters = parseLabelFilters(query.label);
      const rest = (await pools.list()).filter(
        ({ id, labels }) =>
          (query.after === undefined || id > query.after) && matchesLabels(labels, filters),
      );
      const items = rest.slice(0, query.limit);
      return { items, ...(rest.length > items.length && { next: items.at(-1)!.id }) };
    },
    getPool: ({ params }) => pools.get(params.pool),
    putPool: ({ params, body }) => pools.put(params.pool, body),
  };
}
