import type { Clock } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';
import type { SnapshotRoleView } from './coexistence/snapshot-role.ts';
import type { Daemons } from './daemons/daemons.ts';
import type { EventRecorder } from './kube/event-recorder.ts';
import type { KubeClient } from './kube/kube-client.ts';
import type { Listers } from './kube/lister.ts';

/**
 * What every controller is built from. A controller exports `createXyzController(context)`, which returns a
 * ControllerModule; it starts nothing and calls nothing until its reconciler is given a key.
 */
export interface ControllerContext {
  /** The driver whose objects are ours: `csi.varve.dev` unless configured otherwise. */
  readonly driverName: string;
  readonly client: KubeClient;
  readonly listers: Listers;
  readonly daemons: Daemons;
  readonly events: EventRecorder;
  /** Whose the cluster-wide role of the snapshot controller is. The role for our own driver is always ours. */
  readonly snapshotRole: SnapshotRoleView;
  readonly clock: Clock;
  readonly log: Logger;
}
