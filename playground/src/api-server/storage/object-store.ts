/**
 * All objects of the server, in memory, with one counter of revisions over all of them, as etcd has.
 *
 * Every change gets the next revision, which becomes the object's resourceVersion; it is logged, applied and
 * told to the watches in one synchronous step, so watches see changes in the order of their revisions and a
 * reader never sees half of one.
 */
import { assert } from '@varve/common/assert';
import { expired } from '../objects/api-error.ts';
import type { ApiObject } from '../objects/api-object.ts';
import { historyChangesMax } from '../limits.ts';
import { objectKey, type Change } from './change.ts';
import type { StateLog } from './state-log.ts';

/** Is told every change, in order. Must not throw and must not change the store. */
export type ChangeListener = (change: Change) => void;

/** The object store. */
export class ObjectStore {
  readonly #log: StateLog | undefined;
  readonly #objects = new Map<string, Map<string, ApiObject>>();
  readonly #listeners = new Set<ChangeListener>();
  #history: Change[] = [];
  #revision: number;
  /** Changes up to and including this revision are no longer in the history. */
  #compactedRevision: number;

  constructor(log?: StateLog) {
    this.#log = log;
    const loaded = log?.load();
    this.#revision = loaded?.snapshot.revision ?? 0;
    this.#compactedRevision = this.#revision;
    for (const [key, objects] of loaded?.snapshot.objects ?? [])
      this.#objects.set(key, new Map(objects));
    for (const logged of loaded?.changes ?? []) {
      const previous = this.get(logged.storageKey, logged.objectKey);
      this.#apply({ ...logged, previous });
    }
    // A cluster that is new starts above zero: revision 0 means "any" in requests.
    if (this.#revision === 0) this.#revision = 1;
  }

  /** The revision of the last change. */
  get revision(): number {
    return this.#revision;
  }

  /** The object, or undefined. */
  get(storageKey: string, key: string): ApiObject | undefined {
    return this.#objects.get(storageKey)?.get(key);
  }

  /** All objects of a store, or those of one namespace, sorted by their keys. */
  list(storageKey: string, namespace?: string): ApiObject[] {
    const objects = this.#objects.get(storageKey) ?? new Map<string, ApiObject>();
    return sortedObjects(objects, namespace);
  }

  /** The list as it was at an earlier revision. Throws 410 if the history does not reach that far. */
  listAt(storageKey: string, revision: number, namespace?: string): ApiObject[] {
    if (revision === this.#revision) return this.list(storageKey, namespace);
    const objects = new Map(this.#objects.get(storageKey));
    for (const change of this.changesSince(storageKey, revision).reverse()) {
      if (change.previous === undefined) objects.delete(change.objectKey);
      else objects.set(change.objectKey, change.previous);
    }
    return sortedObjects(objects, namespace);
  }

  /** The changes of a store after a revision, oldest first. Throws 410 if the history does not reach that far. */
  changesSince(storageKey: string, revision: number): Change[] {
    if (revision < this.#compactedRevision) {
      throw expired(`too old resource version: ${revision} (${this.#compactedRevision})`);
    }
    const first = this.#firstAfter(revision);
    return this.#history.slice(first).filter((change) => change.storageKey === storageKey);
  }

  /** Creates or replaces an object; returns it with its new resourceVersion. */
  put(storageKey: string, object: ApiObject): ApiObject {
    const key = objectKey(object.metadata.namespace, object.metadata.name);
    const previous = this.get(storageKey, key);
    return this.#commit({
      type: previous === undefined ? 'ADDED' : 'MODIFIED',
      storageKey,
      objectKey: key,
      object,
      previous,
    });
  }

  /** Removes an object; returns its last state, which carries the revision of the removal. */
  remove(storageKey: string, object: ApiObject): ApiObject {
    const key = objectKey(object.metadata.namespace, object.metadata.name);
    const previous = this.get(storageKey, key);
    assert(previous !== undefined, `${storageKey} ${key} is there to be removed`);
    return this.#commit({ type: 'DELETED', storageKey, objectKey: key, object, previous });
  }

  /** Tells the listener every change from now on; the result ends that. */
  subscribe(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Forgets the history, so that watches from before now get 410. Objects stay. */
  compact(): void {
    this.#history = [];
    this.#compactedRevision = this.#revision;
  }

  /** Closes the log; the store must not be changed afterwards. */
  close(): void {
    this.#log?.close();
  }

  #commit(change: Omit<Change, 'revision'>): ApiObject {
    const revision = this.#revision + 1;
    const metadata = { ...change.object.metadata, resourceVersion: String(revision) };
    const committed: Change = { ...change, revision, object: { ...change.object, metadata } };
    this.#log?.append(committed);
    this.#apply(committed);
    if (this.#log?.isLong === true) {
      this.#log.fold({ revision: this.#revision, objects: this.#objects });
    }
    for (const listener of this.#listeners) listener(committed);
    return committed.object;
  }

  #apply(change: Change): void {
    let objects = this.#objects.get(change.storageKey);
    if (objects === undefined) {
      objects = new Map();
      this.#objects.set(change.storageKey, objects);
    }
    if (change.type === 'DELETED') objects.delete(change.objectKey);
    else objects.set(change.objectKey, change.object);
    this.#revision = change.revision;
    this.#history.push(change);
    // Trimmed by halves, so that the cost of moving the array is paid once per thousands of changes.
    if (this.#history.length > historyChangesMax) {
      const dropped = this.#history.splice(0, Math.floor(historyChangesMax / 2));
      this.#compactedRevision = dropped.at(-1)?.revision ?? this.#compactedRevision;
    }
  }

  /** Index of the first change after the revision (the history is sorted by revision). */
  #firstAfter(revision: number): number {
    let low = 0;
    let high = this.#history.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#history[middle] as Change).revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function sortedObjects(objects: ReadonlyMap<string, ApiObject>, namespace?: string): ApiObject[] {
  const prefix = namespace === undefined ? '' : `${namespace}/`;
  return [...objects]
    .filter(([key]) => key.startsWith(prefix))
    .sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0))
    .map(([, object]) => object);
}
