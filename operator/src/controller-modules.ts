/**
 * All controllers of the operator, in one list: `operator.ts` runs them, and the tests pass over them. A new
 * controller is a line here; the kinds that it watches are described in `kube/resource.ts`.
 */
import type { Registry } from 'prom-client';
import type { ControllerContext } from './controller-context.ts';
import {
  createOrphanCheckController,
  type OrphanCheckOptions,
} from './controllers/orphan-check/reconciler.ts';
import { createPersistentVolumeClaimController } from './controllers/persistent-volume-claim/reconciler.ts';
import { createPersistentVolumeController } from './controllers/persistent-volume/reconciler.ts';
import { createSourceProtectionControllers } from './controllers/source-protection/reconciler.ts';
import { createStorageDaemonController } from './controllers/storage-daemon/reconciler.ts';
import { createVolumeAttachmentControllers } from './controllers/volume-attachment/reconciler.ts';
import { createVolumeRevertController } from './controllers/volume-revert/reconciler.ts';
import { createVolumeSnapshotContentController } from './controllers/volume-snapshot-content/reconciler.ts';
import { createVolumeSnapshotController } from './controllers/volume-snapshot/reconciler.ts';
import type { DaemonRegistry } from './daemons/daemon-registry.ts';
import type { ControllerModule } from './kube/reconciler.ts';

/** Controllers whose keys come to rest: in a world at rest a pass over all of them changes nothing. */
export function createObjectControllers(context: ControllerContext): readonly ControllerModule[] {
  return [
    createVolumeSnapshotController(context),
    createVolumeSnapshotContentController(context),
    createPersistentVolumeClaimController(context),
    createPersistentVolumeController(context),
    ...createVolumeAttachmentControllers(context),
    createVolumeRevertController(context),
    ...createSourceProtectionControllers(context),
  ];
}

/** What the polling controllers need besides. */
export interface PollingParts {
  readonly daemons: DaemonRegistry;
  readonly orphanCheck: OrphanCheckOptions;
  /** Where their own metrics are. */
  readonly registry: Registry;
}

/** Controllers that look at the world again and again by the clock. */
export function createPollingControllers(
  context: ControllerContext,
  { daemons, orphanCheck, registry }: PollingParts,
): readonly ControllerModule[] {
  return [
    createStorageDaemonController(context, daemons),
    createOrphanCheckController(context, orphanCheck, registry),
  ];
}
