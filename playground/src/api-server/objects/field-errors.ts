/** Makers of FieldErrors in the words of Kubernetes' `field` package, which kubectl prints as they are. */
import type { FieldError } from './api-error.ts';
import { formatJson } from './json.ts';

/** The field must be there. */
export function required(field: string, detail = ''): FieldError {
  return {
    field,
    reason: 'FieldValueRequired',
    message: detail === '' ? 'Required value' : `Required value: ${detail}`,
  };
}

/** The field's value breaks a rule, which the detail states. */
export function invalidValue(field: string, value: unknown, detail: string): FieldError {
  return {
    field,
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${formatJson(value)}: ${detail}`,
  };
}

/** The field's value is of the wrong JSON type. */
export function wrongType(field: string, value: unknown, detail: string): FieldError {
  return {
    field,
    reason: 'FieldValueTypeInvalid',
    message: `Invalid value: ${formatJson(value)}: ${detail}`,
  };
}

/** The field's value is none of those that are allowed. */
export function notSupported(
  field: string,
  value: unknown,
  supported: readonly unknown[],
): FieldError {
  const listed = supported.map((each) => formatJson(each)).join(', ');
  return {
    field,
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${formatJson(value)}: supported values: ${listed}`,
  };
}

/** The field must not be set, or must not be changed, here. */
export function forbiddenField(field: string, detail: string): FieldError {
  return { field, reason: 'FieldValueForbidden', message: `Forbidden: ${detail}` };
}

/** The same value stands in the list twice. */
export function duplicate(field: string, value: unknown): FieldError {
  return {
    field,
    reason: 'FieldValueDuplicate',
    message: `Duplicate value: ${formatJson(value)}`,
  };
}

/** The value is longer than allowed. */
export function tooLong(field: string, lengthMax: number, unit = 'bytes'): FieldError {
  return {
    field,
    reason: 'FieldValueTooLong',
    message: `Too long: may not be more than ${lengthMax} ${unit}`,
  };
}

/** The field was set once and may not be changed. */
export function immutable(field: string, value: unknown): FieldError {
  return invalidValue(field, value, 'field is immutable');
}
