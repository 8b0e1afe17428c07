/** Patching objects: the four sorts of patch that Kubernetes has, each by its media type. */
import { badRequest, notFound, unsupportedMediaType } from '../objects/api-error.ts';
import type { ApiObject } from '../objects/api-object.ts';
import { applyJsonPatch } from '../objects/json-patch.ts';
import { cloneJson, type Json } from '../objects/json.ts';
import { applyMergePatch } from '../objects/merge-patch.ts';
import { applyStrategicMergePatch } from '../objects/strategic-merge-patch.ts';
import type { ResourceDefinition } from '../registry/resource-definition.ts';
import { applyObject, type Applied } from './apply.ts';
import { decodeObject } from './decode.ts';
import type { ObjectTarget, ServerState, WriteOptions } from './server-state.ts';
import { findObject } from './stored-objects.ts';
import { completeUpdate } from './update.ts';

/** Media types of patches. */
export const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

/** A patch as it came. */
export interface Patch {
  readonly mediaType: string;
  readonly body: Json;
}

/** The media types of patches that a kind takes. */
export function patchTypesOf(definition: ResourceDefinition): string[] {
  const { json, merge, strategic, apply } = patchTypes;
  return definition.isCustom ? [json, merge, apply] : [json, merge, strategic, apply];
}

/** Refuses a sort of patch that the kind does not take. */
export function checkPatchType(definition: ResourceDefinition, mediaType: string): void {
  const accepted = patchTypesOf(definition);
  if (!accepted.includes(mediaType)) throw unsupportedMediaType(mediaType, accepted);
}

/** Patches an object; an apply may also create it. */
export function patchObject(
  state: ServerState,
  target: ObjectTarget,
  patch: Patch,
  options: WriteOptions,
): Applied {
  checkPatchType(target.definition, patch.mediaType);
  if (patch.mediaType === patchTypes.apply) {
    if (options.isStatus && findObject(state, target) === undefined) {
      throw notFound(target.definition, target.name);
    }
    return applyObject(state, target, patch.body, options);
  }
  const previous = findObject(state, target);
  if (previous === undefined) throw notFound(target.definition, target.name);
  const patched = applyPatch(target.definition, previous, patch);
  const draft = decodeObject(target.definition, patched, options);
  const object = completeUpdate(state, { target, previous, draft, options });
  return { object, isCreated: false };
}

function applyPatch(definition: ResourceDefinition, previous: ApiObject, patch: Patch): Json {
  switch (patch.mediaType) {
    case patchTypes.json:
      return applyJsonPatch(previous, patch.body);
    case patchTypes.merge:
      return cloneJson(applyMergePatch(previous, objectOf(patch.body)));
    default:
      return cloneJson(applyStrategicMergePatch(previous, objectOf(patch.body), definition.schema));
  }
}

function objectOf(body: Json): Json {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw badRequest('the patch must be an object');
  }
  return body;
}
