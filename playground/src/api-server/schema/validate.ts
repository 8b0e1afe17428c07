/**
 * Validation of a value by its schema, in the words of kube-apiserver. Unknown members are no matter of
 * validation: they are pruned.
 */
import type { FieldError } from '../objects/api-error.ts';
import {
  invalidValue,
  notSupported,
  required,
  tooLong,
  wrongType,
} from '../objects/field-errors.ts';
import { equalJson, formatJson, isObject, type Json, type JsonObject } from '../objects/json.ts';
import { fitsIntegerFormat, isOfFormat } from './formats.ts';
import { itemPath, keyPath, listMapKeys, memberPath, type Schema } from './schema.ts';

/** Every way in which the value breaks the schema; [] if none. */
export function validateValue(schema: Schema, value: Json, path: string): FieldError[] {
  if (value === null) return schema.nullable === true ? [] : nullError(schema, path);
  const typeError = checkType(schema, value, path);
  if (typeError !== undefined) return [typeError];
  return [
    ...checkEnum(schema, value, path),
    ...checkKind(schema, value, path),
    ...checkCombinations(schema, value, path),
  ];
}

function nullError(schema: Schema, path: string): FieldError[] {
  if (schema.type === undefined) return [];
  return [wrongType(path, 'null', `${path} in body must be of type ${schema.type}: "null"`)];
}

function jsonType(value: Json): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'bigint') return 'integer';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return value === null ? 'null' : typeof value;
}

function checkType(schema: Schema, value: Json, path: string): FieldError | undefined {
  const found = jsonType(value);
  if (schema['x-kubernetes-int-or-string'] === true) {
    if (found === 'integer' || found === 'string') return undefined;
    return wrongType(path, found, `${path} in body must be of type integer,string: "${found}"`);
  }
  const wanted = schema.type;
  if (wanted === undefined || wanted === found) return undefined;
  if (wanted === 'number' && found === 'integer') return undefined;
  return wrongType(path, found, `${path} in body must be of type ${wanted}: "${found}"`);
}

function checkEnum(schema: Schema, value: Json, path: string): FieldError[] {
  if (schema.enum === undefined || schema.enum.some((each) => equalJson(each, value))) return [];
  return [notSupported(path, value, schema.enum)];
}

function checkKind(schema: Schema, value: Json, path: string): FieldError[] {
  if (typeof value === 'string') return checkString(schema, value, path);
  if (typeof value === 'number' || typeof value === 'bigint')
    return checkNumber(schema, value, path);
  if (Array.isArray(value)) return checkList(schema, value as readonly Json[], path);
  if (isObject(value)) return checkObject(schema, value, path);
  return [];
}

function checkString(schema: Schema, value: string, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const length = Array.from(value).length;
  if (schema.maxLength !== undefined && length > schema.maxLength) {
    errors.push(tooLong(path, schema.maxLength));
  }
  if (schema.minLength !== undefined && length < schema.minLength) {
    errors.push(
      invalidValue(
        path,
        value,
        `${path} in body should be at least ${schema.minLength} chars long`,
      ),
    );
  }
  if (schema.pattern !== undefined && !compilePattern(schema.pattern).test(value)) {
    errors.push(invalidValue(path, value, `${path} in body should match '${schema.pattern}'`));
  }
  if (schema.format !== undefined && !isOfFormat(schema.format, value)) {
    // Bytes may be a secret: they are not quoted.
    const shown = schema.format === 'byte' ? '<bytes>' : value;
    const detail = `${path} in body must be of type ${schema.format}: ${formatJson(shown)}`;
    errors.push(wrongType(path, shown, detail));
  }
  return errors;
}

/**
 * Go's regular expressions (RE2) are nearly a subset of JavaScript's; a group's `(?P<name>` is the difference
 * that occurs.
 */
export function compilePattern(pattern: string): RegExp {
  return new RegExp(pattern.replaceAll('(?P<', '(?<'), 'u');
}

function checkNumber(schema: Schema, value: number | bigint, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { minimum, maximum } = schema;
  if (schema.type === 'integer' && !fitsIntegerFormat(schema.format, value)) {
    const format = schema.format ?? 'int64';
    errors.push(invalidValue(path, value, `${path} in body must be of type ${format}: ${value}`));
  }
  if (minimum !== undefined && (value < minimum || (schema.exclusiveMinimum && value <= minimum))) {
    const word = schema.exclusiveMinimum === true ? 'greater than' : 'greater than or equal to';
    errors.push(invalidValue(path, value, `${path} in body should be ${word} ${minimum}`));
  }
  if (maximum !== undefined && (value > maximum || (schema.exclusiveMaximum && value >= maximum))) {
    const word = schema.exclusiveMaximum === true ? 'less than' : 'less than or equal to';
    errors.push(invalidValue(path, value, `${path} in body should be ${word} ${maximum}`));
  }
  if (schema.multipleOf !== undefined && Number(value) % schema.multipleOf !== 0) {
    errors.push(
      invalidValue(path, value, `${path} in body should be a multiple of ${schema.multipleOf}`),
    );
  }
  return errors;
}

function checkList(schema: Schema, list: readonly Json[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (schema.maxItems !== undefined && list.length > schema.maxItems) {
    errors.push({
      field: path,
      reason: 'FieldValueTooMany',
      message: `Too many: ${list.length}: must have at most ${schema.maxItems} items`,
    });
  }
  if (schema.minItems !== undefined && list.length < schema.minItems) {
    errors.push(
      invalidValue(
        path,
        list.length,
        `${path} in body should have at least ${schema.minItems} items`,
      ),
    );
  }
  errors.push(...checkDistinct(schema, list, path));
  const { items } = schema;
  if (items === undefined) return errors;
  return [
    ...errors,
    ...list.flatMap((item, index) => validateValue(items, item, itemPath(path, index))),
  ];
}

function checkDistinct(schema: Schema, list: readonly Json[], path: string): FieldError[] {
  const keys = listMapKeys(schema);
  const isSet = schema['x-kubernetes-list-type'] === 'set' || schema.uniqueItems === true;
  if (keys === undefined && !isSet) return [];
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  list.forEach((item, index) => {
    const identity = keys === undefined ? item : keysOf(item, keys, schema.items);
    const text = formatJson(identity);
    if (seen.has(text)) {
      errors.push({
        field: itemPath(path, index),
        reason: 'FieldValueDuplicate',
        message: `Duplicate value: ${text}`,
      });
    }
    seen.add(text);
  });
  return errors;
}

/** The members that make an item of a list-map itself; a default of the schema stands in for an absent one. */
export function keysOf(item: Json, keys: readonly string[], itemSchema?: Schema): JsonObject {
  const object = isObject(item) ? item : {};
  return Object.fromEntries(
    keys.map((key) => [key, object[key] ?? itemSchema?.properties?.[key]?.default ?? null]),
  );
}

function checkObject(schema: Schema, object: JsonObject, path: string): FieldError[] {
  const members = Object.entries(object).filter(([, value]) => value !== undefined);
  const errors: FieldError[] = (schema.required ?? [])
    .filter((member) => object[member] === undefined)
    .map((member) => required(memberPath(path, member)));
  if (schema.maxProperties !== undefined && members.length > schema.maxProperties) {
    errors.push({
      field: path,
      reason: 'FieldValueTooMany',
      message: `Too many: ${members.length}: must have at most ${schema.maxProperties} items`,
    });
  }
  if (schema.minProperties !== undefined && members.length < schema.minProperties) {
    const wanted = `${path} in body should have at least ${schema.minProperties} properties`;
    errors.push(invalidValue(path, members.length, wanted));
  }
  for (const [member, value] of members) {
    const declared = schema.properties?.[member];
    if (declared !== undefined) {
      errors.push(...validateValue(declared, value as Json, memberPath(path, member)));
    } else if (isObject(schema.additionalProperties)) {
      errors.push(
        ...validateValue(schema.additionalProperties, value as Json, keyPath(path, member)),
      );
    }
  }
  return errors;
}

function checkCombinations(schema: Schema, value: Json, path: string): FieldError[] {
  const errors = (schema.allOf ?? []).flatMap((part) => validateValue(part, value, path));
  const holds = (part: Schema): boolean => validateValue(part, value, path).length === 0;
  if (schema.anyOf !== undefined && !schema.anyOf.some(holds)) {
    errors.push(
      invalidValue(path, '', `${path} in body must validate at least one schema (anyOf)`),
    );
  }
  if (schema.oneOf !== undefined && schema.oneOf.filter(holds).length !== 1) {
    errors.push(
      invalidValue(path, '', `${path} in body must validate one and only one schema (oneOf)`),
    );
  }
  if (schema.not !== undefined && holds(schema.not)) {
    errors.push(invalidValue(path, '', `${path} in body must not validate the schema (not)`));
  }
  return errors;
}
