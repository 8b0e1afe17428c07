/**
 * Sets of fields, as `managedFields` keeps them (FieldsV1): a tree whose edges are `f:<member>`, `k:<keys of
 * a list item>` or `v:<value in a set>`, and whose nodes say whether the field at that place is itself in the
 * set.
 */
import type { Schema } from '../schema/schema.ts';
import { listMapKeys } from '../schema/schema.ts';
import {
  asList,
  equalJson,
  formatJson,
  isObject,
  parseJson,
  type Json,
  type JsonObject,
} from './json.ts';

/** A set of fields. Sets are never changed; operations make new ones. */
export interface FieldSet {
  readonly isMember: boolean;
  readonly children: ReadonlyMap<string, FieldSet>;
}

/** The set without fields. */
export const emptyFieldSet: FieldSet = { isMember: false, children: new Map() };

const leaf: FieldSet = { isMember: true, children: new Map() };

/** Whether no field is in the set. */
export function isEmptySet(set: FieldSet): boolean {
  return !set.isMember && [...set.children.values()].every((child) => isEmptySet(child));
}

function build(isMember: boolean, children: Iterable<readonly [string, FieldSet]>): FieldSet {
  const kept = [...children].filter(([, child]) => !isEmptySet(child));
  return { isMember, children: new Map(kept) };
}

/** Whether server-side apply treats the value as one field, whatever is inside. */
export function isAtomicValue(schema: Schema | undefined, value: Json): boolean {
  if (Array.isArray(value)) {
    const type = schema?.['x-kubernetes-list-type'];
    return type !== 'map' && type !== 'set';
  }
  return !isObject(value) || schema?.['x-kubernetes-map-type'] === 'atomic';
}

/** The schema of a member of an object. */
export function memberSchemaOf(schema: Schema | undefined, member: string): Schema | undefined {
  const declared = schema?.properties?.[member];
  if (declared !== undefined) return declared;
  return isObject(schema?.additionalProperties) ? schema.additionalProperties : undefined;
}

/** The edge that leads to an item of a list merged by keys, or of a set. */
export function itemEdge(schema: Schema, item: Json): string {
  const keys = listMapKeys(schema);
  if (keys === undefined || !isObject(item)) return `v:${formatJson(item)}`;
  const defaults = schema.items?.properties;
  const named = keys.flatMap((key) => {
    const value = item[key] ?? defaults?.[key]?.default;
    return value === undefined ? [] : [[key, value] as const];
  });
  return `k:${formatJson(Object.fromEntries(named))}`;
}

/** The fields that a value sets. */
export function fieldsOf(schema: Schema | undefined, value: Json): FieldSet {
  if (isAtomicValue(schema, value)) return leaf;
  if (Array.isArray(value)) {
    return build(
      false,
      (value as readonly Json[]).map((item) => {
        const inner = isObject(item) ? fieldsOf(schema?.items, item) : leaf;
        return [itemEdge(schema as Schema, item), { ...inner, isMember: true }];
      }),
    );
  }
  const members = Object.entries(value as JsonObject).filter(([, each]) => each !== undefined);
  if (members.length === 0) return leaf;
  return build(
    false,
    members.map(([member, each]) => [
      `f:${member}`,
      fieldsOf(memberSchemaOf(schema, member), each as Json),
    ]),
  );
}

/** The fields of either set. */
export function union(left: FieldSet, right: FieldSet): FieldSet {
  const edges = new Set([...left.children.keys(), ...right.children.keys()]);
  return build(
    left.isMember || right.isMember,
    [...edges].map((edge) => [
      edge,
      union(left.children.get(edge) ?? emptyFieldSet, right.children.get(edge) ?? emptyFieldSet),
    ]),
  );
}

/** The fields of the first set that are not in the second. */
export function difference(left: FieldSet, right: FieldSet): FieldSet {
  return build(
    left.isMember && !right.isMember,
    [...left.children].map(([edge, child]) => [
      edge,
      difference(child, right.children.get(edge) ?? emptyFieldSet),
    ]),
  );
}

/** The fields that both sets have. */
export function intersection(left: FieldSet, right: FieldSet): FieldSet {
  return build(
    left.isMember && right.isMember,
    [...left.children].flatMap(([edge, child]) => {
      const other = right.children.get(edge);
      return other === undefined ? [] : [[edge, intersection(child, other)] as const];
    }),
  );
}

/** Whether both sets have the same fields. */
export function equalSets(left: FieldSet, right: FieldSet): boolean {
  return isEmptySet(difference(left, right)) && isEmptySet(difference(right, left));
}

/** The set as `fieldsV1` states it. */
export function formatFieldsV1(set: FieldSet): JsonObject {
  const children = [...set.children].map(([edge, child]) => [edge, formatFieldsV1(child)] as const);
  const isInner = set.isMember && children.length > 0;
  return Object.fromEntries([...(isInner ? [['.', {}] as const] : []), ...children]);
}

/** Reads a set from `fieldsV1`; edges of unknown sorts are dropped. */
export function parseFieldsV1(value: unknown): FieldSet {
  if (!isObject(value)) return emptyFieldSet;
  const edges = Object.entries(value).filter(([edge]) => /^[fkv]:/.test(edge));
  const children = edges.map(([edge, child]) => [edge, parseFieldsV1(child)] as const);
  return build(value['.'] !== undefined || edges.length === 0, children);
}

/** The fields of a set as people read them: `.spec.containers[name="alpine"].image`. */
export function describeFields(set: FieldSet, prefix = ''): string[] {
  const inner = [...set.children].flatMap(([edge, child]) =>
    describeFields(child, `${prefix}${describeEdge(edge)}`),
  );
  return set.isMember && inner.length === 0 ? [prefix] : inner;
}

function describeEdge(edge: string): string {
  const text = edge.slice(2);
  if (edge.startsWith('f:')) return `.${text}`;
  if (edge.startsWith('v:')) return `[=${text}]`;
  const keys = Object.entries(parseJson(text) as JsonObject);
  return `[${keys.map(([key, value]) => `${key}=${formatJson(value)}`).join(',')}]`;
}

/** The value without the fields of the set; members that become empty stay, as they do in Kubernetes. */
export function withoutFields(schema: Schema | undefined, value: Json, removed: FieldSet): Json {
  if (removed.children.size === 0 || isAtomicValue(schema, value)) return value;
  if (Array.isArray(value)) {
    return asList(value).flatMap((item) => {
      const child = removed.children.get(itemEdge(schema as Schema, item));
      if (child === undefined) return [item];
      return child.isMember ? [] : [withoutFields(schema?.items, item, child)];
    });
  }
  return Object.fromEntries(
    Object.entries(value as JsonObject).flatMap(([member, each]) => {
      const child = removed.children.get(`f:${member}`);
      if (child === undefined || each === undefined) return [[member, each]];
      if (child.isMember && child.children.size === 0) return [];
      return [[member, withoutFields(memberSchemaOf(schema, member), each, child)]];
    }),
  );
}

/** The fields whose values differ between two values of one schema: changed, added or removed. */
export function changedFields(
  schema: Schema | undefined,
  before: Json | undefined,
  after: Json | undefined,
): FieldSet {
  if (before === undefined && after === undefined) return emptyFieldSet;
  if (before === undefined) return fieldsOf(schema, after as Json);
  if (after === undefined) return fieldsOf(schema, before);
  if (isAtomicValue(schema, before) || isAtomicValue(schema, after)) {
    return equalJson(before, after)
      ? emptyFieldSet
      : union(fieldsOf(schema, before), fieldsOf(schema, after));
  }
  if (Array.isArray(before) || Array.isArray(after)) {
    return changedItems(schema as Schema, asList(before), asList(after));
  }
  const left = before as JsonObject;
  const right = after as JsonObject;
  const members = new Set([...Object.keys(left), ...Object.keys(right)]);
  return build(
    false,
    [...members].map((member) => [
      `f:${member}`,
      changedFields(memberSchemaOf(schema, member), left[member], right[member]),
    ]),
  );
}

function changedItems(schema: Schema, before: readonly Json[], after: readonly Json[]): FieldSet {
  const byEdge = (items: readonly Json[]): Map<string, Json> =>
    new Map(items.map((item) => [itemEdge(schema, item), item]));
  const left = byEdge(before);
  const right = byEdge(after);
  return build(
    false,
    [...new Set([...left.keys(), ...right.keys()])].map((edge) => {
      const old = left.get(edge);
      const fresh = right.get(edge);
      if (old !== undefined && fresh !== undefined) {
        return [edge, isObject(old) ? changedFields(schema.items, old, fresh) : emptyFieldSet];
      }
      const item = (fresh ?? old) as Json;
      const inner = isObject(item) ? fieldsOf(schema.items, item) : leaf;
      return [edge, { ...inner, isMember: true }];
    }),
  );
}
