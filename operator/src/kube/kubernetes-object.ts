/**
 * Kubernetes objects as they travel: raw JSON, readonly, unknown fields kept. Nothing is ever read through
 * one shape and written through another (a typed client drops what it does not know).
 */

/** A reference from an object to the one that owns it. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** What every object carries. `resourceVersion` is opaque to all but `resource-version.ts`. */
export interface ObjectMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly managedFields?: readonly { readonly manager?: string; readonly time?: string }[];
}

/** Any object that the API server has answered with. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMetadata;
}

/** The metadata of an object that is to be created: the server adds the rest. */
export type DraftMetadata = Partial<Omit<ObjectMetadata, 'uid' | 'resourceVersion'>> & {
  readonly generateName?: string;
};

/** An object that is to be created. */
export type Draft<T extends KubernetesObject> = Omit<T, 'metadata'> & {
  readonly metadata: DraftMetadata;
};

/** metav1.Condition: positive type names, a list-map by `type`. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}

/** core/v1 ObjectReference. */
export interface ObjectReference {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly fieldPath?: string;
}

/** Where an object is: its name, and its namespace unless it is cluster-scoped. */
export interface ObjectName {
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** The key of an object in listers and workqueues: `namespace/name`, or `name` when cluster-scoped. */
export function objectKey(name: ObjectName): string {
  return name.namespace === undefined ? name.name : `${name.namespace}/${name.name}`;
}

/** The name that {@link objectKey} made a key of. */
export function parseObjectKey(key: string): ObjectName {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Whether the object is being deleted: its finalizers alone still hold it. */
export function isTerminating(object: KubernetesObject): boolean {
  return object.metadata.deletionTimestamp !== undefined;
}

/** A full reference to an object, as events and contents carry it. */
export function referenceTo(object: KubernetesObject): ObjectReference {
  const { namespace, name, uid, resourceVersion } = object.metadata;
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    ...(namespace === undefined ? {} : { namespace }),
    name,
    uid,
    resourceVersion,
  };
}
