/**
 * Between what is stored and what a definition serves: versions, conversions, and the two ways out of the
 * store.
 */
import { notFound } from '../objects/api-error.ts';
import { formatApiVersion, type ApiObject } from '../objects/api-object.ts';
import type { ResourceDefinition } from '../registry/resource-definition.ts';
import { objectKey } from '../storage/change.ts';
import type { ObjectTarget, ServerState } from './server-state.ts';

/** The stored object as the definition serves it. */
export function toServed(definition: ResourceDefinition, stored: ApiObject): ApiObject {
  if (definition.conversion !== undefined) return definition.conversion.fromStored(stored);
  const apiVersion = formatApiVersion(definition);
  return stored.apiVersion === apiVersion ? stored : { ...stored, apiVersion };
}

/** The served object as it is stored. */
export function toStored(definition: ResourceDefinition, served: ApiObject): ApiObject {
  return definition.conversion === undefined ? served : definition.conversion.toStored(served);
}

/** Reads an object; undefined if it is not there. */
export function findObject(state: ServerState, target: ObjectTarget): ApiObject | undefined {
  const { definition, namespace, name } = target;
  const stored = state.store.get(definition.storageKey, objectKey(namespace, name));
  return stored === undefined ? undefined : toServed(definition, stored);
}

/** Reads an object; throws 404 if it is not there. */
export function getObject(state: ServerState, target: ObjectTarget): ApiObject {
  const object = findObject(state, target);
  if (object === undefined) throw notFound(target.definition, target.name);
  return object;
}

/** Stores an object that passed all checks; returns it as it is served from now on. */
export function putObject(
  state: ServerState,
  definition: ResourceDefinition,
  object: ApiObject,
): ApiObject {
  const stored = state.store.put(definition.storageKey, toStored(definition, object));
  return toServed(definition, stored);
}

/** Removes an object; returns its last state. */
export function removeObject(
  state: ServerState,
  definition: ResourceDefinition,
  object: ApiObject,
): ApiObject {
  const stored = state.store.remove(definition.storageKey, toStored(definition, object));
  return toServed(definition, stored);
}
