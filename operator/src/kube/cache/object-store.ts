/**
 * The local copy of one resource's objects, with indexes. Three sources write to it, and their order is
 * not given: lists, watch events, and objects that our own writes returned. Invariants:
 *
 * - The copy of an object never goes back to an older version of the same object (same UID).
 * - An object that the watch has passed and deleted is not brought back by the late answer to a write:
 *   what is absent here and not newer than the newest version seen by list or watch is dead.
 * - Changes are announced for lists and watch events only, also when our own write had stored the version
 *   before: others who watch it must still wake.
 */
import { assert } from '@varve/common/assert';
import type { KubernetesObject } from '../kubernetes-object.ts';
import { objectKey } from '../kubernetes-object.ts';
import type { Lister, ObjectChange, ObjectIndex } from '../lister.ts';
import { compareResourceVersions } from './resource-version.ts';

/** Hears of changes, in order. Must not throw: it only puts keys into queues. */
export type ChangeListener<T extends KubernetesObject> = (change: ObjectChange<T>) => void;

/** An indexed local copy; see the file's head for what it promises. */
export class ObjectStore<T extends KubernetesObject> implements Lister<T> {
  readonly #objects = new Map<string, T>();
  readonly #byNamespace = new Map<string, Set<string>>();
  readonly #indexes = new Map<ObjectIndex<T>, Map<string, Set<string>>>();
  readonly #listeners: ChangeListener<T>[] = [];
  /** What listeners last heard of keys that one of our own writes has changed since. */
  readonly #lastAnnounced = new Map<string, T | undefined>();
  #newestSeen = '0';

  get size(): number {
    return this.#objects.size;
  }

  /** Registers an index; a second time does nothing. Objects already here are indexed too. */
  addIndex(index: ObjectIndex<T>): void {
    if (this.#indexes.has(index)) return;
    const entries = new Map<string, Set<string>>();
    this.#indexes.set(index, entries);
    for (const [key, object] of this.#objects) addToIndex(entries, index.valuesOf(object), key);
  }

  addListener(listener: ChangeListener<T>): void {
    this.#listeners.push(listener);
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(namespace?: string): readonly T[] {
    if (namespace === undefined) return [...this.#objects.values()];
    return this.#resolve(this.#byNamespace.get(namespace));
  }

  byIndex(index: ObjectIndex<T>, value: string): readonly T[] {
    const entries = this.#indexes.get(index);
    assert(entries !== undefined, `index ${index.name} is not registered`);
    return this.#resolve(entries.get(value));
  }

  /** Takes over a complete list as of `resourceVersion`: what is not in it is gone. */
  replaceAll(objects: readonly T[], resourceVersion: string): void {
    const listed = new Set(objects.map((object) => objectKey(object.metadata)));
    for (const [key, object] of this.#objects) {
      // Created by us after the list was taken: the watch that follows will tell.
      const isNewer = (compareResourceVersions(versionOf(object), resourceVersion) ?? -1) > 0;
      if (!listed.has(key) && !isNewer) this.#delete(key, object);
    }
    for (const object of objects) this.#put(object);
    this.#advance(resourceVersion);
  }

  /** The kind is gone from the server, and all objects with it. Another of that name starts anew. */
  clear(): void {
    for (const [key, object] of this.#objects) this.#delete(key, object);
    this.#newestSeen = '0';
  }

  /** Takes over an ADDED or MODIFIED event. */
  upsert(object: T): void {
    this.#put(object);
    this.#advance(versionOf(object));
  }

  /** Takes over a DELETED event; `object` is the last state. */
  remove(object: T): void {
    const key = objectKey(object.metadata);
    const held = this.#objects.get(key);
    // The name may live on as another object that our own write has stored already.
    if (held !== undefined && held.metadata.uid === object.metadata.uid) this.#delete(key, object);
    this.#advance(versionOf(object));
  }

  /** Takes over what one of our own writes returned, if it is news. Announces nothing. */
  observeWrite(object: T): void {
    const held = this.#objects.get(objectKey(object.metadata));
    if (held === undefined || held.metadata.uid !== object.metadata.uid) {
      const order = compareResourceVersions(versionOf(object), this.#newestSeen);
      if (order === undefined || order <= 0) return;
    } else if ((compareResourceVersions(versionOf(object), versionOf(held)) ?? -1) <= 0) {
      return;
    }
    const key = objectKey(object.metadata);
    if (!this.#lastAnnounced.has(key)) this.#lastAnnounced.set(key, held);
    this.#store(object);
  }

  #put(object: T): void {
    const key = objectKey(object.metadata);
    const held = this.#objects.get(key);
    if (held !== undefined && held.metadata.uid !== object.metadata.uid) {
      const order = compareResourceVersions(versionOf(object), versionOf(held));
      if (order !== undefined && order < 0) return;
      this.#delete(key, held);
    }
    const previous = this.#takeLastAnnounced(key);
    const isOlder =
      held !== undefined &&
      held.metadata.uid === object.metadata.uid &&
      (compareResourceVersions(versionOf(object), versionOf(held)) ?? 1) < 0;
    const newest = isOlder ? held : object;
    if (!isOlder) this.#store(object);
    if (previous === undefined) this.#announce({ type: 'added', object: newest, previous });
    else this.#announce({ type: 'modified', object: newest, previous });
  }

  #delete(key: string, last: T): void {
    const held = this.#objects.get(key);
    if (held === undefined) return;
    const previous = this.#takeLastAnnounced(key) ?? held;
    this.#unindex(key, held);
    this.#objects.delete(key);
    this.#announce({ type: 'deleted', object: last, previous });
  }

  /** What listeners know of the key: the copy, unless our own write went ahead of them. */
  #takeLastAnnounced(key: string): T | undefined {
    if (!this.#lastAnnounced.has(key)) return this.#objects.get(key);
    const announced = this.#lastAnnounced.get(key);
    this.#lastAnnounced.delete(key);
    return announced;
  }

  #store(object: T): void {
    const key = objectKey(object.metadata);
    const held = this.#objects.get(key);
    if (held !== undefined) this.#unindex(key, held);
    this.#objects.set(key, object);
    const { namespace } = object.metadata;
    if (namespace !== undefined) addToIndex(this.#byNamespace, [namespace], key);
    for (const [index, entries] of this.#indexes) addToIndex(entries, index.valuesOf(object), key);
  }

  #unindex(key: string, object: T): void {
    const { namespace } = object.metadata;
    if (namespace !== undefined) removeFromIndex(this.#byNamespace, [namespace], key);
    for (const [index, entries] of this.#indexes) {
      removeFromIndex(entries, index.valuesOf(object), key);
    }
  }

  #resolve(keys: Iterable<string> | undefined): readonly T[] {
    const objects: T[] = [];
    for (const key of keys ?? []) {
      const object = this.#objects.get(key);
      assert(object !== undefined, `an index holds ${key}, which is not in the store`);
      objects.push(object);
    }
    return objects;
  }

  #advance(resourceVersion: string): void {
    const order = compareResourceVersions(resourceVersion, this.#newestSeen);
    if (order === undefined || order > 0) this.#newestSeen = resourceVersion;
  }

  #announce(change: ObjectChange<T>): void {
    for (const listener of this.#listeners) listener(change);
  }
}

function versionOf(object: KubernetesObject): string {
  return object.metadata.resourceVersion;
}

function addToIndex(
  entries: Map<string, Set<string>>,
  values: readonly string[],
  key: string,
): void {
  for (const value of values) {
    const keys = entries.get(value);
    if (keys === undefined) entries.set(value, new Set([key]));
    else keys.add(key);
  }
}

function removeFromIndex(
  entries: Map<string, Set<string>>,
  values: readonly string[],
  key: string,
): void {
  for (const value of values) {
    const keys = entries.get(value);
    keys?.delete(key);
    if (keys?.size === 0) entries.delete(value);
  }
}
