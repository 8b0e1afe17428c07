/** Handlers of volumes, their reverts and their file system state. */
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
  | 'putFilesystem';

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
    getFilesystem: ({ params }) => channel().call('getFilesystem', { id: params.volume }),
    putFilesystem: ({ params: { volume: id }, body }) =>
      withObjects(locks, { exclusive: [`volume/${id}`] }, () =>
        channel().call('putFilesystem', { id, body }),
      ),
  };
}
