/** CEL rules of a kind's schema. */
import type { FieldError, FieldErrorReason } from '../objects/api-error.ts';
import type { ApiObject } from '../objects/api-object.ts';
import type { ResourceDefinition } from '../registry/resource-definition.ts';
import { checkValidationRules, hasRules } from '../schema/validation-rules.ts';

/** Errors after which rules are not asked: they read fields by their types, and by what must be there. */
const blocking: ReadonlySet<FieldErrorReason> = new Set([
  'FieldValueRequired',
  'FieldValueTypeInvalid',
  'FieldValueNotSupported',
  'FieldValueTooLong',
  'FieldValueTooMany',
]);

const unchecked: FieldError = {
  field: '<nil>',
  reason: 'FieldValueInvalid',
  message:
    'Invalid value: null: some validation rules were not checked because the object was invalid; ' +
    'correct the existing errors to complete validation',
};

/** An object with what it was before, and the errors of its schema. */
export interface RuleSubject {
  readonly object: ApiObject;
  readonly previous: ApiObject | undefined;
  readonly schemaErrors: readonly FieldError[];
}

/** The rules that the object breaks; with a previous object, the rules about transitions too. */
export function checkRules(
  definition: ResourceDefinition,
  { object, previous, schemaErrors }: RuleSubject,
): FieldError[] {
  if (!definition.isCustom || !hasRules(definition.schema)) return [];
  if (schemaErrors.some(({ reason }) => blocking.has(reason))) return [unchecked];
  return checkValidationRules(definition.schema, { value: object, previous, path: '' });
}
