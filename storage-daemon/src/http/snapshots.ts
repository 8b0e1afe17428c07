/** Handlers of snapshots. */
import type { HttpServices } from './http-services.ts';
import { toListArgument } from './list-query.ts';
import { withObjects } from './object-locks.ts';
import { requireStarted } from './readiness.ts';
import type { RouteHandlers } from './route-handlers.ts';

/** The routes handled here. */
export type SnapshotRoute =
  'listSnapshots' | 'getSnapshot' | 'putSnapshot' | 'deleteSnapshot' | 'postReclaimable';

/** Creates the handlers of snapshots. */
export function createSnapshotHandlers(services: HttpServices): RouteHandlers<SnapshotRoute> {
  const { locks } = services;
  const channel = () => requireStarted(services);
  return {
    listSnapshots: ({ query }) => channel().call('listSnapshots', toListArgument(query)),
    getSnapshot: ({ params }) => channel().call('getSnapshot', { id: params.snapshot }),
    putSnapshot: ({ params: { snapshot: id }, body }) =>
      withObjects(locks, { exclusive: [`snapshot/${id}`], shared: [`volume/${body.volume}`] }, () =>
        channel().call('putSnapshot', { id, body }),
      ),
    deleteSnapshot: ({ params: { snapshot: id } }) =>
      withObjects(locks, { exclusive: [`snapshot/${id}`] }, () =>
        channel().call('deleteSnapshot', { id }),
      ),
    postReclaimable: async ({ body: { ids } }) => ({
      reclaimableBytes: await channel().call('countReclaimable', { ids }),
    }),
  };
}
