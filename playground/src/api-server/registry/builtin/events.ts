/**
 * Events: one store, two APIs. core/v1 is the stored form; events.k8s.io/v1 is the same object with other
 * member names (kubernetes/pkg/apis/events/v1, conversion).
 */
import type { FieldError } from '../../objects/api-error.ts';
import type { ApiObject } from '../../objects/api-object.ts';
import { invalidValue, notSupported } from '../../objects/field-errors.ts';
import { formatAge } from '../../objects/human-duration.ts';
import {
  asObject,
  asString,
  readPath,
  type JsonObject,
  type MutableJsonObject,
  textOf,
} from '../../objects/json.ts';
import type { DraftObject, PrinterColumn } from '../resource-definition.ts';
import { fieldReader, textAt, type BuiltInKind } from './built-in-resource.ts';

/** Member names: those of events.k8s.io/v1, and the ones of core/v1 that mean the same. */
const renamed: readonly (readonly [string, string])[] = [
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
];

function rename(
  object: ApiObject,
  apiVersion: string,
  pairs: readonly (readonly [string, string])[],
): ApiObject {
  const result: MutableJsonObject = { ...object, apiVersion };
  for (const [from] of pairs) delete result[from];
  for (const [from, to] of pairs) if (object[from] !== undefined) result[to] = object[from];
  return result as ApiObject;
}

function toCore(object: ApiObject): ApiObject {
  return rename(object, 'v1', renamed);
}

function fromCore(object: ApiObject): ApiObject {
  const back = renamed.map(([newName, oldName]) => [oldName, newName] as const);
  return rename(object, 'events.k8s.io/v1', back);
}

/** An Event of the old sort has no event time, which Kubernetes writes as null. */
function stateEventTime(draft: DraftObject): void {
  draft['eventTime'] ??= null;
}

function validateCore(object: ApiObject): FieldError[] {
  const place = textAt(object, 'involvedObject', 'namespace');
  const namespace = object.metadata.namespace ?? '';
  // An event about an object without a namespace lives in "default".
  if (place !== namespace && !(place === '' && namespace === 'default')) {
    return [invalidValue('involvedObject.namespace', place, 'does not match event.namespace')];
  }
  return [];
}

function validateNew(object: ApiObject): FieldError[] {
  const errors: FieldError[] = [];
  const types = ['Normal', 'Warning'];
  if (!types.includes(textAt(object, 'type')))
    errors.push(notSupported('type', object['type'] ?? '', types));
  for (const member of [
    'reportingController',
    'reportingInstance',
    'action',
    'reason',
    'eventTime',
  ]) {
    if ((asString(object[member]) ?? '') === '') {
      errors.push({ field: member, reason: 'FieldValueRequired', message: 'Required value' });
    }
  }
  if (textAt(object, 'note').length > 1024) {
    errors.push(invalidValue('message', '', 'can have at most 1024 characters'));
  }
  return errors;
}

function lastSeen(object: JsonObject): string | undefined {
  const series = asObject(object['series']);
  return (
    asString(series['lastObservedTime']) ??
    asString(object['lastTimestamp']) ??
    asString(object['eventTime']) ??
    asString(object['firstTimestamp'])
  );
}

function firstSeen(object: JsonObject): string | undefined {
  return asString(object['firstTimestamp']) ?? asString(object['eventTime']);
}

function formatSource(object: JsonObject): string {
  const component = textAt(object, 'source', 'component') || textAt(object, 'reportingComponent');
  const host = textAt(object, 'source', 'host') || textAt(object, 'reportingInstance');
  return host === '' ? component : `${component}, ${host}`;
}

function column(name: string, cell: PrinterColumn['cell'], priority = 0): PrinterColumn {
  return { name, type: 'string', priority, cell };
}

/** Columns are made of the core form, whichever API is asked. */
const columns: readonly PrinterColumn[] = [
  column('Last Seen', (object, now) => formatAge(lastSeen(object), now)),
  column('Type', (object) => textAt(object, 'type')),
  column('Reason', (object) => textAt(object, 'reason')),
  column('Object', (object) => {
    const about = asObject(object['involvedObject']);
    return `${textAt(about, 'kind').toLowerCase()}/${textAt(about, 'name')}`;
  }),
  column('Subobject', (object) => textAt(object, 'involvedObject', 'fieldPath'), 1),
  column('Source', formatSource, 1),
  column('Message', (object) => textAt(object, 'message').trim()),
  column('First Seen', (object, now) => formatAge(firstSeen(object), now), 1),
  column(
    'Count',
    (object) => textOf(readPath(object, 'series', 'count') ?? object['count'] ?? 1),
    1,
  ),
  { ...column('Name', (object) => textAt(object, 'metadata', 'name'), 1), format: 'name' },
];

function referenceFields(member: string): [string, (object: JsonObject) => string][] {
  const parts = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'];
  return parts.map((part) => [`${member}.${part}`, fieldReader(`${member}.${part}`)]);
}

function sourceField(member: string, fallback: string): (object: JsonObject) => string {
  return (object) => textAt(object, member, 'component') || textAt(object, fallback);
}

/** The kind Event of the core group. */
export const coreEvents: BuiltInKind = {
  resource: 'events',
  kind: 'Event',
  model: 'CoreV1Event',
  shortNames: ['ev'],
  storageKey: 'events',
  allColumns: columns,
  selectableFields: ['reason', 'type', 'reportingComponent'],
  selectableReaders: {
    ...Object.fromEntries(referenceFields('involvedObject')),
    source: sourceField('source', 'reportingComponent'),
  },
  rules: {
    prepareCreate: stateEventTime,
    prepareUpdate: stateEventTime,
    validate: validateCore,
  },
};

/** The kind Event of events.k8s.io. */
export const newEvents: BuiltInKind = {
  group: 'events.k8s.io',
  resource: 'events',
  kind: 'Event',
  model: 'EventsV1Event',
  shortNames: ['ev'],
  storageKey: 'events',
  conversion: { toStored: toCore, fromStored: fromCore },
  allColumns: columns.map((each) => ({
    ...each,
    cell: (object, now) => each.cell(toCore(object as ApiObject), now),
  })),
  selectableFields: ['reason', 'type', 'reportingController'],
  selectableReaders: {
    ...Object.fromEntries(referenceFields('regarding')),
    source: sourceField('deprecatedSource', 'reportingController'),
  },
  rules: { validate: validateNew },
};
