/** The merge of server-side apply: by the schema's list and map types (sigs.k8s.io/structured-merge-diff). */
import { isAtomicValue, itemEdge, memberSchemaOf } from '../objects/field-set.ts';
import {
  asList,
  isObject,
  setMember,
  type Json,
  type JsonObject,
  type MutableJsonObject,
} from '../objects/json.ts';
import type { Schema } from './schema.ts';

/**
 * What the live value becomes when the applied one is laid over it: everything applied wins, everything else
 * stays.
 */
export function mergeApplied(
  schema: Schema | undefined,
  live: Json | undefined,
  applied: Json,
): Json {
  if (live === undefined || live === null || isAtomicValue(schema, applied)) return applied;
  if (Array.isArray(applied)) return mergeItems(schema as Schema, asList(live), asList(applied));
  if (!isObject(live)) return applied;
  const result: MutableJsonObject = { ...live };
  for (const [member, value] of Object.entries(applied as JsonObject)) {
    if (value === undefined) continue;
    setMember(result, member, mergeApplied(memberSchemaOf(schema, member), result[member], value));
  }
  return result;
}

/** Items that are there keep their places; new ones follow in the order in which they were applied. */
function mergeItems(schema: Schema, live: readonly Json[], applied: readonly Json[]): Json[] {
  const result = new Map(live.map((item) => [itemEdge(schema, item), item]));
  for (const item of applied) {
    const edge = itemEdge(schema, item);
    result.set(edge, mergeApplied(schema.items, result.get(edge), item));
  }
  return [...result.values()];
}
