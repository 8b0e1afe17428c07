import type { Draft, KubernetesObject, ObjectName } from './kubernetes-object.ts';
import type { Resource } from './resource.ts';

/** What to list or watch. */
export interface Selection {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

/** A page of a list. */
export interface ListOptions extends Selection {
  /** How many objects a page may hold; the server's choice when absent. */
  readonly limit?: number | undefined;
  readonly continue?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One page of a list; `continue` is empty or absent on the last one. */
export interface ObjectList<T extends KubernetesObject> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly T[];
}

/** Which version of an object may be deleted, and what happens to what it owns. */
export interface DeleteOptions {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
}

/** One operation of a JSON patch (RFC 6902). */
export type JsonPatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/**
 * A change of an object. `merge` (RFC 7386): null deletes a key, lists are replaced whole; with
 * `metadata.resourceVersion` in the body it is refused as a conflict when somebody was faster. `strategic`
 * is for core kinds only. `apply` is server-side apply: it owns the fields in the body.
 */
export type Patch =
  | { readonly type: 'merge'; readonly body: object }
  | { readonly type: 'json'; readonly operations: readonly JsonPatchOperation[] }
  | { readonly type: 'strategic'; readonly body: object }
  | { readonly type: 'apply'; readonly body: object; readonly force: boolean };

/** Which part of the object a write goes to. */
export interface WriteOptions {
  readonly subresource?: 'status' | undefined;
}

/** What a watch tells, one line each. */
export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubernetesObject }
  | { readonly type: 'BOOKMARK'; readonly object: KubernetesObject }
  | { readonly type: 'ERROR'; readonly object: unknown };

/** A watch from a resourceVersion on. */
export interface WatchOptions extends Selection {
  readonly resourceVersion: string;
  /** When the server should end the watch by itself. */
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
}

/**
 * The API server as our code sees it: raw JSON in and out. Every method rejects with an ApiError. Objects
 * that a write returns are newer than what listers hold; the client hands them to the cache
 * ({@link WriteObserver}), so that a controller reads its own writes.
 */
export interface KubeClient {
  get<T extends KubernetesObject>(resource: Resource<T>, name: ObjectName): Promise<T>;
  list<T extends KubernetesObject>(
    resource: Resource<T>,
    options?: ListOptions,
  ): Promise<ObjectList<T>>;
  create<T extends KubernetesObject>(resource: Resource<T>, object: Draft<T>): Promise<T>;
  /** Replaces the object; refused as a conflict when its resourceVersion is no longer the newest. */
  replace<T extends KubernetesObject>(
    resource: Resource<T>,
    object: T,
    options?: WriteOptions,
  ): Promise<T>;
  patch<T extends KubernetesObject>(
    resource: Resource<T>,
    name: ObjectName,
    patch: Patch,
    options?: WriteOptions,
  ): Promise<T>;
  /** Asks for deletion; finalizers may hold the object on. Not found is an error: callers decide. */
  delete(resource: Resource, name: ObjectName, options?: DeleteOptions): Promise<void>;
  /** Yields events until the server ends the watch (returns) or the connection breaks (throws). */
  watch(resource: Resource, options: WatchOptions): AsyncIterable<WatchEvent>;
}

/** Told of every object that a write returned. */
export interface WriteObserver {
  observeWrite(resource: Resource, object: KubernetesObject): void;
}
