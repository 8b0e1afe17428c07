/**
 * Replacing objects, and what every change of an object ends with: system fields kept, status and
 * specification separated, generation counted, rules checked, nothing written if nothing changed, and removal
 * when the last finalizer of a deleted object goes.
 */
import { badRequest, conflict, invalid } from '../objects/api-error.ts';
import { finalizersOf, isTerminating, type ApiObject } from '../objects/api-object.ts';
import { invalidValue } from '../objects/field-errors.ts';
import { asObject, asString, equalJson, type Json, type JsonObject } from '../objects/json.ts';
import type { DraftObject } from '../registry/resource-definition.ts';
import { checkRules } from './check-rules.ts';
import { checkSchema, decodeObject } from './decode.ts';
import { managersAfterUpdate, withManagers } from './field-ownership.ts';
import { validateMetadata, validateMetadataUpdate, withoutEmptyMembers } from './metadata.ts';
import {
  clusterView,
  type ObjectTarget,
  type ServerState,
  type WriteOptions,
} from './server-state.ts';
import type { PendingUpdate } from './pending-update.ts';
import { getObject, putObject, removeObject } from './stored-objects.ts';

/** Replaces an object (or, with `isStatus`, its status) with the body of a request. */
export function replaceObject(
  state: ServerState,
  target: ObjectTarget,
  body: Json,
  options: WriteOptions,
): ApiObject {
  const previous = getObject(state, target);
  const draft = decodeObject(target.definition, body, options);
  checkIdentity(target, draft);
  checkUid(target, previous, draft);
  const given = asString(draft.metadata['resourceVersion']) ?? '';
  if (given === '' && target.definition.rules.needsResourceVersion === true) {
    // Kubernetes names the resource here, not the kind.
    const { group, resource } = target.definition;
    throw invalid({ group, kind: resource }, target.name, [
      invalidValue('metadata.resourceVersion', 0, 'must be specified for an update'),
    ]);
  }
  return completeUpdate(state, { target, previous, draft, options });
}

function checkIdentity({ name, namespace }: ObjectTarget, draft: DraftObject): void {
  const givenName = asString(draft.metadata['name']) ?? '';
  if (givenName !== name) {
    throw badRequest(
      `the name of the object (${givenName}) does not match the name on the URL (${name})`,
    );
  }
  const givenNamespace = asString(draft.metadata['namespace']) ?? '';
  if (givenNamespace !== '' && givenNamespace !== (namespace ?? '')) {
    throw badRequest(
      `the namespace of the object (${givenNamespace}) does not match the namespace on the URL (${namespace ?? ''})`,
    );
  }
}

/** Checks and makes a change; returns the object as it is now. */
export function completeUpdate(state: ServerState, update: PendingUpdate): ApiObject {
  const { target, previous, draft, options } = update;
  const { definition } = target;
  checkPreconditions(target, previous, draft);
  keepSystemFields(previous, draft);
  separateStatus(update);
  const managers = update.managedFields ?? managersAfterUpdate(state, update);
  definition.rules.prepareUpdate?.(draft, previous, clusterView(state));
  const metadata = withoutEmptyMembers(draft.metadata);
  let object = { ...draft, metadata } as ApiObject;
  checkChangedObject(state, update, object);
  options.warnings.push(...(definition.rules.warnings?.(object) ?? []));
  if (definition.rules.tracksGeneration === true && specificationChanged(previous, object)) {
    const generation = (previous.metadata.generation ?? 0) + 1;
    object = { ...object, metadata: { ...object.metadata, generation } };
  }
  object = withManagers(object, managers);
  if (equalJson(object, previous)) return previous;
  if (options.isDryRun) return object;
  if (
    isTerminating(object) &&
    finalizersOf(object).length === 0 &&
    !hasNamespaceFinalizers(object)
  ) {
    return removeObject(state, definition, object);
  }
  return putObject(state, definition, object);
}

function hasNamespaceFinalizers(object: ApiObject): boolean {
  if (object.kind !== 'Namespace' || object.apiVersion !== 'v1') return false;
  const finalizers = asObject(object['spec'])['finalizers'];
  return Array.isArray(finalizers) && finalizers.length > 0;
}

function checkUid(target: ObjectTarget, previous: ApiObject, draft: DraftObject): void {
  const uid = asString(draft.metadata['uid']) ?? '';
  if (uid !== '' && uid !== previous.metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${previous.metadata.uid}`;
    throw conflict(target.definition, target.name, why);
  }
}

function checkPreconditions(target: ObjectTarget, previous: ApiObject, draft: DraftObject): void {
  const version = asString(draft.metadata['resourceVersion']) ?? '';
  if (version !== '' && version !== '0' && version !== previous.metadata.resourceVersion) {
    throw conflict(target.definition, target.name);
  }
}

/** Fields that only the server writes come from the stored object, whatever the client sent. */
function keepSystemFields(previous: ApiObject, draft: DraftObject): void {
  if ((asString(draft.metadata['uid']) ?? '') === '') draft.metadata['uid'] = previous.metadata.uid;
  const kept = [
    'resourceVersion',
    'creationTimestamp',
    'generation',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'namespace',
    'selfLink',
  ];
  for (const member of kept) {
    const value = previous.metadata[member];
    if (value === undefined) delete draft.metadata[member];
    else draft.metadata[member] = value;
  }
}

/** A write to the object leaves its status alone; a write to the status leaves all else alone. */
function separateStatus({ target, previous, draft, options }: PendingUpdate): void {
  const { definition } = target;
  if (!definition.hasStatus) return;
  if (!options.isStatus) {
    setOrDelete(draft, 'status', previous['status']);
    return;
  }
  for (const member of Object.keys({ ...previous, ...draft })) {
    if (member !== 'status' && member !== 'metadata') setOrDelete(draft, member, previous[member]);
  }
  if (definition.isCustom) {
    const { managedFields } = draft.metadata;
    draft.metadata = { ...previous.metadata };
    setOrDelete(draft.metadata, 'managedFields', managedFields);
  }
}

function setOrDelete(
  object: { [member: string]: Json | undefined },
  member: string,
  value: Json | undefined,
): void {
  if (value === undefined) delete object[member];
  else object[member] = value;
}

function checkChangedObject(state: ServerState, update: PendingUpdate, object: ApiObject): void {
  const { target, previous } = update;
  const { definition } = target;
  const schemaErrors = checkSchema(definition, object);
  const errors = [
    ...validateMetadataUpdate(object, previous),
    ...validateMetadata(object, definition.rules),
    ...schemaErrors,
    ...checkRules(definition, { object, previous, schemaErrors }),
  ];
  if (errors.length === 0) {
    const cluster = clusterView(state);
    errors.push(
      ...(definition.rules.validateUpdate?.(object, previous, cluster) ?? []),
      ...(definition.rules.validate?.(object, cluster) ?? []),
    );
  }
  if (errors.length > 0) throw invalid(definition, target.name, errors);
}

function specificationChanged(previous: ApiObject, object: ApiObject): boolean {
  const withoutRest = (each: ApiObject): JsonObject => ({
    ...each,
    metadata: undefined,
    status: undefined,
  });
  return !equalJson(withoutRest(previous), withoutRest(object));
}
