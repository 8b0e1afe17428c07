/**
 * Quantities are stored in one form each, whatever the client wrote, as in Kubernetes: `1024Mi` is `1Gi`,
 * 1073741824 is "1073741824".
 */
import {
  asObject,
  isObject,
  type Json,
  type MutableJsonObject,
  textOf,
} from '../../objects/json.ts';
import { parseQuantityMilli } from '../../objects/quantity.ts';

const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const decimalSuffixes = ['m', '', 'k', 'M', 'G', 'T', 'P', 'E'];

/** The canonical form of a quantity: the largest suffix of the same sort (binary or decimal) that divides it. */
export function canonicalQuantity(value: Json): Json {
  const milli = parseQuantityMilli(value);
  if (milli === undefined) return value;
  const isBinary = /[KMGTPE]i$/.test(textOf(value));
  const isExponent = /[eE][+-]?\d+$/.test(textOf(value));
  if (isExponent) return textOf(value);
  if (isBinary && milli % 1000n === 0n) return scaled(milli / 1000n, 1024n, binarySuffixes);
  return scaled(milli, 1000n, decimalSuffixes);
}

function scaled(amount: bigint, step: bigint, suffixes: readonly string[]): string {
  let rest = amount;
  let index = 0;
  while (rest !== 0n && rest % step === 0n && index < suffixes.length - 1) {
    rest /= step;
    index++;
  }
  if (rest === 0n) return '0';
  return `${rest}${suffixes[index]}`;
}

/** Makes the quantities of a map at a path canonical; the objects on the way are copied. */
export function canonicalQuantities(target: MutableJsonObject, ...path: readonly string[]): void {
  const [member, ...rest] = path;
  if (member === undefined || !isObject(target[member])) return;
  const inner: MutableJsonObject = { ...asObject(target[member]) };
  target[member] = inner;
  if (rest.length > 0) {
    canonicalQuantities(inner, ...rest);
    return;
  }
  for (const [key, value] of Object.entries(inner)) {
    if (value !== undefined) inner[key] = canonicalQuantity(value);
  }
}
