/**
 * A linter for structural schemas: what the API server demands of a CustomResourceDefinition's schema, as
 * far as our generator can get it wrong. The real API server stays the judge.
 */
import type { JsonSchema } from './custom-resource.ts';

const knownKeywords = new Set([
  'type',
  'format',
  'description',
  'default',
  'enum',
  'pattern',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'properties',
  'required',
  'additionalProperties',
  'items',
  'anyOf',
  'x-kubernetes-validations',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
]);

const knownTypes = new Set(['object', 'array', 'string', 'integer', 'number', 'boolean']);

/** What is wrong with the schema, one sentence each, starting with the path of the node. */
export function structuralProblems(schema: JsonSchema, path = '.'): readonly string[] {
  const problems = Object.keys(schema)
    .filter((keyword) => !knownKeywords.has(keyword))
    .map((keyword) => `keyword ${keyword} is not allowed`);
  if (schema['x-kubernetes-int-or-string'] === true) {
    if (schema['type'] !== undefined) problems.push('int-or-string has no type of its own');
    return problems.map((problem) => `${path}: ${problem}`);
  }
  if (schema['anyOf'] !== undefined) problems.push('anyOf is for int-or-string only');
  const type = schema['type'];
  if (typeof type !== 'string' || !knownTypes.has(type)) problems.push(`type is ${String(type)}`);
  const own = problems.map((problem) => `${path}: ${problem}`);
  if (type === 'object') return [...own, ...objectProblems(schema, path)];
  if (type === 'array') return [...own, ...arrayProblems(schema, path)];
  return own;
}

function objectProblems(schema: JsonSchema, path: string): readonly string[] {
  const properties = schema['properties'] as Record<string, JsonSchema> | undefined;
  const additional = schema['additionalProperties'];
  const problems: string[] = [];
  if (additional === false) problems.push(`${path}: additionalProperties must not be false`);
  if (properties !== undefined && additional !== undefined) {
    problems.push(`${path}: properties and additionalProperties exclude each other`);
  }
  for (const name of (schema['required'] as string[] | undefined) ?? []) {
    if (properties?.[name] === undefined) problems.push(`${path}: required ${name} is no property`);
  }
  if (typeof additional === 'object' && additional !== null) {
    problems.push(...structuralProblems(additional as JsonSchema, `${path}[*]`));
  }
  for (const [name, inner] of Object.entries(properties ?? {})) {
    const innerPath = path === '.' ? `.${name}` : `${path}.${name}`;
    // The API server knows the metadata's schema itself, and lets nobody restate it.
    if (innerPath !== '.metadata') problems.push(...structuralProblems(inner, innerPath));
  }
  return problems;
}

function arrayProblems(schema: JsonSchema, path: string): readonly string[] {
  const items = schema['items'] as JsonSchema | undefined;
  if (items === undefined) return [`${path}: an array needs items`];
  const problems = [...structuralProblems(items, `${path}[]`)];
  if (schema['x-kubernetes-list-type'] !== 'map') return problems;
  const keys = (schema['x-kubernetes-list-map-keys'] as string[] | undefined) ?? [];
  if (keys.length === 0) problems.push(`${path}: a list-map needs keys`);
  const required = (items['required'] as string[] | undefined) ?? [];
  for (const key of keys) {
    if (!required.includes(key))
      problems.push(`${path}: key ${key} of a list-map must be required`);
  }
  return problems;
}
