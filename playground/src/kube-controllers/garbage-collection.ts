/**
 * Owner references: an object goes when the last of its owners has, and the finalizers that stand for a propagation
 * policy are served (kube's garbage collector).
 *
 * - background: dependents are deleted once their owner is gone;
 * - foreground: the owner waits (`foregroundDeletion`) until dependents that block its deletion are gone;
 * - orphan: dependents lose the reference, then the owner goes.
 */
import {
  finalizersOf,
  isTerminating,
  ownersOf,
  type ApiObject,
} from '../api-server/objects/api-object.ts';
import { propagationFinalizers } from '../api-server/operations/delete.ts';
import type { ResourceDefinition } from '../api-server/registry/resource-definition.ts';
import { objectKey, type Change } from '../api-server/storage/change.ts';
import type { ClusterAccess } from './cluster-access.ts';
import type { KubeController } from './controller-runner.ts';

interface Found {
  readonly definition: ResourceDefinition;
  readonly object: ApiObject;
}

/** Keys are UIDs: of objects with owners, and of objects that went or are going. */
export class GarbageCollection implements KubeController {
  readonly name = 'garbage-collector';
  readonly #cluster: ClusterAccess;
  /** Where the object of a UID is stored. */
  readonly #places = new Map<string, { storageKey: string; key: string }>();
  /** UIDs of the dependents of an owner, by its UID; an owner that never was has an entry too. */
  readonly #dependents = new Map<string, Set<string>>();

  constructor(cluster: ClusterAccess) {
    this.#cluster = cluster;
  }

  initialKeys(): string[] {
    const keys: string[] = [];
    for (const { storageKey } of this.#cluster.definitions()) {
      for (const object of this.#cluster.list(storageKey)) {
        this.#enter(storageKey, object);
        if (ownersOf(object).length > 0 || isTerminating(object)) keys.push(object.metadata.uid);
      }
    }
    return keys;
  }

  keysOf(change: Change): string[] {
    const { object, previous, type } = change;
    const before = previous === undefined ? [] : ownersOf(previous).map((owner) => owner.uid);
    this.#leave(object.metadata.uid, before);
    if (type !== 'DELETED') this.#enter(change.storageKey, object);
    const owners = [...before, ...ownersOf(object).map((owner) => owner.uid)];
    const concerns = owners.length > 0 || type === 'DELETED' || isTerminating(object);
    // A dependent that goes may have been what its owner waited for.
    return concerns ? [object.metadata.uid, ...owners] : [];
  }

  reconcile(uid: string): void {
    const found = this.#find(uid);
    if (found === undefined) {
      for (const dependent of this.#dependentsOf(uid)) this.#collect(dependent);
      return;
    }
    this.#collect(found);
    const finalizers = finalizersOf(found.object);
    if (!isTerminating(found.object)) return;
    if (finalizers.includes(propagationFinalizers.orphan)) this.#orphan(found);
    else if (finalizers.includes(propagationFinalizers.foreground)) this.#deleteForeground(found);
  }

  #enter(storageKey: string, object: ApiObject): void {
    const { uid, namespace, name } = object.metadata;
    this.#places.set(uid, { storageKey, key: objectKey(namespace, name) });
    for (const owner of ownersOf(object)) {
      const dependents = this.#dependents.get(owner.uid) ?? new Set();
      this.#dependents.set(owner.uid, dependents.add(uid));
    }
  }

  #leave(uid: string, owners: readonly string[]): void {
    this.#places.delete(uid);
    for (const owner of owners) {
      const dependents = this.#dependents.get(owner);
      dependents?.delete(uid);
      if (dependents?.size === 0) this.#dependents.delete(owner);
    }
  }

  #find(uid: string): Found | undefined {
    const place = this.#places.get(uid);
    if (place === undefined) return undefined;
    const object = this.#cluster.get(place.storageKey, place.key);
    const definition = this.#cluster
      .definitions()
      .find((each) => each.storageKey === place.storageKey);
    return object === undefined || definition === undefined ? undefined : { definition, object };
  }

  #dependentsOf(uid: string): Found[] {
    const uids = [...(this.#dependents.get(uid) ?? [])];
    return uids.map((each) => this.#find(each)).filter((found) => found !== undefined);
  }

  /** Deletes an object whose owners are all gone; forgets owners that are, if others stay. */
  #collect({ definition, object }: Found): void {
    const owners = ownersOf(object);
    if (owners.length === 0 || isTerminating(object)) return;
    const kept = owners.filter((owner) => this.#places.has(owner.uid));
    if (kept.length === owners.length) return;
    if (kept.length === 0) {
      this.#cluster.remove(definition, object);
      return;
    }
    this.#cluster.change(definition.storageKey, object, (draft) => {
      draft.metadata['ownerReferences'] = kept;
    });
  }

  #orphan({ definition, object }: Found): void {
    const { uid } = object.metadata;
    for (const dependent of this.#dependentsOf(uid)) {
      this.#cluster.change(dependent.definition.storageKey, dependent.object, (draft) => {
        draft.metadata['ownerReferences'] = ownersOf(dependent.object).filter(
          (owner) => owner.uid !== uid,
        );
      });
    }
    this.#release(definition, object, propagationFinalizers.orphan);
  }

  #deleteForeground({ definition, object }: Found): void {
    const { uid } = object.metadata;
    const dependents = this.#dependentsOf(uid);
    for (const dependent of dependents) {
      if (isTerminating(dependent.object)) continue;
      this.#cluster.remove(dependent.definition, dependent.object);
    }
    const blocking = this.#dependentsOf(uid).filter((dependent) =>
      ownersOf(dependent.object).some(
        (owner) => owner.uid === uid && owner.blockOwnerDeletion === true,
      ),
    );
    if (blocking.length === 0) this.#release(definition, object, propagationFinalizers.foreground);
  }

  #release(definition: ResourceDefinition, object: ApiObject, finalizer: string): void {
    this.#cluster.change(definition.storageKey, object, (draft) => {
      draft.metadata['finalizers'] = finalizersOf(object).filter((each) => each !== finalizer);
    });
  }
}
