/** CEL's values: integers are bigints, doubles are numbers, so that `1` and `1.5` divide by their own rules. */
import { compareQuantities, parseQuantityMilli } from '../objects/quantity.ts';
import { isObject, type Json } from '../objects/json.ts';
import type { Schema } from '../schema/schema.ts';
import { CelError } from './cel-error.ts';

/** A quantity, made by `quantity("1Gi")`. */
export class CelQuantity {
  readonly text: string;

  constructor(text: string) {
    if (parseQuantityMilli(text) === undefined) {
      throw new CelError('evaluation', `${JSON.stringify(text)} is no quantity`);
    }
    this.text = text;
  }
}

/** A value. */
export type CelValue =
  | null
  | boolean
  | bigint
  | number
  | string
  | readonly CelValue[]
  | ReadonlyMap<string, CelValue>
  | CelQuantity;

/** Words that CEL reserves: a member of such a name is written `__name__` in expressions. */
const reserved: ReadonlySet<string> = new Set(
  (
    'true false null in as break const continue else for function if import let loop package namespace ' +
    'return var void while'
  ).split(' '),
);

/** The member that a field name in an expression stands for (Kubernetes' escapes). */
export function unescapeField(field: string): string {
  const word = /^__(\w+)__$/.exec(field)?.[1];
  if (word !== undefined && reserved.has(word)) return word;
  return field
    .replaceAll('__underscores__', '__')
    .replaceAll('__dot__', '.')
    .replaceAll('__dash__', '-')
    .replaceAll('__slash__', '/');
}

/** A JSON value as CEL sees it: the schema says which numbers are doubles. */
export function toCelValue(value: Json | undefined, schema: Schema | undefined): CelValue {
  if (value === undefined) return null;
  if (typeof value === 'number') {
    const isInteger = schema?.type !== 'number' && Number.isSafeInteger(value);
    return isInteger ? BigInt(value) : value;
  }
  if (Array.isArray(value)) {
    return (value as readonly Json[]).map((item) => toCelValue(item, schema?.items));
  }
  if (isObject(value)) {
    const free = isObject(schema?.additionalProperties) ? schema.additionalProperties : undefined;
    return new Map(
      Object.entries(value)
        .filter(([, each]) => each !== undefined)
        .map(([member, each]) => [member, toCelValue(each, schema?.properties?.[member] ?? free)]),
    );
  }
  return value as null | boolean | bigint | string;
}

/** Whether two values are equal; an integer and a double may be, values of other differing types are not. */
export function equalValues(left: CelValue, right: CelValue): boolean {
  if (left instanceof CelQuantity || right instanceof CelQuantity) {
    return (
      left instanceof CelQuantity &&
      right instanceof CelQuantity &&
      compareQuantities(left.text, right.text) === 0
    );
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    return (
      left.length === right.length &&
      left.every((item, index) => equalValues(item as CelValue, right[index] as CelValue))
    );
  }
  if (left instanceof Map && right instanceof Map) {
    return (
      left.size === right.size &&
      [...left].every(
        ([key, value]) =>
          right.has(key) && equalValues(value as CelValue, right.get(key) as CelValue),
      )
    );
  }
  if (isNumeric(left) && isNumeric(right)) return compareNumbers(left, right) === 0;
  return left === right;
}

/** Whether the value is an integer or a double. */
export function isNumeric(value: CelValue): value is bigint | number {
  return typeof value === 'bigint' || typeof value === 'number';
}

function compareNumbers(left: bigint | number, right: bigint | number): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Below zero, zero or above; throws for types that have no order among them. */
export function compareValues(left: CelValue, right: CelValue): number {
  if (isNumeric(left) && isNumeric(right)) return compareNumbers(left, right);
  if (typeof left === 'string' && typeof right === 'string') {
    return left < right ? -1 : left > right ? 1 : 0;
  }
  if (typeof left === 'boolean' && typeof right === 'boolean') return Number(left) - Number(right);
  throw new CelError('evaluation', `no such overload: ${typeName(left)} < ${typeName(right)}`);
}

/** A value as the text of a map's key or of a joined list. */
export function celText(value: CelValue): string {
  if (typeof value === 'string') return value;
  if (isNumeric(value) || typeof value === 'boolean') return String(value);
  throw new CelError('evaluation', `no such overload: string(${typeName(value)})`);
}

/** The name of a value's type, for messages. */
export function typeName(value: CelValue): string {
  if (value === null) return 'null_type';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Map) return 'map';
  if (value instanceof CelQuantity) return 'quantity';
  if (typeof value === 'bigint') return 'int';
  if (typeof value === 'number') return 'double';
  return typeof value === 'boolean' ? 'bool' : 'string';
}
