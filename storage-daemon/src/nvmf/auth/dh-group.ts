/**
 * Diffie-Hellman over the groups of RFC 7919, appendix A. Each of its primes is defined, for a length of b bits, as
 *
 *   2^b - 2^(b-64) + (floor(2^(b-130) e) + X) 2^64 - 1
 *
 * with the base of natural logarithms e and a small X of its own; the generator is 2. The primes are computed from
 * that, once, when the module is loaded (about 3 ms): a formula can be read, six thousand digits cannot.
 *
 * Keys are given to node:crypto in DER, because `createDiffieHellman` first proves the prime prime, which takes
 * more than a minute for 8192 bits. OpenSSL knows these primes by sight and picks short private exponents for them.
 */
import { createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';

import { assert } from '@varve/common/assert';

import { decodeDhPublicValue, encodeDhPublicKey } from './dh-public-key.ts';
import { DhchapGroup, type DhchapGroupId } from './dhchap-parameters.ts';

/** A group with a prime. */
export type FiniteFieldGroupId = Exclude<DhchapGroupId, typeof DhchapGroup.NULL>;

const definitions: readonly { readonly group: FiniteFieldGroupId; sizeBits: number; x: bigint }[] =
  [
    { group: DhchapGroup.FFDHE_2048, sizeBits: 2048, x: 560_316n },
    { group: DhchapGroup.FFDHE_3072, sizeBits: 3072, x: 2_625_351n },
    { group: DhchapGroup.FFDHE_4096, sizeBits: 4096, x: 5_736_041n },
    { group: DhchapGroup.FFDHE_6144, sizeBits: 6144, x: 15_705_020n },
    { group: DhchapGroup.FFDHE_8192, sizeBits: 8192, x: 10_965_728n },
  ];

/** @types/node does not know this one of the overloads that Node.js documents. */
const generateDhKeyPair = generateKeyPairSync as unknown as (
  type: 'dh',
  options: { readonly prime: Buffer; readonly generator: number },
) => { readonly privateKey: KeyObject; readonly publicKey: KeyObject };

const sizeBitsMax = 8192;
const primes: ReadonlyMap<FiniteFieldGroupId, Buffer> = computePrimes();

/** The prime of a group, highest byte first. Its length is that of public values and of shared secrets. */
export function groupPrime(group: FiniteFieldGroupId): Buffer {
  const prime = primes.get(group);
  assert(prime !== undefined, `${group} is no group with a prime`);
  return prime;
}

/** One side's key for one exchange. */
export interface DhKey {
  readonly group: FiniteFieldGroupId;
  /** What the other side is sent. */
  readonly publicValue: Buffer;
  readonly privateKey: KeyObject;
}

/** Makes a key. Takes 1 ms (2048 bits) to 7 ms (8192 bits) of the calling thread. */
export function generateDhKey(group: FiniteFieldGroupId): DhKey {
  const prime = groupPrime(group);
  const { privateKey, publicKey } = generateDhKeyPair('dh', { prime, generator: 2 });
  const value = decodeDhPublicValue(publicKey.export({ format: 'der', type: 'spki' }));
  return { group, publicValue: leftPad(value, prime.length), privateKey };
}

/**
 * The secret that both sides then know, as long as the prime. Undefined if the other side's value is none: not as
 * long as the prime, or one of 0, 1, p - 1 and above, whose powers anybody can tell.
 */
export function computeSharedSecret(key: DhKey, peerValue: Buffer): Buffer | undefined {
  const prime = groupPrime(key.group);
  if (peerValue.length !== prime.length) return undefined;
  const peer = toNumber(peerValue);
  if (peer < 2n || peer > toNumber(prime) - 2n) return undefined;
  const publicKey = createPublicKey({
    key: encodeDhPublicKey(prime, peerValue),
    format: 'der',
    type: 'spki',
  });
  return leftPad(diffieHellman({ privateKey: key.privateKey, publicKey }), prime.length);
}

function toNumber(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}

function leftPad(bytes: Buffer, sizeBytes: number): Buffer {
  return Buffer.concat([Buffer.alloc(sizeBytes - bytes.length), bytes]);
}

function computePrimes(): ReadonlyMap<FiniteFieldGroupId, Buffer> {
  const e = scaledE(sizeBitsMax - 130);
  return new Map(
    definitions.map(({ group, sizeBits, x }) => {
      const bits = BigInt(sizeBits);
      const middle = (e >> BigInt(sizeBitsMax - sizeBits)) + x;
      const prime = (1n << bits) - (1n << (bits - 64n)) + (middle << 64n) - 1n;
      return [group, Buffer.from(prime.toString(16), 'hex')];
    }),
  );
}

/** floor(2^bits e), from e = 1/0! + 1/1! + 1/2! + ... with 64 bits more, so that cut terms do not reach the result. */
function scaledE(bits: number): bigint {
  const guardBits = 64n;
  let term = 1n << (BigInt(bits) + guardBits);
  let sum = 0n;
  for (let divisor = 1n; term > 0n; divisor++) {
    sum += term;
    term /= divisor;
  }
  return sum >> guardBits;
}
