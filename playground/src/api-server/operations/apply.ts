/**
 * Server-side apply: the client states the fields that it wants to own. What it stated before and states no
 * longer goes, unless others own it too; what it states and others own with another value is a conflict,
 * unless forced (Kubernetes, "Server-Side Apply").
 */
import { ApiError, badRequest, invalid } from '../objects/api-error.ts';
import { formatApiVersion, formatTime, type ApiObject } from '../objects/api-object.ts';
import {
  changedFields,
  describeFields,
  difference,
  emptyFieldSet,
  equalSets,
  fieldsOf,
  intersection,
  isEmptySet,
  union,
  withoutFields,
  type FieldSet,
} from '../objects/field-set.ts';
import {
  asObject,
  asString,
  cloneJson,
  isObject,
  type Json,
  type JsonObject,
} from '../objects/json.ts';
import type { ResourceDefinition } from '../registry/resource-definition.ts';
import { pruneObject } from '../schema/prune.ts';
import { mergeApplied } from '../schema/typed-merge.ts';
import { required } from '../objects/field-errors.ts';
import { createObject } from './create.ts';
import { decodeObject } from './decode.ts';
import {
  formatEntries,
  isSameManager,
  ownablePart,
  readEntries,
  type ManagerEntry,
} from './field-ownership.ts';
import type { ObjectTarget, ServerState, WriteOptions } from './server-state.ts';
import { findObject, putObject } from './stored-objects.ts';
import { completeUpdate } from './update.ts';

/** What came of an apply. */
export interface Applied {
  readonly object: ApiObject;
  readonly isCreated: boolean;
}

/** Applies a configuration. */
export function applyObject(
  state: ServerState,
  target: ObjectTarget,
  body: Json,
  options: WriteOptions,
): Applied {
  const { definition } = target;
  if (!options.isManagerNamed) {
    throw invalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', [
      required('fieldManager', 'is required for apply patch'),
    ]);
  }
  const applied = readConfiguration(target, body);
  const live = findObject(state, target);
  const entry: ManagerEntry = {
    manager: options.fieldManager,
    operation: 'Apply',
    apiVersion: formatApiVersion(definition),
    time: formatTime(state.now()),
    subresource: options.isStatus ? 'status' : '',
    fields: fieldsOf(definition.schema, ownablePart(pruned(definition, applied, options))),
  };
  if (live === undefined) return createApplied(state, { target, applied, entry, options });
  const entries = readEntries(live);
  const earlier = entries.find((each) => isSameManager(each, entry));
  const merged = mergeApplied(definition.schema, withoutManagers(live), applied) as JsonObject;
  const others = entries.filter((each) => !isSameManager(each, entry));
  const kept = resolveConflicts({ definition, live, merged, entry, others, options });
  const ownedByOthers = others.reduce((all, each) => union(all, each.fields), emptyFieldSet);
  const dropped = difference(
    difference(earlier?.fields ?? emptyFieldSet, entry.fields),
    ownedByOthers,
  );
  const result = withoutFields(definition.schema, merged, dropped) as JsonObject;
  const isSame = earlier !== undefined && equalSets(earlier.fields, entry.fields);
  const own = isSame ? { ...entry, time: earlier.time } : entry;
  const draft = decodeObject(definition, cloneJson(result), {
    ...options,
    fieldValidation: 'Ignore',
  });
  const managedFields = formatEntries([...kept, own]);
  draft.metadata['managedFields'] = managedFields;
  const object = completeUpdate(state, { target, previous: live, draft, options, managedFields });
  return { object, isCreated: false };
}

function readConfiguration(target: ObjectTarget, body: Json): JsonObject {
  const { definition, name, namespace } = target;
  if (!isObject(body)) throw badRequest('an apply configuration must be an object');
  const apiVersion = formatApiVersion(definition);
  if (body['apiVersion'] !== apiVersion || body['kind'] !== definition.kind) {
    throw badRequest(
      `an apply configuration must state apiVersion ${apiVersion} and kind ${definition.kind}, as its URL does`,
    );
  }
  const metadata = asObject(body['metadata']);
  if (metadata['managedFields'] !== undefined) {
    throw badRequest('metadata.managedFields must be nil');
  }
  const given = asString(metadata['name']) ?? name;
  if (given !== name) {
    throw badRequest(
      `the name of the object (${given}) does not match the name on the URL (${name})`,
    );
  }
  const place = definition.isNamespaced && namespace !== undefined ? { namespace } : {};
  return { ...body, metadata: { ...metadata, name, ...place } };
}

/** The configuration without fields that the kind does not know; they are refused or warned about here. */
function pruned(
  definition: ResourceDefinition,
  applied: JsonObject,
  options: WriteOptions,
): JsonObject {
  decodeObject(definition, cloneJson(applied), options);
  return pruneObject(definition.schema, applied).value as JsonObject;
}

function withoutManagers(live: ApiObject): JsonObject {
  const { managedFields: _managedFields, ...metadata } = live.metadata;
  return { ...live, metadata };
}

interface Contest {
  readonly definition: ResourceDefinition;
  readonly live: ApiObject;
  readonly merged: JsonObject;
  readonly entry: ManagerEntry;
  readonly others: readonly ManagerEntry[];
  readonly options: WriteOptions;
}

/** The other managers' entries as they stay; throws 409 if fields are contested and the client does not force. */
function resolveConflicts(contest: Contest): ManagerEntry[] {
  const { definition, live, merged, entry, others, options } = contest;
  const changed = changedFields(definition.schema, ownablePart(live), ownablePart(merged));
  const claimed = intersection(entry.fields, changed);
  const contested = others
    .map((other) => ({ other, fields: intersection(other.fields, claimed) }))
    .filter(({ fields }) => !isEmptySet(fields));
  if (contested.length > 0 && !options.isForced) throw conflictOf(contested);
  return others.map((other) => ({ ...other, fields: difference(other.fields, claimed) }));
}

function conflictOf(contested: readonly { other: ManagerEntry; fields: FieldSet }[]): ApiError {
  const groups = contested.map(({ other, fields }) => ({
    manager: describeManager(other),
    fields: describeFields(fields),
  }));
  const causes = groups.flatMap(({ manager, fields }) =>
    fields.map((field) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with ${manager}`,
      field,
    })),
  );
  const listed = groups.map(({ manager, fields }) =>
    causes.length === 1
      ? `conflict with ${manager}: ${fields[0]}`
      : `conflicts with ${manager}:\n- ${fields.join('\n- ')}`,
  );
  const count = causes.length === 1 ? '1 conflict' : `${causes.length} conflicts`;
  return new ApiError({
    code: 409,
    reason: 'Conflict',
    message: `Apply failed with ${count}: ${listed.join('\n')}`,
    details: { causes },
  });
}

function describeManager({ manager, operation, apiVersion, subresource }: ManagerEntry): string {
  const part = subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`;
  const version = operation === 'Update' ? ` using ${apiVersion}` : '';
  return `${JSON.stringify(manager)}${part}${version}`;
}

function createApplied(
  state: ServerState,
  create: { target: ObjectTarget; applied: JsonObject; entry: ManagerEntry; options: WriteOptions },
): Applied {
  const { target, applied, entry, options } = create;
  const dry = createObject(state, target, cloneJson(applied), { ...options, isDryRun: true });
  const managedFields = formatEntries([entry]);
  const object = { ...dry, metadata: { ...dry.metadata, managedFields } };
  if (options.isDryRun) return { object, isCreated: true };
  return { object: putObject(state, target.definition, object), isCreated: true };
}
