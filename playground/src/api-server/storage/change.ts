/** What happens to stored objects: the unit of the log, of the history and of watches. */
import type { ApiObject } from '../objects/api-object.ts';

/** One change of one object. Its revision is the `resourceVersion` of `object`. */
export interface Change {
  readonly revision: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** Which store of objects, as `persistentvolumeclaims` or `volumesnapshots.snapshot.storage.k8s.io`. */
  readonly storageKey: string;
  /** `namespace/name`, or the name alone for kinds without namespaces. */
  readonly objectKey: string;
  /** The object after the change; after a deletion, its last state. */
  readonly object: ApiObject;
  /** The object before the change; undefined if it was not there. */
  readonly previous: ApiObject | undefined;
}

/** The key of an object within its store. */
export function objectKey(namespace: string | undefined, name: string): string {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}
