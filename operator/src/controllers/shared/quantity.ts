import type { Quantity } from '../../kube/core-kinds.ts';

/** Quantities of bytes: what `resources.requests.storage` and `status.restoreSize` carry. */

const grammar = /^([+-]?)(\d+\.?\d*|\.\d+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,3}))?$/;

const binaryExponents: Readonly<Record<string, bigint>> = {
  Ki: 10n,
  Mi: 20n,
  Gi: 30n,
  Ti: 40n,
  Pi: 50n,
  Ei: 60n,
};

const decimalExponents: Readonly<Record<string, number>> = {
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

const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/**
 * The whole bytes of a quantity, rounded up as Kubernetes rounds. Undefined when it is not a quantity, is
 * negative, or is beyond what any volume can have (2^53 bytes).
 */
export function parseQuantityBytes(quantity: Quantity): number | undefined {
  const [, sign, digits = '', suffix, exponent] = grammar.exec(String(quantity).trim()) ?? [];
  if (sign === undefined || sign === '-') return undefined;
  const [whole = '', fraction = ''] = digits.split('.');
  let numerator = BigInt(whole + fraction);
  let denominator = 10n ** BigInt(fraction.length);
  const binary = suffix === undefined ? undefined : binaryExponents[suffix];
  if (binary !== undefined) {
    numerator <<= binary;
  } else {
    const decimal = suffix === undefined ? Number(exponent ?? 0) : (decimalExponents[suffix] ?? 0);
    if (decimal >= 0) numerator *= 10n ** BigInt(decimal);
    else denominator *= 10n ** BigInt(-decimal);
  }
  const bytes = (numerator + denominator - 1n) / denominator;
  return bytes <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(bytes) : undefined;
}

/** The form in which Kubernetes prints bytes: the largest power of 1024 that divides them (`256Mi`). */
export function formatQuantityBytes(sizeBytes: number): string {
  let value = sizeBytes;
  let power = 0;
  while (value !== 0 && value % 1024 === 0 && power < binarySuffixes.length - 1) {
    value /= 1024;
    power += 1;
  }
  return `${value}${binarySuffixes[power]}`;
}
