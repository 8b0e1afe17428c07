import type { StorageDaemon } from '../../kube/storage-daemon-kind.ts';
import type { ObjectChange } from '../../kube/lister.ts';

/** Whether the operator reached the daemon when it looked last. */
export function isDaemonReady(daemon: StorageDaemon): boolean {
  const ready = daemon.status?.conditions?.find((condition) => condition.type === 'Ready');
  return ready?.status === 'True';
}

/**
 * Whether a change of a StorageDaemon is a reason to ask the daemon again at once instead of waiting for the end of a
 * pause: it became ready, or an administrator changed how to reach it.
 */
export function isDaemonBack({ type, object, previous }: ObjectChange<StorageDaemon>): boolean {
  if (type === 'deleted') return false;
  if (previous === undefined) return true;
  const isChanged = object.metadata.generation !== previous.metadata.generation;
  return isChanged || (isDaemonReady(object) && !isDaemonReady(previous));
}
