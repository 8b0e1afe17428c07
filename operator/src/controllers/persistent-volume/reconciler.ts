/**
 * Deletes the data of one PersistentVolume when nobody has it any more, if its policy says so. The key is the volume's
 * name. It owns the provisioner's finalizer, and the volume at the daemon from the moment the PersistentVolume exists.
 * A repeat is harmless because the daemon's DELETE is: absent is fine. It never deletes anything that kube has not
 * declared Released. It comes back when the volume or the daemon changes, and with growing pauses while the daemon
 * refuses.
 */
import { isProblemError } from '@varve/contract/problem';
import type { ControllerContext } from '../../controller-context.ts';
import { isNotFound } from '../../kube/api-errors.ts';
import type { PersistentVolume } from '../../kube/core-kinds.ts';
import { changeFinalizers } from '../../kube/finalizer.ts';
import { isTerminating } from '../../kube/kubernetes-object.ts';
import { done, type ReconcileResult } from '../../kube/reconcile-result.ts';
import type { ControllerModule, Reconciler } from '../../kube/reconciler.ts';
import { persistentVolumes } from '../../kube/resource.ts';
import { describeProblem, endWith } from '../shared/daemon-problem.ts';
import { readLive } from '../shared/live-read.ts';
import { finalizers } from '../shared/protocol-names.ts';
import type { StorageHandle } from '../shared/storage-handle.ts';
import { decide } from './decide.ts';
import { gather } from './gather.ts';
import { volumeIndexes, volumeWatches } from './watches.ts';

/** The reason under which kube's own controllers tell the same. */
const failureReason = 'VolumeFailedDelete';

/** Creates the controller of PersistentVolumes. */
export function createPersistentVolumeController(context: ControllerContext): ControllerModule {
  return {
    name: 'persistent-volume',
    watches: volumeWatches,
    indexes: volumeIndexes,
    reconciler: new PersistentVolumeReconciler(context),
  };
}

class PersistentVolumeReconciler implements Reconciler {
  readonly #context: ControllerContext;

  constructor(context: ControllerContext) {
    this.#context = context;
  }

  async reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    const { client, driverName, events } = this.#context;
    const world = await gather(key, this.#context);
    const decision = decide(world, driverName);
    const { volume } = world;
    if (volume === undefined || decision.kind === 'nothing') return done();
    const ours = [finalizers.volumeProvisioned];
    switch (decision.kind) {
      case 'add-finalizer':
        await changeFinalizers(client, persistentVolumes, volume, { add: ours });
        break;
      case 'remove-finalizer':
        await changeFinalizers(client, persistentVolumes, volume, { remove: ours });
        break;
      case 'delete-volume':
        return this.#deleteVolume(volume, decision.handle, signal);
      case 'tell-failure':
        events.warning(volume, failureReason, decision.message);
    }
    return done();
  }

  async #deleteVolume(
    volume: PersistentVolume,
    handle: StorageHandle,
    signal: AbortSignal,
  ): Promise<ReconcileResult> {
    try {
      const daemon = await this.#context.daemons.clientOf(handle.daemon);
      await daemon.deleteVolume(handle.id, { signal });
    } catch (error) {
      if (!isProblemError(error)) throw error;
      this.#context.events.warning(volume, failureReason, describeProblem(error));
      return endWith(error);
    }
    await this.#deleteObject(volume);
    return done();
  }

  /** The data is gone: the object first, so that nobody binds it, then our finalizer. */
  async #deleteObject(volume: PersistentVolume): Promise<void> {
    const { client } = this.#context;
    const { name, uid } = volume.metadata;
    if (!isTerminating(volume)) {
      try {
        await client.delete(persistentVolumes, { name }, { uid });
      } catch (error) {
        if (!isNotFound(error)) throw error;
        return;
      }
    }
    const left = await readLive(client, persistentVolumes, { name });
    if (left?.metadata.uid !== uid) return;
    const remove = [finalizers.volumeProvisioned];
    await changeFinalizers(client, persistentVolumes, left, { remove });
  }
}
