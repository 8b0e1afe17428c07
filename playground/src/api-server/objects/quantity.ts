/**
 * Quantities (`256Mi`, `1.5G`, `2e3`): k8s.io/apimachinery `resource.Quantity`, as far as comparing and
 * rounding to whole units needs it. Values are exact: thousandths as a bigint, finer digits round up, as Go's
 * does.
 */

const grammar =
  /^([+-]?)(\d+)?(?:\.(\d*))?(?:(n|u|m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)|[eE]([+-]?\d+))?$/;

const binaryPowers: Readonly<Record<string, number>> = { Ki: 1, Mi: 2, Gi: 3, Ti: 4, Pi: 5, Ei: 6 };
const decimalPowers: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};

/** Exponents beyond this have no use as a size, and 10 ** 1e9 would be a way to stop the server. */
const exponentMax = 40;

/** The value in thousandths, rounded up; undefined if the text is no quantity. */
export function parseQuantityMilli(text: unknown): bigint | undefined {
  if (typeof text === 'bigint') return text * 1000n;
  if (typeof text === 'number') return parseQuantityMilli(String(text));
  if (typeof text !== 'string') return undefined;
  const match = grammar.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = '', suffix = '', exponentText] = match;
  if (whole === '' && fraction === '') return undefined;
  const exponent = exponentText === undefined ? (decimalPowers[suffix] ?? 0) : Number(exponentText);
  if (Math.abs(exponent) > exponentMax) return undefined;
  const digits = BigInt(`${whole}${fraction}`) * 1024n ** BigInt(binaryPowers[suffix] ?? 0);
  const power = exponent + 3 - fraction.length;
  const magnitude = power >= 0 ? digits * 10n ** BigInt(power) : ceilDivide(digits, -power);
  return sign === '-' ? -magnitude : magnitude;
}

function ceilDivide(digits: bigint, power: number): bigint {
  const divisor = 10n ** BigInt(power);
  return (digits + divisor - 1n) / divisor;
}

/** The value rounded up to whole units; undefined if the text is no quantity. */
export function parseQuantity(text: unknown): bigint | undefined {
  const milli = parseQuantityMilli(text);
  if (milli === undefined) return undefined;
  return milli >= 0n ? (milli + 999n) / 1000n : milli / 1000n;
}

/**
 * Below zero, zero or above, as the first is smaller than, equal to or larger than the second; undefined
 * counts as zero.
 */
export function compareQuantities(left: unknown, right: unknown): number {
  const difference = (parseQuantityMilli(left) ?? 0n) - (parseQuantityMilli(right) ?? 0n);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}
