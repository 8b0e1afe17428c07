/**
 * Pruning: members that the schema does not know are dropped and named, so that a strict client can be
 * refused and others warned.
 */
import { isObject, setMember, type Json, type MutableJsonObject } from '../objects/json.ts';
import { itemPath, keyPath, memberPath, type Schema } from './schema.ts';

/** What an embedded object (and every object at its root) always has. */
const rootMembers: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

/** The value without what the schema does not know, and the paths of what was dropped. */
export interface Pruned {
  readonly value: Json;
  readonly unknownFields: readonly string[];
}

/** Prunes an object by its kind's schema. `metadata` is left alone: it has rules of its own. */
export function pruneObject(schema: Schema, value: Json): Pruned {
  const unknownFields: string[] = [];
  return { value: prune(schema, value, '', { unknownFields, isRoot: true }), unknownFields };
}

interface PruneState {
  readonly unknownFields: string[];
  readonly isRoot: boolean;
}

function prune(schema: Schema, value: Json, path: string, state: PruneState): Json {
  const inner = { unknownFields: state.unknownFields, isRoot: false };
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return value;
    return (value as readonly Json[]).map((item, index) =>
      prune(items, item, itemPath(path, index), inner),
    );
  }
  if (!isObject(value)) return value;
  const isEmbedded = state.isRoot || schema['x-kubernetes-embedded-resource'] === true;
  const result: MutableJsonObject = {};
  for (const [member, each] of Object.entries(value)) {
    if (each === undefined) continue;
    const declared = schema.properties?.[member];
    if (isEmbedded && rootMembers.has(member)) {
      setMember(result, member, each);
    } else if (declared !== undefined) {
      setMember(result, member, prune(declared, each, memberPath(path, member), inner));
    } else if (isObject(schema.additionalProperties)) {
      const free = schema.additionalProperties;
      setMember(result, member, prune(free, each, keyPath(path, member), inner));
    } else if (keepsUnknown(schema)) {
      setMember(result, member, each);
    } else {
      state.unknownFields.push(memberPath(path, member));
    }
  }
  return result;
}

function keepsUnknown(schema: Schema): boolean {
  return (
    schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties === true
  );
}
