/**
 * Serves what CustomResourceDefinitions define, from the step that stores them, and clears up when one is
 * deleted: its objects are deleted first, and the definition goes (its cleanup finalizer is taken away) when
 * the last of them has.
 */
import { finalizersOf, isTerminating, type ApiObject } from './objects/api-object.ts';
import { asString, readPath } from './objects/json.ts';
import { defaultDeleteOptions, deleteObject } from './operations/delete.ts';
import { internalWriteOptions, type ServerState } from './operations/server-state.ts';
import { patchObject, patchTypes } from './operations/patch.ts';
import { cleanupFinalizer } from './registry/builtin/custom-resource-definitions.ts';
import { customDefinitions } from './registry/custom-resources.ts';
import { storageKeyOf } from './registry/resource-definition.ts';
import type { Schema } from './schema/schema.ts';
import type { Change } from './storage/change.ts';

const crdStorageKey = 'customresourcedefinitions.apiextensions.k8s.io';

/** Follows the CustomResourceDefinitions of a server. */
export class CustomResourceLifecycle {
  readonly #state: ServerState;
  readonly #metadataSchema: Schema;
  readonly #unsubscribe: () => void;
  #isScheduled = false;

  constructor(state: ServerState, metadataSchema: Schema) {
    this.#state = state;
    this.#metadataSchema = metadataSchema;
    for (const crd of state.store.list(crdStorageKey)) this.#serve(crd);
    this.#unsubscribe = state.store.subscribe((change) => this.#see(change));
    this.#scheduleCleanup();
  }

  /** Stops following. */
  close(): void {
    this.#unsubscribe();
  }

  #see(change: Change): void {
    if (change.storageKey === crdStorageKey) {
      if (change.type === 'DELETED') this.#state.registry.withdraw(change.object.metadata.name);
      else this.#serve(change.object);
      if (isTerminating(change.object)) this.#scheduleCleanup();
    } else if (change.type === 'DELETED' && this.#terminating().length > 0) {
      this.#scheduleCleanup();
    }
  }

  #serve(crd: ApiObject): void {
    this.#state.registry.contribute(
      crd.metadata.name,
      customDefinitions(crd, this.#metadataSchema),
    );
  }

  #terminating(): ApiObject[] {
    return this.#state.store.list(crdStorageKey).filter((crd) => isTerminating(crd));
  }

  /** Listeners must not change the store: the cleanup runs after the change that called for it. */
  #scheduleCleanup(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      for (const crd of this.#terminating()) this.#cleanUp(crd);
    });
  }

  #cleanUp(crd: ApiObject): void {
    const storageKey = storageKeyOf(
      asString(readPath(crd, 'spec', 'group')) ?? '',
      asString(readPath(crd, 'spec', 'names', 'plural')) ?? '',
    );
    const definition = this.#state.registry.storedDefinitions().get(storageKey);
    for (const { metadata } of this.#state.store.list(storageKey)) {
      if (definition === undefined || metadata.deletionTimestamp !== undefined) continue;
      const target = { definition, namespace: metadata.namespace, name: metadata.name };
      deleteObject(this.#state, target, defaultDeleteOptions);
    }
    if (this.#state.store.list(storageKey).length === 0) this.#release(crd);
  }

  #release(crd: ApiObject): void {
    const definition = this.#state.registry.storedDefinitions().get(crdStorageKey);
    if (definition === undefined || !finalizersOf(crd).includes(cleanupFinalizer)) return;
    const finalizers = finalizersOf(crd).filter((each) => each !== cleanupFinalizer);
    const target = { definition, namespace: undefined, name: crd.metadata.name };
    const patch = { mediaType: patchTypes.merge, body: { metadata: { finalizers } } };
    patchObject(this.#state, target, patch, internalWriteOptions('apiserver'));
  }
}
