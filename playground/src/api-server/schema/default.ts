/** Defaulting: absent members get the `default` of their schema, on every level whose parent is there. */
import {
  cloneJson,
  isObject,
  setMember,
  type Json,
  type MutableJsonObject,
} from '../objects/json.ts';
import type { Schema } from './schema.ts';

/**
 * The value with defaults filled in; a null that is not allowed counts as absent where there is a default, as
 * in Kubernetes.
 */
export function applyDefaults(schema: Schema, value: Json): Json {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return value;
    return (value as readonly Json[]).map((item) => applyDefaults(items, item));
  }
  if (!isObject(value)) return value;
  const result: MutableJsonObject = {};
  for (const [member, each] of Object.entries(value)) {
    if (each === undefined) continue;
    const declared =
      schema.properties?.[member] ??
      (isObject(schema.additionalProperties) ? schema.additionalProperties : undefined);
    setMember(result, member, declared === undefined ? each : applyDefaults(declared, each));
  }
  for (const [member, declared] of Object.entries(schema.properties ?? {})) {
    if (declared.default === undefined) continue;
    const current = result[member];
    if (current === undefined || (current === null && declared.nullable !== true)) {
      setMember(result, member, applyDefaults(declared, cloneJson(declared.default)));
    }
  }
  return result;
}
