/**
 * Strategic merge patch, Kubernetes' own patch for built-in kinds: like a merge patch, but a list whose
 * schema says so is merged item by item, found by a key. Directives: `$patch: delete|replace`,
 * `$deleteFromPrimitiveList/<list>`, `$setElementOrder/<list>`, `$retainKeys` (kubernetes/apimachinery,
 * `strategicpatch`).
 */
import type { Schema } from '../schema/schema.ts';
import { badRequest } from './api-error.ts';
import {
  asList,
  asObject,
  equalJson,
  isObject,
  setMember,
  type Json,
  type JsonObject,
  type MutableJsonObject,
} from './json.ts';

const deletePrefix = '$deleteFromPrimitiveList/';
const orderPrefix = '$setElementOrder/';
const emptySchema: Schema = {};

/** The document after the patch; neither argument changes. */
export function applyStrategicMergePatch(document: Json, patch: Json, schema: Schema): Json {
  if (!isObject(patch)) throw badRequest('a strategic merge patch must be an object');
  return mergeObject(asObject(document), patch, schema);
}

function mergeObject(document: JsonObject, patch: JsonObject, schema: Schema): JsonObject {
  const directive = patch['$patch'];
  if (directive === 'replace') return withoutDirectives(patch);
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') {
    throw badRequest(`Unknown patch type found: ${JSON.stringify(directive)}`);
  }
  const retained = patch['$retainKeys'];
  const result: MutableJsonObject = { ...document };
  if (retained !== undefined) {
    const keys = new Set(asList(retained));
    for (const member of Object.keys(result)) if (!keys.has(member)) delete result[member];
  }
  for (const [member, value] of Object.entries(patch)) {
    if (value === undefined || member.startsWith('$')) continue;
    if (value === null) delete result[member];
    else
      setMember(result, member, mergeMember(result[member], value, memberSchema(schema, member)));
  }
  applyListDirectives(result, patch, { document, schema });
  return result;
}

function memberSchema(schema: Schema, member: string): Schema {
  const declared = schema.properties?.[member];
  if (declared !== undefined) return declared;
  return isObject(schema.additionalProperties) ? schema.additionalProperties : emptySchema;
}

function withoutDirectives(patch: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(patch).filter(([member]) => !member.startsWith('$')));
}

function mergeMember(current: Json | undefined, value: Json, schema: Schema): Json {
  if (isObject(value)) return mergeObject(asObject(current), value, schema);
  if (!Array.isArray(value)) return value;
  const list = value as readonly Json[];
  const strategy = schema['x-kubernetes-patch-strategy'] ?? '';
  if (!strategy.split(',').includes('merge')) return list;
  const key = schema['x-kubernetes-patch-merge-key'];
  const before = asList(current);
  const merged =
    key === undefined
      ? mergeSet(before, list)
      : mergeList(before, list, key, schema.items ?? emptySchema);
  return inOrder(merged, { named: list, before, key });
}

function mergeSet(current: readonly Json[], added: readonly Json[]): Json[] {
  const fresh = added.filter((item) => !current.some((each) => equalJson(each, item)));
  return [...current, ...fresh];
}

function mergeList(
  current: readonly Json[],
  patch: readonly Json[],
  key: string,
  itemSchema: Schema,
): Json[] {
  const isReplaced = patch.some(
    (item) => isObject(item) && item['$patch'] === 'replace' && item[key] === undefined,
  );
  if (isReplaced) return patch.filter((item) => isObject(item) && item['$patch'] === undefined);
  let result = [...current];
  for (const item of patch) {
    if (!isObject(item)) throw badRequest(`an item of a list merged by ${key} must be an object`);
    const wanted = item[key];
    if (wanted === undefined) {
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    }
    const index = result.findIndex((each) => isObject(each) && equalJson(each[key], wanted));
    if (item['$patch'] === 'delete') {
      result = result.filter((_each, position) => position !== index);
    } else if (index === -1) {
      result.push(mergeObject({}, item, itemSchema));
    } else {
      result[index] = mergeObject(asObject(result[index]), item, itemSchema);
    }
  }
  return result;
}

function applyListDirectives(
  result: MutableJsonObject,
  patch: JsonObject,
  { document, schema }: { document: JsonObject; schema: Schema },
): void {
  for (const [directive, value] of Object.entries(patch)) {
    if (directive.startsWith(deletePrefix)) {
      const member = directive.slice(deletePrefix.length);
      const removed = asList(value);
      result[member] = asList(result[member]).filter(
        (item) => !removed.some((each) => equalJson(each, item)),
      );
    } else if (directive.startsWith(orderPrefix)) {
      const member = directive.slice(orderPrefix.length);
      if (result[member] === undefined) continue;
      const key = memberSchema(schema, member)['x-kubernetes-patch-merge-key'];
      const before = asList(document[member]);
      result[member] = inOrder(asList(result[member]), { named: asList(value), before, key });
    }
  }
}

interface ListOrder {
  /** Items that the patch names, in its order. */
  readonly named: readonly Json[];
  /** The list before the patch. */
  readonly before: readonly Json[];
  readonly key: string | undefined;
}

/**
 * Named items come in the patch's order, the others in the order that they had. Where both meet, an old item goes
 * first only if it stood before the next named one (apimachinery, `normalizeElementOrder`).
 */
function inOrder(items: readonly Json[], { named, before, key }: ListOrder): Json[] {
  const identity = (item: Json): Json | undefined =>
    key !== undefined && isObject(item) ? item[key] : item;
  const indexIn = (list: readonly Json[], item: Json): number =>
    list.findIndex((each) => equalJson(identity(each), identity(item)));
  const byIndexIn =
    (list: readonly Json[]) =>
    (left: Json, right: Json): number =>
      indexIn(list, left) - indexIn(list, right);
  const patched = items.filter((item) => indexIn(named, item) !== -1).sort(byIndexIn(named));
  const kept = items.filter((item) => indexIn(named, item) === -1).sort(byIndexIn(before));
  const result: Json[] = [];
  let next = 0;
  const precedes = (item: Json, place: number): boolean => indexIn(before, item) < place;
  for (const item of patched) {
    const place = indexIn(before, item);
    for (; next < kept.length && precedes(kept[next] as Json, place); next++) {
      result.push(kept[next] as Json);
    }
    result.push(item);
  }
  return [...result, ...kept.slice(next)];
}
