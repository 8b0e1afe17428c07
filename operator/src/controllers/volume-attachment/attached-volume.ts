/**
 * Lets a PersistentVolume go that no attachment names any more. The key is the volume's name. It takes away the
 * attacher's finalizer, which `volume-attachment` puts on; nothing else. A repeat finds it gone.
 */
import type { ControllerContext } from '../../controller-context.ts';
import { changeFinalizers, hasFinalizer } from '../../kube/finalizer.ts';
import { isTerminating } from '../../kube/kubernetes-object.ts';
import { done } from '../../kube/reconcile-result.ts';
import type { ControllerModule } from '../../kube/reconciler.ts';
import { persistentVolumes, volumeAttachments } from '../../kube/resource.ts';
import { attacherFinalizerOf } from '../shared/protocol-names.ts';
import { attachedVolumeWatches } from './watches.ts';

const pageSize = 500;

/** Creates the controller of PersistentVolumes that are, or were, attached. */
export function createAttachedVolumeController(context: ControllerContext): ControllerModule {
  const { client, listers, driverName } = context;
  const finalizer = attacherFinalizerOf(driverName);
  return {
    name: 'attached-volume',
    watches: attachedVolumeWatches,
    indexes: [],
    reconciler: {
      async reconcile(key) {
        const volume = listers.of(persistentVolumes).get(key);
        const isLeaving = volume !== undefined && isTerminating(volume);
        if (!isLeaving || !hasFinalizer(volume, finalizer)) return done();
        if (await isNamed(context, key)) return done();
        await changeFinalizers(client, persistentVolumes, volume, { remove: [finalizer] });
        return done();
      },
    },
  };
}

/** Whether an attachment names the volume. The API server is asked: what is not in the cache may exist. */
async function isNamed({ client }: ControllerContext, volume: string): Promise<boolean> {
  let next: string | undefined;
  do {
    const page = await client.list(volumeAttachments, { limit: pageSize, continue: next });
    if (page.items.some(({ spec }) => spec.source.persistentVolumeName === volume)) return true;
    next = page.metadata.continue;
  } while (next !== undefined && next !== '');
  return false;
}
