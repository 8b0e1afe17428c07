/** Kubernetes objects as they are stored and served: raw JSON with the members that every object has. */
import { asList, asObject, asString, isObject, type JsonObject } from './json.ts';

/** Who owns an object: when the last owner goes, the garbage collector deletes the object. */
export interface OwnerReference extends JsonObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** metav1.ObjectMeta, as far as the server itself reads it. */
export interface ObjectMeta extends JsonObject {
  readonly name: string;
  readonly namespace?: string;
  readonly generateName?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation?: number;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
  readonly managedFields?: readonly JsonObject[];
}

/** Any object of the API. */
export interface ApiObject extends JsonObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** Group and version of an `apiVersion`; the core group is the empty string. */
export interface GroupVersion {
  readonly group: string;
  readonly version: string;
}

/** Splits `group/version`; `v1` alone is of the core group. */
export function parseApiVersion(apiVersion: string): GroupVersion {
  const slash = apiVersion.indexOf('/');
  if (slash === -1) return { group: '', version: apiVersion };
  return { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** Joins group and version into an `apiVersion`. */
export function formatApiVersion({ group, version }: GroupVersion): string {
  return group === '' ? version : `${group}/${version}`;
}

/** The finalizers of an object, [] if it has none. */
export function finalizersOf(object: JsonObject): readonly string[] {
  return asList(asObject(object['metadata'])['finalizers']).filter(
    (finalizer) => typeof finalizer === 'string',
  );
}

/** The owner references of an object, [] if it has none. */
export function ownersOf(object: JsonObject): readonly OwnerReference[] {
  return asList(asObject(object['metadata'])['ownerReferences']).filter((owner) =>
    isObject(owner),
  ) as unknown as readonly OwnerReference[];
}

/** The annotation of that name, undefined if the object does not have it. */
export function annotationOf(object: JsonObject, name: string): string | undefined {
  return asString(asObject(asObject(object['metadata'])['annotations'])[name]);
}

/** Whether the object has been deleted and waits for its finalizers. */
export function isTerminating(object: JsonObject): boolean {
  return asString(asObject(object['metadata'])['deletionTimestamp']) !== undefined;
}

/** A point in time as Kubernetes writes it: RFC 3339 in UTC with whole seconds. */
export function formatTime(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
