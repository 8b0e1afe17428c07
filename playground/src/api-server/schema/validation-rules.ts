/**
 * `x-kubernetes-validations`: CEL rules on every level of a schema. A rule that names `oldSelf` is about
 * transitions: it is asked only where the value was there before, found again through objects, maps and lists
 * merged by key (other lists have no identity).
 */
import { CelError } from '../cel/cel-error.ts';
import { checkNames, evaluateCel, type CelScope } from '../cel/evaluate.ts';
import { parseCel, type CelNode } from '../cel/parser.ts';
import { toCelValue, type CelValue } from '../cel/values.ts';
import type { FieldError, FieldErrorReason } from '../objects/api-error.ts';
import { forbiddenField, invalidValue, required } from '../objects/field-errors.ts';
import { asList, equalJson, isObject, type Json } from '../objects/json.ts';
import {
  itemPath,
  keyPath,
  listMapKeys,
  memberPath,
  type Schema,
  type ValidationRule,
} from './schema.ts';
import { keysOf } from './validate.ts';

/** A value with what stood in its place before. */
export interface CheckedValue {
  readonly value: Json;
  readonly previous: Json | undefined;
  readonly path: string;
}

function parseRule(text: string): CelNode {
  const node = parseCel(text);
  checkNames(node, new Set(['self', 'oldSelf']));
  return node;
}

/** Whether the rule is about a transition. */
function isTransitionRule(rule: ValidationRule): boolean {
  return /\boldSelf\b/.test(rule.rule);
}

/** What is wrong with the rules of a schema themselves: each must parse and use only what is supported here. */
export function checkRuleSyntax(schema: Schema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  (schema['x-kubernetes-validations'] ?? []).forEach((rule, index) => {
    const rulePath = `${path}.x-kubernetes-validations[${index}]`;
    try {
      parseRule(rule.rule);
      if (rule.messageExpression !== undefined) parseRule(rule.messageExpression);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      const refused = error.kind === 'unsupported' ? ` by the playground's API server` : '';
      errors.push(
        invalidValue(
          `${rulePath}.rule`,
          rule.rule,
          `compilation failed: ${error.message}${refused}`,
        ),
      );
    }
    if (rule.optionalOldSelf === true) {
      errors.push(
        forbiddenField(
          `${rulePath}.optionalOldSelf`,
          `not supported by the playground's API server`,
        ),
      );
    }
  });
  for (const [member, inner] of Object.entries(schema.properties ?? {})) {
    errors.push(...checkRuleSyntax(inner, `${path}.properties[${member}]`));
  }
  if (schema.items !== undefined) errors.push(...checkRuleSyntax(schema.items, `${path}.items`));
  if (isObject(schema.additionalProperties)) {
    errors.push(...checkRuleSyntax(schema.additionalProperties, `${path}.additionalProperties`));
  }
  return errors;
}

/** Whether the schema has a rule on any level. */
export function hasRules(schema: Schema): boolean {
  const free = isObject(schema.additionalProperties) ? [schema.additionalProperties] : [];
  const inner = [
    ...Object.values(schema.properties ?? {}),
    ...(schema.items === undefined ? [] : [schema.items]),
    ...free,
  ];
  return (
    (schema['x-kubernetes-validations'] ?? []).length > 0 || inner.some((each) => hasRules(each))
  );
}

/** The rules that a value breaks, on every level. */
export function checkValidationRules(schema: Schema, checked: CheckedValue): FieldError[] {
  const { value } = checked;
  if (value === null) return [];
  const errors = (schema['x-kubernetes-validations'] ?? []).flatMap((rule) =>
    checkRule(rule, schema, checked),
  );
  if (Array.isArray(value)) return [...errors, ...checkItems(schema, checked)];
  if (isObject(value)) return [...errors, ...checkMembers(schema, checked)];
  return errors;
}

function checkMembers(schema: Schema, { value, previous, path }: CheckedValue): FieldError[] {
  const before = isObject(previous) ? previous : {};
  const free = isObject(schema.additionalProperties) ? schema.additionalProperties : undefined;
  return Object.entries(value as object).flatMap(([member, each]: [string, Json | undefined]) => {
    const declared = schema.properties?.[member];
    const inner = declared ?? free;
    if (each === undefined || inner === undefined) return [];
    const innerPath = declared === undefined ? keyPath(path, member) : memberPath(path, member);
    return checkValidationRules(inner, { value: each, previous: before[member], path: innerPath });
  });
}

function checkItems(schema: Schema, { value, previous, path }: CheckedValue): FieldError[] {
  const { items } = schema;
  if (items === undefined) return [];
  const keys = listMapKeys(schema);
  const before = asList(previous);
  return asList(value).flatMap((item, index) => {
    const same =
      keys === undefined
        ? undefined
        : before.find((each) => equalJson(keysOf(each, keys, items), keysOf(item, keys, items)));
    return checkValidationRules(items, {
      value: item,
      previous: same,
      path: itemPath(path, index),
    });
  });
}

function checkRule(rule: ValidationRule, schema: Schema, checked: CheckedValue): FieldError[] {
  const { value, previous } = checked;
  if (isTransitionRule(rule) && (previous === undefined || previous === null)) return [];
  const variables: [string, CelValue][] = [['self', toCelValue(value, schema)]];
  if (previous !== undefined) variables.push(['oldSelf', toCelValue(previous, schema)]);
  const scope: CelScope = new Map(variables);
  try {
    if (evaluateCel(parseRule(rule.rule), scope) === true) return [];
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    return [
      invalidByRule(pathOf(rule, checked), value, `rule failed: ${error.message}: ${rule.rule}`),
    ];
  }
  return [brokenRule(rule, checked, messageOf(rule, scope))];
}

function messageOf(rule: ValidationRule, scope: CelScope): string {
  if (rule.messageExpression !== undefined) {
    try {
      const text = evaluateCel(parseCel(rule.messageExpression), scope);
      if (typeof text === 'string' && text.trim() !== '') return text.trim();
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
    }
  }
  return rule.message ?? `failed rule: ${rule.rule}`;
}

function pathOf(rule: ValidationRule, { path }: CheckedValue): string {
  return rule.fieldPath === undefined ? path : `${path}${rule.fieldPath}`;
}

/** Objects and lists are not shown, as in Kubernetes: they would be long. */
function invalidByRule(path: string, value: Json, message: string): FieldError {
  if (!isObject(value) && !Array.isArray(value)) return invalidValue(path, value, message);
  return { field: path, reason: 'FieldValueInvalid', message: `Invalid value: ${message}` };
}

function brokenRule(rule: ValidationRule, checked: CheckedValue, message: string): FieldError {
  const path = pathOf(rule, checked);
  switch (rule.reason as FieldErrorReason | undefined) {
    case 'FieldValueForbidden':
      return forbiddenField(path, message);
    case 'FieldValueRequired':
      return required(path, message);
    case 'FieldValueDuplicate':
      return { field: path, reason: 'FieldValueDuplicate', message: `Duplicate value: ${message}` };
    default:
      return invalidByRule(path, checked.value, message);
  }
}
