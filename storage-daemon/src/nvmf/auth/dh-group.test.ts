import { createHash } from 'node:crypto';

import { expect, test } from '@jest/globals';

import { computeSharedSecret, generateDhKey, groupPrime } from './dh-group.ts';
import { DhchapGroup } from './dhchap-parameters.ts';

// SHA-256 of the primes as the openssl command gives them (`openssl genpkey -algorithm DH -pkeyopt group:ffdhe2048`).
const groups = [
  [
    'ffdhe2048',
    DhchapGroup.FFDHE_2048,
    256,
    '9cd3b7f336872f46c09428d1bbc19877a4d440512cda8d1c1cf0cd6e33698966',
  ],
  [
    'ffdhe3072',
    DhchapGroup.FFDHE_3072,
    384,
    '0eaf67db3a839156d5013494a5318a772b5697d270d721f37f092efc69ea5a17',
  ],
  [
    'ffdhe4096',
    DhchapGroup.FFDHE_4096,
    512,
    '4648414224ac881b3d0dc59b466f96d06a558278776807797ecf1f66ff397b3e',
  ],
  [
    'ffdhe6144',
    DhchapGroup.FFDHE_6144,
    768,
    '227ac9066b3ddd9e193670cda2388fa884f65ba0cf98b742d1fe77a6687c79c7',
  ],
  [
    'ffdhe8192',
    DhchapGroup.FFDHE_8192,
    1024,
    '770b14efaf6f049929c523113b3fa99a8d11dab1b18af3609590122075d19833',
  ],
] as const;

function padded(value: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  bytes.writeUInt32BE(value, sizeBytes - 4);
  return bytes;
}

test.each(groups)('groupPrime() of %s is the prime of RFC 7919', (_, group, sizeBytes, hash) => {
  expect(groupPrime(group)).toHaveLength(sizeBytes);
  expect(createHash('sha256').update(groupPrime(group)).digest('hex')).toBe(hash);
});

test.each(groups)('computeSharedSecret() of %s raises to the private power', (...[, group]) => {
  const prime = groupPrime(group);
  const key = generateDhKey(group);
  const peer = generateDhKey(group);
  expect(key.publicValue).toHaveLength(prime.length);
  expect(computeSharedSecret(key, peer.publicValue)).toEqual(
    computeSharedSecret(peer, key.publicValue),
  );
  // 2^x is the public value itself, and 4^x its square.
  expect(computeSharedSecret(key, padded(2, prime.length))).toEqual(key.publicValue);
  const publicNumber = BigInt(`0x${key.publicValue.toString('hex')}`);
  const square = publicNumber ** 2n % BigInt(`0x${prime.toString('hex')}`);
  const secret = computeSharedSecret(key, padded(4, prime.length));
  expect(secret).toHaveLength(prime.length);
  expect(BigInt(`0x${secret?.toString('hex')}`)).toBe(square);
});

test.each([
  ['0', (prime: Buffer) => padded(0, prime.length)],
  ['1', (prime: Buffer) => padded(1, prime.length)],
  ['p - 1', (prime: Buffer) => withLastByte(prime, 0xfe)],
  ['p', (prime: Buffer) => prime],
  ['2^2048 - 1', (prime: Buffer) => Buffer.alloc(prime.length, 0xff)],
  ['a value that is too short', (prime: Buffer) => padded(2, prime.length - 1)],
  ['a value that is too long', (prime: Buffer) => padded(2, prime.length + 1)],
  ['nothing', () => Buffer.of()],
])('computeSharedSecret() refuses %s', (_, makeValue) => {
  const key = generateDhKey(DhchapGroup.FFDHE_2048);
  expect(computeSharedSecret(key, makeValue(groupPrime(DhchapGroup.FFDHE_2048)))).toBeUndefined();
});

function withLastByte(bytes: Buffer, last: number): Buffer {
  return Buffer.concat([bytes.subarray(0, -1), Buffer.of(last)]);
}
