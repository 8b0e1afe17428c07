import type { KubernetesObject } from './kubernetes-object.ts';
import type { Listers, ObjectChange, ObjectIndex } from './lister.ts';
import type { ReconcileResult } from './reconcile-result.ts';
import type { Resource } from './resource.ts';

/**
 * Makes the world agree with one key, a bit further each pass. It gets a key, never an event: it looks at
 * the world as it is now. The same key is never reconciled twice at once; a repeat after a crash at any
 * point is harmless. `signal` is aborted when the operator stops, when it is no longer the leader, or when
 * the pass takes too long.
 */
export interface Reconciler {
  reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult>;
}

/**
 * Which changes of a resource wake which keys. `keysOf` must be cheap and must not throw; it looks at
 * `change.previous` too when the object may have moved from one key to another. When our own write had
 * stored the new version already, `previous` is still what was announced before.
 */
export interface Watch<T extends KubernetesObject = KubernetesObject> {
  readonly resource: Resource<T>;
  keysOf(change: ObjectChange<T>, listers: Listers): Iterable<string>;
}

/** Declares a watch with the types of its resource. */
export function watch<T extends KubernetesObject>(
  resource: Resource<T>,
  keysOf: (change: ObjectChange<T>, listers: Listers) => Iterable<string>,
): Watch {
  const declared: Watch<T> = { resource, keysOf };
  return declared;
}

/** What `operator.ts` needs to run a controller. One per kind of key. */
export interface ControllerModule {
  /** kebab-case; names the queue, the log lines and the metrics. */
  readonly name: string;
  readonly watches: readonly Watch[];
  /** Indexes that `watches` or the reconciler use; the same index may be listed by several modules. */
  readonly indexes: readonly ObjectIndex[];
  readonly reconciler: Reconciler;
}

/** Declares an index with the types of its resource; pass the result to `byIndex`. */
export function objectIndex<T extends KubernetesObject>(
  name: string,
  resource: Resource<T>,
  valuesOf: (object: T) => readonly string[],
): ObjectIndex<T> {
  return { name, resource, valuesOf };
}
