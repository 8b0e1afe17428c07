/** CEL rules of a kind's schema. */
import type { FieldError } from '../objects/api-error.ts';
import type { ApiObject } from '../objects/api-object.ts';
import type { ResourceDefinition } from '../registry/resource-definition.ts';
import { checkValidationRules } from '../schema/validation-rules.ts';

/** The rules that the object breaks; with a previous object, the rules about transitions too. */
export function checkRules(
  definition: ResourceDefinition,
  object: ApiObject,
  previous: ApiObject | undefined,
): FieldError[] {
  if (!definition.isCustom) return [];
  return checkValidationRules(definition.schema, { value: object, previous, path: '' });
}
