/** Makers of printer columns: what `kubectl get` shows of a kind. */
import { formatAge } from '../objects/human-duration.ts';
import {
  asList,
  asObject,
  asString,
  formatJson,
  isObject,
  readPath,
  type Json,
  type JsonObject,
  textOf,
} from '../objects/json.ts';
import type { PrinterColumn } from './resource-definition.ts';

/** The object's name. */
export const nameColumn: PrinterColumn = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  cell: (object) => asString(readPath(object, 'metadata', 'name')) ?? '',
};

/** How long ago the object was created. */
export const ageColumn: PrinterColumn = {
  name: 'Age',
  type: 'string',
  description:
    'CreationTimestamp is a timestamp representing the server time when this object was created.',
  cell: (object, now) => formatAge(readPath(object, 'metadata', 'creationTimestamp'), now),
};

/** A column of text; priority 1 shows it with `-o wide` only. */
export function textColumn(
  name: string,
  cell: (object: JsonObject) => Json | undefined,
  priority = 0,
): PrinterColumn {
  return { name, type: 'string', priority, cell: (object) => cell(object) ?? '' };
}

/** A column that shows the text at a path, `<unset>` where there is none. */
export function unsettableColumn(name: string, ...path: readonly string[]): PrinterColumn {
  return textColumn(name, (object) => {
    const text = asString(readPath(object, ...path)) ?? '';
    return text === '' ? '<unset>' : text;
  });
}

/** Access modes in their short forms: `RWO,ROX`. */
export function formatAccessModes(modes: Json | undefined): string {
  const short: Readonly<Record<string, string>> = {
    ReadWriteOnce: 'RWO',
    ReadOnlyMany: 'ROX',
    ReadWriteMany: 'RWX',
    ReadWriteOncePod: 'RWOP',
  };
  return asList(modes)
    .map((mode) => short[textOf(mode)] ?? textOf(mode))
    .join(',');
}

/** The phase of an object, `Terminating` once it is deleted. */
export function formatPhase(object: JsonObject): string {
  if (readPath(object, 'metadata', 'deletionTimestamp') !== undefined) return 'Terminating';
  return asString(readPath(object, 'status', 'phase')) ?? '';
}

/** A column that a CustomResourceDefinition defines (`additionalPrinterColumns`). */
export function customColumn(definition: JsonObject): PrinterColumn {
  const type = (asString(definition['type']) ?? 'string') as PrinterColumn['type'];
  const path = asString(definition['jsonPath']) ?? '';
  const format = asString(definition['format']);
  const stated = asString(definition['description']) ?? '';
  const description =
    stated === '' ? `Custom resource definition column (in JSONPath format): ${path}` : stated;
  return {
    name: asString(definition['name']) ?? '',
    type,
    ...(format === undefined ? {} : { format }),
    description,
    priority: Number(definition['priority'] ?? 0),
    cell: (object, now) => customCell(type, readJsonPath(object, path), now),
  };
}

function customCell(type: PrinterColumn['type'], value: Json | undefined, now: Date): Json {
  if (value === undefined || value === null) return null;
  if (type === 'date') return formatAge(value, now);
  if (type !== 'string') return value;
  return isObject(value) || Array.isArray(value) ? formatJson(value) : textOf(value);
}

const pathSegment =
  /\.([\w-]+(?:\\\.[\w-]+)*)|\['([^']+)'\]|\["([^"]+)"\]|\[(\d+)\]|\[\?\(@\.([\w-]+)\s*==\s*["']([^"']*)["']\)\]/gy;

/** Whether a JSON path is of the simple sort that columns may use: members, indices and `[?(@.type=="Ready")]`. */
export function isReadableJsonPath(path: string): boolean {
  return path !== '' && path.replaceAll(pathSegment, '') === '';
}

/** Reads the first value at a simple JSON path; undefined where there is none. */
export function readJsonPath(object: JsonObject, path: string): Json | undefined {
  let current: Json | undefined = object;
  for (const match of path.matchAll(pathSegment)) {
    const [, dotted, single, double, index, filterMember, filterValue] = match;
    const member = dotted?.replaceAll('\\.', '.') ?? single ?? double;
    if (member !== undefined) current = asObject(current)[member];
    else if (index !== undefined) current = asList(current)[Number(index)];
    else {
      current = asList(current).find(
        (item) => isObject(item) && textOf(item[filterMember ?? '']) === filterValue,
      );
    }
    if (current === undefined) return undefined;
  }
  return current;
}
