import type { KubernetesObject } from './kubernetes-object.ts';
import type { Resource } from './resource.ts';

/**
 * A way to find objects by something other than their name: `keysOf` gives the values under which an
 * object is found. Declared once as a constant, beside the controller that needs it; the constant itself
 * is what `byIndex` is asked with.
 */
export interface ObjectIndex<T extends KubernetesObject = KubernetesObject> {
  readonly name: string;
  readonly resource: Resource<T>;
  valuesOf(object: T): readonly string[];
}

/** Read access to the local copy of all objects of one resource. Never asks the server. */
export interface Lister<T extends KubernetesObject> {
  /** The object under a key (`objectKey`), or undefined when there is none. */
  get(key: string): T | undefined;
  /** All objects, or those of one namespace. */
  list(namespace?: string): readonly T[];
  /** The objects for which `index.valuesOf` gave `value`. The index must be registered. */
  byIndex(index: ObjectIndex<T>, value: string): readonly T[];
}

/** Gives the lister of each watched resource; asking for one that is not watched is our own bug. */
export interface Listers {
  of<T extends KubernetesObject>(resource: Resource<T>): Lister<T>;
}

/** A change of the local copy. A key that vanished and came back within a gap is deleted, then added. */
export type ObjectChange<T extends KubernetesObject = KubernetesObject> =
  | { readonly type: 'added'; readonly object: T; readonly previous: undefined }
  | { readonly type: 'modified'; readonly object: T; readonly previous: T }
  | { readonly type: 'deleted'; readonly object: T; readonly previous: T };
