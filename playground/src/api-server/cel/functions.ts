/**
 * The functions that expressions may call: CEL's standard ones and those of Kubernetes that CRDs use; others
 * are refused by name.
 */
import { parseQuantityMilli, compareQuantities, parseQuantity } from '../objects/quantity.ts';
import { CelError } from './cel-error.ts';
import {
  CelQuantity,
  celText,
  compareValues,
  equalValues,
  isNumeric,
  typeName,
  type CelValue,
} from './values.ts';

/** A function; the receiver of a method call is the first argument. */
type CelFunction = (args: readonly CelValue[]) => CelValue;

function fail(name: string, args: readonly CelValue[]): never {
  const types = args.map((each) => typeName(each)).join(', ');
  throw new CelError('evaluation', `no such overload: ${name}(${types})`);
}

function stringFunction(
  name: string,
  apply: (text: string, ...args: readonly string[]) => CelValue,
): CelFunction {
  return (args) => {
    if (!args.every((each) => typeof each === 'string')) fail(name, args);
    return apply(...(args as [string, ...string[]]));
  };
}

function listFunction(name: string, apply: (list: readonly CelValue[]) => CelValue): CelFunction {
  return (args) =>
    Array.isArray(args[0]) ? apply(args[0] as readonly CelValue[]) : fail(name, args);
}

function quantityFunction(
  name: string,
  apply: (self: CelQuantity, other: CelQuantity | undefined) => CelValue,
): CelFunction {
  return ([self, other, ...rest]) =>
    self instanceof CelQuantity && (other === undefined || other instanceof CelQuantity)
      ? apply(self, other)
      : fail(name, [self ?? null, other ?? null, ...rest]);
}

function size(value: CelValue): bigint {
  if (typeof value === 'string') return BigInt(Array.from(value).length);
  if (Array.isArray(value)) return BigInt(value.length);
  if (value instanceof Map) return BigInt(value.size);
  return fail('size', [value]);
}

/** Go's RE2 as far as JavaScript writes it the same way. */
function matches(text: string, pattern = ''): boolean {
  try {
    return new RegExp(pattern.replaceAll('(?P<', '(?<'), 'u').test(text);
  } catch {
    throw new CelError('evaluation', `error parsing regexp: ${JSON.stringify(pattern)}`);
  }
}

function toInt(value: CelValue): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return BigInt(Math.trunc(value));
  if (typeof value === 'string' && /^[+-]?\d+$/.test(value)) return BigInt(value);
  return fail('int', [value]);
}

function extreme(list: readonly CelValue[], sign: 1 | -1): CelValue {
  const [first, ...rest] = list;
  if (first === undefined) throw new CelError('evaluation', 'min/max called on empty list');
  return rest.reduce((best, each) => (compareValues(each, best) * sign > 0 ? each : best), first);
}

function sum(list: readonly CelValue[]): CelValue {
  return list.reduce((total, each) => {
    if (typeof total === 'bigint' && typeof each === 'bigint') return total + each;
    if (isNumeric(total) && isNumeric(each)) return Number(total) + Number(each);
    return fail('sum', [each]);
  }, 0n);
}

const functions: Readonly<Record<string, CelFunction>> = {
  size: (args) => size(args[0] ?? null),
  dyn: (args) => args[0] ?? null,
  int: (args) => toInt(args[0] ?? null),
  double: (args) => Number(celText(args[0] ?? null)),
  string: (args) => celText(args[0] ?? null),
  matches: stringFunction('matches', matches),
  startsWith: stringFunction('startsWith', (text, other = '') => text.startsWith(other)),
  endsWith: stringFunction('endsWith', (text, other = '') => text.endsWith(other)),
  contains: stringFunction('contains', (text, other = '') => text.includes(other)),
  lowerAscii: stringFunction('lowerAscii', (text) => text.toLowerCase()),
  upperAscii: stringFunction('upperAscii', (text) => text.toUpperCase()),
  trim: stringFunction('trim', (text) => text.trim()),
  split: stringFunction('split', (text, separator = '') => text.split(separator)),
  replace: stringFunction('replace', (text, from = '', to = '') => text.replaceAll(from, to)),
  find: stringFunction('find', (text, pattern = '') =>
    matches(text, pattern) ? (new RegExp(pattern, 'u').exec(text)?.[0] ?? '') : '',
  ),
  substring: ([text, start, end]) =>
    typeof text === 'string'
      ? Array.from(text)
          .slice(Number(start), end === undefined ? undefined : Number(end))
          .join('')
      : fail('substring', [text ?? null]),
  indexOf: ([target, wanted]) => {
    if (typeof target === 'string') return BigInt(target.indexOf(celText(wanted ?? null)));
    if (!Array.isArray(target)) return fail('indexOf', [target ?? null]);
    return BigInt(target.findIndex((each) => equalValues(each as CelValue, wanted ?? null)));
  },
  join: ([list, separator]) =>
    Array.isArray(list)
      ? list.map((each) => celText(each as CelValue)).join(celText(separator ?? ''))
      : fail('join', [list ?? null]),
  min: listFunction('min', (list) => extreme(list, -1)),
  max: listFunction('max', (list) => extreme(list, 1)),
  sum: listFunction('sum', sum),
  isSorted: listFunction('isSorted', (list) =>
    list.every(
      (each, index) => index === 0 || compareValues(list[index - 1] as CelValue, each) <= 0,
    ),
  ),
  isURL: stringFunction('isURL', (text) => URL.canParse(text)),
  isQuantity: stringFunction('isQuantity', (text) => parseQuantityMilli(text) !== undefined),
  quantity: stringFunction('quantity', (text) => new CelQuantity(text)),
  sign: quantityFunction('sign', (self) => BigInt(compareQuantities(self.text, '0'))),
  asInteger: quantityFunction('asInteger', (self) => parseQuantity(self.text) ?? null),
  compareTo: quantityFunction('compareTo', (self, other) =>
    BigInt(compareQuantities(self.text, other?.text)),
  ),
  isGreaterThan: quantityFunction(
    'isGreaterThan',
    (self, other) => compareQuantities(self.text, other?.text) > 0,
  ),
  isLessThan: quantityFunction(
    'isLessThan',
    (self, other) => compareQuantities(self.text, other?.text) < 0,
  ),
};

/** Whether an expression may call a function of that name. */
export function isKnownFunction(name: string): boolean {
  return Object.hasOwn(functions, name);
}

/** Calls a function. */
export function callFunction(name: string, args: readonly CelValue[]): CelValue {
  const called = functions[name];
  if (called === undefined) throw new CelError('unsupported', `function ${name} is not supported`);
  return called(args);
}
