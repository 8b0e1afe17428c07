import { expect, test } from '@jest/globals';

import {
  decodeChallenge,
  decodeFailure,
  decodeMessageHead,
  decodeNegotiate,
  decodeReply,
  decodeSuccess1,
  DhchapFailure,
  DhchapMessage,
  encodeChallenge,
  encodeFailure,
  encodeNegotiate,
  encodeReply,
  encodeSuccess1,
  encodeSuccess2,
} from './dhchap-messages.ts';
import { DhchapHash } from './dhchap-parameters.ts';

const challenge = Buffer.alloc(32, 0xc1);
const response = Buffer.alloc(32, 0xa1);
const publicValue = Buffer.alloc(256, 0xd1);

test('encodeNegotiate() writes the bytes of the specification', () => {
  const bytes = encodeNegotiate({
    transactionId: 0x1234,
    secureChannel: 0,
    hashes: [1, 2, 3],
    groups: [0, 1, 2, 3, 4, 5],
  });
  expect(bytes).toHaveLength(72);
  expect(bytes.toString('hex')).toBe(
    '00000000' + // common message 0
      '3412' + // transaction
      '0001' + // no secure channel, one descriptor
      '01000306' + // DH-HMAC-CHAP, three hashes, six groups
      `010203${'00'.repeat(27)}` +
      `000102030405${'00'.repeat(24)}`,
  );
});

test('decodeNegotiate() finds the protocol among others, and says if there is none', () => {
  const ours = { transactionId: 7, secureChannel: 1, hashes: [3, 77], groups: [0] };
  const message = encodeNegotiate(ours);
  expect(decodeNegotiate(message)).toEqual(ours);
  const other = Buffer.alloc(64);
  other.writeUInt8(9, 0);
  const both = Buffer.concat([message.subarray(0, 8), other, message.subarray(8)]);
  both.writeUInt8(2, 7);
  expect(decodeNegotiate(both)).toEqual(ours);
  both.writeUInt8(1, 7);
  expect(decodeNegotiate(both)).toMatchObject({ hashes: undefined });
});

test('encodeChallenge() writes the bytes of the specification', () => {
  const message = {
    transactionId: 0x1234,
    hash: 1,
    group: 1,
    sequenceNumber: 0x01020304,
    challenge,
    publicValue,
  };
  const bytes = encodeChallenge(message);
  expect(bytes.toString('hex')).toBe(
    `01010000341220000101000104030201${'c1'.repeat(32)}${'d1'.repeat(256)}`,
  );
  expect(decodeChallenge(bytes)).toEqual(message);
  expect(decodeChallenge(Buffer.concat([bytes, Buffer.alloc(100)]))).toEqual(message);
});

test('encodeReply() writes the bytes of the specification', () => {
  const message = {
    transactionId: 0x1234,
    sequenceNumber: 0x01020304,
    response,
    challenge,
    publicValue,
  };
  const bytes = encodeReply(message);
  expect(bytes.toString('hex')).toBe(
    `01020000341220000100000104030201${'a1'.repeat(32)}${'c1'.repeat(32)}${'d1'.repeat(256)}`,
  );
  expect(decodeReply(bytes, DhchapHash.SHA_256)).toEqual(message);
});

test('encodeReply() keeps the place of a challenge that is not there', () => {
  const message = {
    transactionId: 1,
    sequenceNumber: 0,
    response,
    challenge: undefined,
    publicValue,
  };
  const bytes = encodeReply(message);
  expect(bytes).toHaveLength(16 + 64 + 256);
  expect(bytes.readUInt8(8)).toBe(0);
  expect(decodeReply(bytes, DhchapHash.SHA_256)).toEqual(message);
});

test.each([response, undefined])('encodeSuccess1() round trip %#', (given) => {
  const message = { transactionId: 0x1234, response: given };
  const bytes = encodeSuccess1(message, DhchapHash.SHA_256);
  expect(bytes.toString('hex')).toBe(
    `01030000341220000${given === undefined ? '0' : '1'}${'00'.repeat(7)}${(given ?? Buffer.alloc(32)).toString('hex')}`,
  );
  expect(decodeSuccess1(bytes, DhchapHash.SHA_256)).toEqual(message);
});

test('encodeSuccess2() and encodeFailure() write the bytes of the specification', () => {
  expect(encodeSuccess2(0x1234).toString('hex')).toBe(`010400003412${'00'.repeat(10)}`);
  const failure = encodeFailure(DhchapMessage.FAILURE1, 0x1234, DhchapFailure.GROUP_UNUSABLE);
  expect(failure.toString('hex')).toBe('00f1000034120105');
  expect(decodeFailure(failure)).toBe(DhchapFailure.GROUP_UNUSABLE);
  expect(decodeMessageHead(failure)).toEqual({
    message: DhchapMessage.FAILURE1,
    transactionId: 0x1234,
  });
});

test.each([
  [
    'negotiate',
    encodeNegotiate({ transactionId: 1, secureChannel: 0, hashes: [1], groups: [0] }),
    decodeNegotiate,
  ],
  [
    'challenge',
    encodeChallenge({
      transactionId: 1,
      hash: 1,
      group: 1,
      sequenceNumber: 1,
      challenge,
      publicValue,
    }),
    decodeChallenge,
  ],
  [
    'reply',
    encodeReply({ transactionId: 1, sequenceNumber: 1, response, challenge, publicValue }),
    (bytes: Buffer) => decodeReply(bytes, DhchapHash.SHA_256),
  ],
  [
    'success1',
    encodeSuccess1({ transactionId: 1, response }, DhchapHash.SHA_256),
    (bytes: Buffer) => decodeSuccess1(bytes, DhchapHash.SHA_256),
  ],
  ['failure', encodeFailure(DhchapMessage.FAILURE2, 1, 1), decodeFailure],
  ['head', Buffer.alloc(6), decodeMessageHead],
])('the decoder of %s refuses a message that is cut anywhere', (_, whole, decode) => {
  expect(decode(whole)).toBeDefined();
  for (let sizeBytes = 0; sizeBytes < whole.length; sizeBytes++) {
    expect(decode(whole.subarray(0, sizeBytes))).toBeUndefined();
  }
});

test('decodeReply() refuses the length of another hash, also none', () => {
  const bytes = encodeReply({
    transactionId: 1,
    sequenceNumber: 1,
    response,
    challenge,
    publicValue,
  });
  expect(decodeReply(bytes, DhchapHash.SHA_384)).toBeUndefined();
  bytes.writeUInt8(0, 6);
  expect(decodeReply(bytes, DhchapHash.SHA_256)).toBeUndefined();
});

test('decodeNegotiate() refuses lists that are longer than their place', () => {
  const bytes = encodeNegotiate({ transactionId: 1, secureChannel: 0, hashes: [1], groups: [0] });
  bytes.writeUInt8(31, 10);
  expect(decodeNegotiate(bytes)).toBeUndefined();
  bytes.writeUInt8(1, 10);
  bytes.writeUInt8(31, 11);
  expect(decodeNegotiate(bytes)).toBeUndefined();
});
