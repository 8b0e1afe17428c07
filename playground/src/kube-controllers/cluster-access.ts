/**
 * What the controllers do to the cluster, by the same operations as requests over HTTP. Reads and writes are
 * synchronous, so what was read is still true when it is written; a write is refused only for a reason.
 */
import { isApiError } from '../api-server/objects/api-error.ts';
import { formatApiVersion, type ApiObject } from '../api-server/objects/api-object.ts';
import { cloneJson, type JsonObject } from '../api-server/objects/json.ts';
import { createObject } from '../api-server/operations/create.ts';
import { defaultDeleteOptions, deleteObject } from '../api-server/operations/delete.ts';
import {
  internalWriteOptions,
  type ObjectTarget,
  type ServerState,
} from '../api-server/operations/server-state.ts';
import { toServed } from '../api-server/operations/stored-objects.ts';
import { replaceObject } from '../api-server/operations/update.ts';
import type {
  DraftObject,
  ResourceDefinition,
} from '../api-server/registry/resource-definition.ts';
import { objectKey } from '../api-server/storage/change.ts';

const fieldManager = 'kube-controller-manager';

/** The stores that the controllers read. */
export const storageKeys = {
  claims: 'persistentvolumeclaims',
  volumes: 'persistentvolumes',
  classes: 'storageclasses.storage.k8s.io',
  pods: 'pods',
  events: 'events',
  namespaces: 'namespaces',
} as const;

/** The cluster, for controllers in the server's process. */
export class ClusterAccess {
  readonly #state: ServerState;

  constructor(state: ServerState) {
    this.#state = state;
  }

  get now(): Date {
    return this.#state.now();
  }

  /** All kinds, each once. */
  definitions(): ResourceDefinition[] {
    return [...this.#state.registry.storedDefinitions().values()];
  }

  /** Reads an object by `namespace/name`, or by its name alone. */
  get(storageKey: string, key: string): ApiObject | undefined {
    return this.#state.store.get(storageKey, key);
  }

  /** All objects of a store, or of one namespace in it. */
  list(storageKey: string, namespace?: string): ApiObject[] {
    return this.#state.store.list(storageKey, namespace);
  }

  /** Creates an object of a built-in kind. */
  create(resource: string, namespace: string | undefined, body: JsonObject): ApiObject {
    const definition = this.#definition(resource);
    const options = internalWriteOptions(fieldManager);
    return createObject(this.#state, { definition, namespace }, body, options);
  }

  /** Changes an object as it is now; returns it afterwards. It must be there. */
  change(storageKey: string, object: ApiObject, change: (draft: DraftObject) => void): ApiObject {
    return this.#replace(storageKey, object, change, false);
  }

  /** Changes the status of an object as it is now. */
  changeStatus(
    storageKey: string,
    object: ApiObject,
    change: (draft: DraftObject) => void,
  ): ApiObject {
    return this.#replace(storageKey, object, change, true);
  }

  /** Deletes an object, or begins to; nothing happens if it is not there. */
  remove(definition: ResourceDefinition, { metadata }: ApiObject): void {
    const target = { definition, namespace: metadata.namespace, name: metadata.name };
    const options = { ...defaultDeleteOptions, uid: metadata.uid };
    try {
      deleteObject(this.#state, target, options);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  #replace(
    storageKey: string,
    object: ApiObject,
    change: (draft: DraftObject) => void,
    isStatus: boolean,
  ): ApiObject {
    const definition = this.#definition(storageKey);
    const { namespace, name } = object.metadata;
    const current = this.get(storageKey, objectKey(namespace, name)) ?? object;
    const draft = cloneJson(toServed(definition, current)) as unknown as DraftObject;
    change(draft);
    const target: ObjectTarget = { definition, namespace, name };
    return replaceObject(this.#state, target, draft, internalWriteOptions(fieldManager, isStatus));
  }

  #definition(storageKey: string): ResourceDefinition {
    const found = this.#state.registry.storedDefinitions().get(storageKey);
    if (found === undefined) throw new RangeError(`Cannot change ${storageKey}: it is not served`);
    return found;
  }
}

/** A reference to an object, as events and claims carry it. */
export function referenceTo(definition: ResourceDefinition, object: ApiObject): JsonObject {
  return {
    apiVersion: formatApiVersion(definition),
    kind: definition.kind,
    ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
    name: object.metadata.name,
    uid: object.metadata.uid,
    resourceVersion: object.metadata.resourceVersion,
  };
}

/** Whether an error says that the object went, or was replaced by another of its name, meanwhile. */
function isGone(error: unknown): boolean {
  return isApiError(error) && (error.reason === 'NotFound' || error.reason === 'Conflict');
}
