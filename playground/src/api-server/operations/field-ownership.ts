/**
 * Who set which field last: `metadata.managedFields`. A write that is no apply owns what it changed; what it
 * changed or removed is no longer anybody else's. An entry is of one manager, operation, version and
 * subresource.
 */
import { formatApiVersion, formatTime, type ApiObject } from '../objects/api-object.ts';
import {
  changedFields,
  difference,
  emptyFieldSet,
  fieldsOf,
  formatFieldsV1,
  intersection,
  isEmptySet,
  parseFieldsV1,
  union,
  type FieldSet,
} from '../objects/field-set.ts';
import {
  asList,
  asString,
  equalJson,
  isObject,
  type JsonObject,
  asObject,
  withoutNulls,
} from '../objects/json.ts';
import type { ResourceDefinition } from '../registry/resource-definition.ts';
import type { ServerState, WriteOptions } from './server-state.ts';
import type { PendingUpdate } from './pending-update.ts';

/** One entry of managedFields. */
export interface ManagerEntry {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly time: string;
  readonly subresource: string;
  readonly fields: FieldSet;
}

/** Fields of metadata that the server sets: nobody owns them. */
const unownedMetadata: ReadonlySet<string> = new Set([
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
  'managedFields',
]);

/** The part of an object that can be owned. */
export function ownablePart(object: JsonObject): JsonObject {
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = object;
  // A field that is null is owned by nobody: for most kinds it is the same as one that is not there.
  const owned = asObject(withoutNulls(rest));
  if (!isObject(metadata)) return owned;
  const kept = Object.entries(metadata).filter(
    ([member, value]) => !unownedMetadata.has(member) && value !== undefined && value !== null,
  );
  return kept.length === 0 ? owned : { ...owned, metadata: Object.fromEntries(kept) };
}

/** The entries of an object. */
export function readEntries(object: JsonObject): ManagerEntry[] {
  const metadata = isObject(object['metadata']) ? object['metadata'] : {};
  return asList(metadata['managedFields'])
    .filter((entry) => isObject(entry))
    .filter((entry) => asString(entry['manager']) !== undefined)
    .map((entry) => ({
      manager: asString(entry['manager']) ?? '',
      operation: entry['operation'] === 'Apply' ? 'Apply' : 'Update',
      apiVersion: asString(entry['apiVersion']) ?? '',
      time: asString(entry['time']) ?? '',
      subresource: asString(entry['subresource']) ?? '',
      fields: parseFieldsV1(entry['fieldsV1']),
    }));
}

/** The entries as they stand in the object; entries without fields vanish. */
export function formatEntries(entries: readonly ManagerEntry[]): JsonObject[] {
  return entries
    .filter((entry) => !isEmptySet(entry.fields))
    .toSorted((left, right) => (sortKeyOf(left) < sortKeyOf(right) ? -1 : 1))
    .map((entry) => ({
      manager: entry.manager,
      operation: entry.operation,
      apiVersion: entry.apiVersion,
      ...(entry.time === '' ? {} : { time: entry.time }),
      fieldsType: 'FieldsV1',
      fieldsV1: formatFieldsV1(entry.fields),
      ...(entry.subresource === '' ? {} : { subresource: entry.subresource }),
    }));
}

/** Those who apply come first, then the order is that of time. */
function sortKeyOf({ operation, time, manager, apiVersion, subresource }: ManagerEntry): string {
  return [operation, time, manager, apiVersion, subresource].join('\0');
}

/** Whether two entries are the same manager's, doing the same sort of write. */
export function isSameManager(left: ManagerEntry, right: ManagerEntry): boolean {
  return (
    left.manager === right.manager &&
    left.operation === right.operation &&
    left.apiVersion === right.apiVersion &&
    left.subresource === right.subresource
  );
}

/**
 * The managers of a new object: its creator owns what it sent. Defaults and what admission fills in belong to
 * nobody, so that a later apply by the same manager does not take them away.
 */
export function managersOfNew(
  state: ServerState,
  definition: ResourceDefinition,
  sent: JsonObject,
  options: WriteOptions,
): JsonObject[] {
  const { status: _status, ...rest } = ownablePart(sent);
  const owned = definition.hasStatus ? rest : ownablePart(sent);
  return formatEntries([ownEntry(state, definition, options, fieldsOf(definition.schema, owned))]);
}

/**
 * The managers after a change; its draft is the whole object as the client wants it. Managers that the client
 * states itself are taken as they are.
 */
export function managersAfterUpdate(state: ServerState, update: PendingUpdate): JsonObject[] {
  const { previous, draft, options, target } = update;
  const { definition } = target;
  const given = draft.metadata['managedFields'];
  const isClientSet =
    given !== undefined && !equalJson(given, previous.metadata.managedFields ?? []);
  const entries = readEntries(isClientSet ? draft : previous);
  const after = ownablePart(draft);
  const changed = changedFields(definition.schema, ownablePart(previous), after);
  if (isEmptySet(changed)) return formatEntries(entries);
  const present = fieldsOf(definition.schema, after);
  const own = ownEntry(state, definition, options, intersection(changed, present));
  const earlier = entries.find((entry) => isSameManager(entry, own))?.fields ?? emptyFieldSet;
  const kept = intersection(earlier, present);
  const others = entries
    .filter((entry) => !isSameManager(entry, own))
    .map((entry) => ({ ...entry, fields: difference(entry.fields, changed) }));
  return formatEntries([...others, { ...own, fields: union(kept, own.fields) }]);
}

function ownEntry(
  state: ServerState,
  definition: ResourceDefinition,
  options: WriteOptions,
  fields: FieldSet,
): ManagerEntry {
  return {
    manager: options.fieldManager,
    operation: 'Update',
    apiVersion: formatApiVersion(definition),
    time: formatTime(state.now()),
    subresource: options.isStatus ? 'status' : '',
    fields,
  };
}

/** The object with other managers. */
export function withManagers(object: ApiObject, managedFields: readonly JsonObject[]): ApiObject {
  const { managedFields: _replaced, ...metadata } = object.metadata;
  if (managedFields.length === 0) return { ...object, metadata: metadata };
  return { ...object, metadata: { ...metadata, managedFields } };
}
