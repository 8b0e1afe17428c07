import type { StorageDaemon } from '../../kube/storage-daemon-kind.ts';

/** Where a thing without its counterpart is. */
export type OrphanKind =
  /** At the daemon, and nothing in Kubernetes names it. */
  | 'volume'
  | 'snapshot'
  /** In Kubernetes, and the daemon does not have what it names. */
  | 'persistent-volume'
  | 'content';

/** One thing without its counterpart. */
export interface Orphan {
  readonly kind: OrphanKind;
  /** The daemon's id, or the name of the object. */
  readonly name: string;
  /** What it belonged to, for people: `PersistentVolumeClaim default/data`. */
  readonly owner: string;
}

/** All that a decision about the orphans of one daemon looks at. */
export interface World {
  readonly daemon: StorageDaemon;
  /** In the order of kinds and names. */
  readonly orphans: readonly Orphan[];
  /** How long each orphan at the daemon has been one, by kind and name; those found just now are not in it. */
  readonly ageMsOf: (orphan: Orphan) => number;
}
