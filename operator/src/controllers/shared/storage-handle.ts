/**
 * volumeHandle and snapshotHandle: `<StorageDaemon name>/<id at the daemon>`. The form is fixed for ever. The
 * name of a daemon is a Kubernetes name and an id has no slash, so that the first slash separates the two.
 */

/** What a handle addresses. */
export interface StorageHandle {
  readonly daemon: string;
  readonly id: string;
}

const handleForm = /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)\/([a-z0-9]([a-z0-9.-]*[a-z0-9])?)$/;

/** The handle of an object at a daemon. */
export function formatHandle(handle: StorageHandle): string {
  return `${handle.daemon}/${handle.id}`;
}

/** What a handle addresses; undefined when it is none of ours. */
export function parseHandle(handle: string): StorageHandle | undefined {
  const [, daemon, , id] = handleForm.exec(handle) ?? [];
  return daemon === undefined || id === undefined ? undefined : { daemon, id };
}

/** Where a new volume is made: the value of the annotation `varve.dev/placement`. */
export interface Placement {
  readonly daemon: string;
  readonly pool: string;
}

/** The annotation's value for a placement. */
export function formatPlacement(placement: Placement): string {
  return `${placement.daemon}/${placement.pool}`;
}

/** The placement of an annotation's value; undefined when it has not the form `<StorageDaemon>/<pool>`. */
export function parsePlacement(value: string): Placement | undefined {
  const handle = parseHandle(value);
  return handle === undefined ? undefined : { daemon: handle.daemon, pool: handle.id };
}
