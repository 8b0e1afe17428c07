/**
 * Whether a CRD's schema is structural (Kubernetes, "Specifying a structural schema"), and says nothing that
 * is not supported here.
 */
import type { FieldError } from '../objects/api-error.ts';
import { forbiddenField, invalidValue, notSupported, required } from '../objects/field-errors.ts';
import { isObject } from '../objects/json.ts';
import { listMapKeys, type Schema } from './schema.ts';
import { compilePattern, validateValue } from './validate.ts';

const valueTypes = ['array', 'boolean', 'integer', 'number', 'object', 'string'];

/** Members of a schema that change what it means and that nothing here reads. */
const unsupportedMembers = [
  '$ref',
  'definitions',
  'dependencies',
  'patternProperties',
  'additionalItems',
];

/** Everything that is wrong with the schema. */
export function structuralErrors(schema: Schema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const isIntOrString = schema['x-kubernetes-int-or-string'] === true;
  const keepsUnknown = schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (schema.type === undefined && !isIntOrString && !keepsUnknown) {
    errors.push(required(`${path}.type`, 'must not be empty for specified object fields'));
  } else if (schema.type !== undefined && !valueTypes.includes(schema.type)) {
    errors.push(notSupported(`${path}.type`, schema.type, valueTypes));
  }
  for (const member of unsupportedMembers) {
    if (schema[member] !== undefined)
      errors.push(forbiddenField(`${path}.${member}`, `${member} is not supported`));
  }
  errors.push(
    ...patternErrors(schema, path),
    ...defaultErrors(schema, path),
    ...listErrors(schema, path),
  );
  if (schema.properties !== undefined && isObject(schema.additionalProperties)) {
    errors.push(
      forbiddenField(
        `${path}.additionalProperties`,
        'additionalProperties and properties are mutual exclusive',
      ),
    );
  }
  return [...errors, ...childErrors(schema, path)];
}

function patternErrors(schema: Schema, path: string): FieldError[] {
  if (schema.pattern === undefined) return [];
  try {
    compilePattern(schema.pattern);
    return [];
  } catch {
    return [invalidValue(`${path}.pattern`, schema.pattern, 'must be a valid regular expression')];
  }
}

function defaultErrors(schema: Schema, path: string): FieldError[] {
  if (schema.default === undefined) return [];
  return validateValue(schema, schema.default, `${path}.default`);
}

function listErrors(schema: Schema, path: string): FieldError[] {
  if (schema.type !== 'array') return [];
  const errors: FieldError[] = [];
  if (schema.items === undefined) errors.push(required(`${path}.items`, 'must be specified'));
  if (schema['x-kubernetes-list-type'] === 'map') {
    const keys = listMapKeys(schema) ?? [];
    if (keys.length === 0) {
      errors.push(
        required(
          `${path}.x-kubernetes-list-map-keys`,
          'must not be empty if x-kubernetes-list-type is map',
        ),
      );
    }
    for (const key of keys) {
      const isThere =
        schema.items?.properties?.[key]?.default !== undefined ||
        schema.items?.required?.includes(key) === true;
      if (!isThere) {
        errors.push(
          required(
            `${path}.items.properties[${key}]`,
            'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
          ),
        );
      }
    }
  }
  return errors;
}

function childErrors(schema: Schema, path: string): FieldError[] {
  const errors = Object.entries(schema.properties ?? {})
    // The metadata of the root is Kubernetes' own.
    .filter(([member]) => !(member === 'metadata' && path.endsWith('.openAPIV3Schema')))
    .flatMap(([member, child]) => structuralErrors(child, `${path}.properties[${member}]`));
  if (schema.items !== undefined) errors.push(...structuralErrors(schema.items, `${path}.items`));
  if (isObject(schema.additionalProperties)) {
    const free = schema.additionalProperties;
    errors.push(...structuralErrors(free, `${path}.additionalProperties`));
  }
  return errors;
}
