/**
 * The messages of an exchange (NVMe Base 2.0, sections 8.13.4 and 8.13.5), little-endian. All begin with
 *
 *   0 type (0 common, 1 DH-HMAC-CHAP) | 1 id | 2 reserved (2) | 4 transaction (2)
 *
 *   negotiate  6 secure channel | 7 number of descriptors | 8 descriptors of 64 bytes: 0 protocol (1), 2 number of
 *              hashes (1), 3 number of groups (1), 4 hashes (30), 34 groups (30)
 *   challenge  6 hash length | 8 hash | 9 group | 10 value length (2) | 12 sequence number (4) | 16 challenge |
 *              value
 *   reply      6 hash length | 8 "has a challenge" | 10 value length (2) | 12 sequence number (4) | 16 response |
 *              challenge, zeros if there is none | value
 *   success1   6 hash length | 8 "has a response" | 16 response, zeros if there is none
 *   success2   16 bytes in all
 *   failure    6 reason | 7 explanation, 8 bytes in all
 *
 * Decoders take any bytes. They give undefined for what is cut, or says lengths that cannot be; bytes after a message
 * are padding.
 */
import { assert } from '@varve/common/assert';

import { type DhchapHashId, hashSizeBytes } from './dhchap-parameters.ts';

/** Type of a message in its high byte, id in its low one. */
export const DhchapMessage = {
  NEGOTIATE: 0x0000,
  FAILURE2: 0x00f0,
  FAILURE1: 0x00f1,
  CHALLENGE: 0x0101,
  REPLY: 0x0102,
  SUCCESS1: 0x0103,
  SUCCESS2: 0x0104,
} as const;

/** Explanations of a failure (section 8.13.5.7). */
export const DhchapFailure = {
  AUTHENTICATION_FAILED: 1,
  PROTOCOL_UNUSABLE: 2,
  SECURE_CHANNEL_MISMATCH: 3,
  HASH_UNUSABLE: 4,
  GROUP_UNUSABLE: 5,
  INCORRECT_PAYLOAD: 6,
  INCORRECT_MESSAGE: 7,
} as const;

/** One of the explanations. */
export type DhchapFailureId = (typeof DhchapFailure)[keyof typeof DhchapFailure];

const dhHmacChapProtocol = 1;
const failureReason = 1;
const idListOffset = { hashes: 4, groups: 34 } as const;
const idListBytes = 30;
const descriptorBytes = 64;
const fixedBytes = { head: 6, negotiate: 8, failure: 8, body: 16 } as const;

/** What every message says. */
export interface MessageHead {
  /** One of {@link DhchapMessage}, or an unknown number. */
  readonly message: number;
  readonly transactionId: number;
}

/** Decodes the beginning of a message. */
export function decodeMessageHead(bytes: Buffer): MessageHead | undefined {
  if (bytes.length < fixedBytes.head) return undefined;
  return { message: bytes.readUInt16BE(0), transactionId: bytes.readUInt16LE(4) };
}

/** What a host can do. */
export interface NegotiateMessage {
  readonly transactionId: number;
  /** 0: no secure channel is to follow. */
  readonly secureChannel: number;
  /** Undefined if the host knows other protocols only. Identifiers that nobody knows may be among them. */
  readonly hashes: readonly number[] | undefined;
  readonly groups: readonly number[];
}

/** Encodes a negotiation of one protocol. */
export function encodeNegotiate(negotiate: NegotiateMessage): Buffer {
  const { transactionId, secureChannel, hashes, groups } = negotiate;
  assert(hashes !== undefined && hashes.length <= idListBytes, 'a list of hashes that fits');
  assert(groups.length <= idListBytes, `a list of ${groups.length} groups`);
  const bytes = createMessage(DhchapMessage.NEGOTIATE, transactionId, 8 + descriptorBytes);
  bytes.writeUInt8(secureChannel, 6);
  bytes.writeUInt8(1, 7);
  const descriptor = bytes.subarray(fixedBytes.negotiate);
  descriptor.writeUInt8(dhHmacChapProtocol, 0);
  descriptor.writeUInt8(hashes.length, 2);
  descriptor.writeUInt8(groups.length, 3);
  descriptor.set(hashes, idListOffset.hashes);
  descriptor.set(groups, idListOffset.groups);
  return bytes;
}

/** Decodes a negotiation; of its descriptors, the first of DH-HMAC-CHAP counts. */
export function decodeNegotiate(bytes: Buffer): NegotiateMessage | undefined {
  if (bytes.length < fixedBytes.negotiate) return undefined;
  const transactionId = bytes.readUInt16LE(4);
  const secureChannel = bytes.readUInt8(6);
  const count = bytes.readUInt8(7);
  const descriptors = bytes.subarray(fixedBytes.negotiate);
  if (descriptors.length < count * descriptorBytes) return undefined;
  for (let index = 0; index < count; index++) {
    const descriptor = descriptors.subarray(index * descriptorBytes, (index + 1) * descriptorBytes);
    if (descriptor[0] !== dhHmacChapProtocol) continue;
    const hashCount = descriptor.readUInt8(2);
    const groupCount = descriptor.readUInt8(3);
    if (hashCount > idListBytes || groupCount > idListBytes) return undefined;
    const hashes = [...descriptor.subarray(idListOffset.hashes, idListOffset.hashes + hashCount)];
    const groups = [...descriptor.subarray(idListOffset.groups, idListOffset.groups + groupCount)];
    return { transactionId, secureChannel, hashes, groups };
  }
  return { transactionId, secureChannel, hashes: undefined, groups: [] };
}

/** What a controller has chosen, and its challenge. */
export interface ChallengeMessage {
  readonly transactionId: number;
  readonly hash: number;
  readonly group: number;
  readonly sequenceNumber: number;
  readonly challenge: Buffer;
  /** The controller's public value; empty without a group. */
  readonly publicValue: Buffer;
}

/** Encodes a challenge. */
export function encodeChallenge(message: ChallengeMessage): Buffer {
  const { challenge, publicValue } = message;
  const sizeBytes = fixedBytes.body + challenge.length + publicValue.length;
  const bytes = createMessage(DhchapMessage.CHALLENGE, message.transactionId, sizeBytes);
  bytes.writeUInt8(challenge.length, 6);
  bytes.writeUInt8(message.hash, 8);
  bytes.writeUInt8(message.group, 9);
  bytes.writeUInt16LE(publicValue.length, 10);
  bytes.writeUInt32LE(message.sequenceNumber, 12);
  bytes.set(challenge, fixedBytes.body);
  bytes.set(publicValue, fixedBytes.body + challenge.length);
  return bytes;
}

/** Decodes a challenge. That it is as long as its hash is the reader's to check. */
export function decodeChallenge(bytes: Buffer): ChallengeMessage | undefined {
  if (bytes.length < fixedBytes.body) return undefined;
  const valueStart = fixedBytes.body + bytes.readUInt8(6);
  const valueEnd = valueStart + bytes.readUInt16LE(10);
  if (bytes.length < valueEnd) return undefined;
  return {
    transactionId: bytes.readUInt16LE(4),
    hash: bytes.readUInt8(8),
    group: bytes.readUInt8(9),
    sequenceNumber: bytes.readUInt32LE(12),
    challenge: bytes.subarray(fixedBytes.body, valueStart),
    publicValue: bytes.subarray(valueStart, valueEnd),
  };
}

/** The host's proof, and its challenge if the controller must prove itself too. */
export interface ReplyMessage {
  readonly transactionId: number;
  readonly sequenceNumber: number;
  readonly response: Buffer;
  readonly challenge: Buffer | undefined;
  /** The host's public value; empty without a group. */
  readonly publicValue: Buffer;
}

/** Encodes a reply. */
export function encodeReply(message: ReplyMessage): Buffer {
  const { response, challenge, publicValue } = message;
  const hashBytes = response.length;
  assert(
    challenge === undefined || challenge.length === hashBytes,
    'a challenge like the response',
  );
  const sizeBytes = fixedBytes.body + 2 * hashBytes + publicValue.length;
  const bytes = createMessage(DhchapMessage.REPLY, message.transactionId, sizeBytes);
  bytes.writeUInt8(hashBytes, 6);
  bytes.writeUInt8(challenge === undefined ? 0 : 1, 8);
  bytes.writeUInt16LE(publicValue.length, 10);
  bytes.writeUInt32LE(message.sequenceNumber, 12);
  bytes.set(response, fixedBytes.body);
  if (challenge !== undefined) bytes.set(challenge, fixedBytes.body + hashBytes);
  bytes.set(publicValue, fixedBytes.body + 2 * hashBytes);
  return bytes;
}

/** Decodes a reply whose response is as long as the agreed hash; with any other length it is none. */
export function decodeReply(bytes: Buffer, hash: DhchapHashId): ReplyMessage | undefined {
  const hashBytes = hashSizeBytes(hash);
  const valueStart = fixedBytes.body + 2 * hashBytes;
  if (bytes.length < valueStart || bytes.readUInt8(6) !== hashBytes) return undefined;
  const valueEnd = valueStart + bytes.readUInt16LE(10);
  if (bytes.length < valueEnd) return undefined;
  const challenge = bytes.subarray(fixedBytes.body + hashBytes, valueStart);
  return {
    transactionId: bytes.readUInt16LE(4),
    sequenceNumber: bytes.readUInt32LE(12),
    response: bytes.subarray(fixedBytes.body, fixedBytes.body + hashBytes),
    challenge: bytes.readUInt8(8) === 0 ? undefined : challenge,
    publicValue: bytes.subarray(valueStart, valueEnd),
  };
}

/** "The host is who it says", and the controller's proof if it was asked for. */
export interface Success1Message {
  readonly transactionId: number;
  readonly response: Buffer | undefined;
}

/** Encodes a success of the controller. */
export function encodeSuccess1(message: Success1Message, hash: DhchapHashId): Buffer {
  const { transactionId, response } = message;
  const hashBytes = hashSizeBytes(hash);
  const bytes = createMessage(DhchapMessage.SUCCESS1, transactionId, fixedBytes.body + hashBytes);
  bytes.writeUInt8(hashBytes, 6);
  bytes.writeUInt8(response === undefined ? 0 : 1, 8);
  if (response !== undefined) bytes.set(response, fixedBytes.body);
  return bytes;
}

/** Decodes a success of the controller. */
export function decodeSuccess1(bytes: Buffer, hash: DhchapHashId): Success1Message | undefined {
  const end = fixedBytes.body + hashSizeBytes(hash);
  if (bytes.length < fixedBytes.body) return undefined;
  const transactionId = bytes.readUInt16LE(4);
  if (bytes.readUInt8(8) === 0) return { transactionId, response: undefined };
  if (bytes.readUInt8(6) !== hashSizeBytes(hash) || bytes.length < end) return undefined;
  return { transactionId, response: bytes.subarray(fixedBytes.body, end) };
}

/** Encodes the host's "the controller is who it says". */
export function encodeSuccess2(transactionId: number): Buffer {
  return createMessage(DhchapMessage.SUCCESS2, transactionId, fixedBytes.body);
}

/** Encodes a failure: FAILURE1 is the controller's, FAILURE2 the host's. */
export function encodeFailure(
  message: typeof DhchapMessage.FAILURE1 | typeof DhchapMessage.FAILURE2,
  transactionId: number,
  failure: DhchapFailureId,
): Buffer {
  const bytes = createMessage(message, transactionId, fixedBytes.failure);
  bytes.writeUInt8(failureReason, 6);
  bytes.writeUInt8(failure, 7);
  return bytes;
}

/** The explanation of a failure of either side: one of {@link DhchapFailure}, or an unknown number. */
export function decodeFailure(bytes: Buffer): number | undefined {
  return bytes.length < fixedBytes.failure ? undefined : bytes.readUInt8(7);
}

function createMessage(message: number, transactionId: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  bytes.writeUInt16BE(message, 0);
  bytes.writeUInt16LE(transactionId, 4);
  return bytes;
}
