/** Handlers of volumes, their reverts, their file system state and the hosts that may attach them. */
import { boundHost } from './access/caller.ts';
import type { HttpServices } from './http-services.ts';
import { toListArgument } from './list-query.ts';
import { withObjects } from './object-locks.ts';
import { requireStarted } from './readiness.ts';
import type { RouteHandlers } from './route-handlers.ts';

/** The routes handled here. */
export type VolumeRoute =
  | 'listVolumes'
  | 'getVolume'
  | 'putVolume'
  | 'patchVolume'
  | 'deleteVolume'
  | 'putRevert'
  | 'getFilesystem'
  | 'putFilesystem'
  | 'listHosts'
  | 'getHost'
  | 'putHost'
  | 'deleteHost';

/** Creates the handlers of volumes. */
export function createVolumeHandlers(services: HttpServices): RouteHandlers<VolumeRoute> {
  const { locks } = services;
  const channel = () => requireStarted(services);
  return {
    listVolumes: ({ query }) => channel().call('listVolumes', toListArgument(query)),
    getVolume: ({ params }) => channel().call('getVolume', { id: params.volume }),
    putVolume: ({ params: { volume: id }, body }) => {
      const { snapshot, volume } = body.source ?? {};
      const shared: string[] = [];
      if (snapshot !== undefined) shared.push(`snapshot/${snapshot}`);
      if (volume !== undefined) shared.push(`volume/${volume}`);
      const objects = { exclusive: [`volume/${id}`], shared };
      return withObjects(locks, objects, () => channel().call('putVolume', { id, body }));
    },
    patchVolume: ({ params: { volume: id }, body }) =>
      withObjects(locks, { exclusive: [`volume/${id}`] }, () =>
        channel().call('patchVolume', { id, body }),
      ),
    deleteVolume: ({ params: { volume: id } }) =>
      withObjects(locks, { exclusive: [`volume/${id}`] }, () =>
        channel().call('deleteVolume', { id }),
      ),
    putRevert: ({ params: { volume: id, revert }, body: { snapshot } }) =>
      withObjects(locks, { exclusive: [`volume/${id}`], shared: [`snapshot/${snapshot}`] }, () =>
        channel().call('putRevert', { id, revert, snapshot }),
      ),
    getFilesystem: ({ params, caller }) =>
      channel().call('getFilesystem', { id: params.volume, boundHost: boundHost(caller) }),
    putFilesystem: ({ params: { volume: id }, body, caller }) =>
      withObjects(locks, { exclusive: [`volume/${id}`] }, () =>
        channel().call('putFilesystem', { id, body, boundHost: boundHost(caller) }),
      ),
    listHosts: ({ params }) => channel().call('listHosts', { id: params.volume }),
    getHost: ({ params: { volume: id, hostNqn } }) => channel().call('getHost', { id, hostNqn }),
    putHost: ({ params: { volume: id, hostNqn }, body }) =>
      withObjects(locks, { exclusive: [`volume/${id}`] }, () =>
        channel().call('putHost', { id, hostNqn, body }),
      ),
    // Nobody gets access before the revoke is over, also if its caller has given up waiting.
    deleteHost: ({ params: { volume: id, hostNqn } }) =>
      withObjects(locks, { exclusive: [`volume/${id}`] }, () =>
        channel().call('deleteHost', { id, hostNqn }),
      ),
  };
}
