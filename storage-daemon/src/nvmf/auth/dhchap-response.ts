/**
 * The responses by which host and controller prove that they know a key (NVMe Base 2.0, sections 8.13.5.4 and
 * 8.13.5.5): HMAC(key, challenge, sequence number, transaction, secure channel, role, own name, 0, other name), under
 * the hash function that the exchange agreed on.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

import { assert } from '@varve/common/assert';

import { type DhchapHashId, hashName, hashSizeBytes } from './dhchap-parameters.ts';

/** What a response proves, and to whom. */
export interface ResponseInput {
  readonly hash: DhchapHashId;
  /** The transformed key of the side that proves itself. */
  readonly key: Buffer;
  /** The challenge of the other side. */
  readonly challenge: Buffer;
  /** What both sides have computed by Diffie-Hellman; undefined without a group. */
  readonly sharedSecret: Buffer | undefined;
  /** The sequence number that came with the challenge. */
  readonly sequenceNumber: number;
  readonly transactionId: number;
  /** What the host asked for about secure channels: a byte of the negotiation. */
  readonly secureChannel: number;
  readonly hostNqn: string;
  readonly subsystemNqn: string;
}

/** The response of the host to the controller's challenge. */
export function hostResponse(input: ResponseInput): Buffer {
  return respond(input, ['HostHost', input.hostNqn, input.subsystemNqn]);
}

/** The response of the controller to the host's challenge. */
export function controllerResponse(input: ResponseInput): Buffer {
  return respond(input, ['Controller', input.subsystemNqn, input.hostNqn]);
}

/** Compares in a time that tells nothing about where two responses differ. */
export function isSameResponse(found: Buffer, expected: Buffer): boolean {
  return found.length === expected.length && timingSafeEqual(found, expected);
}

function respond(
  input: ResponseInput,
  [role, ownNqn, peerNqn]: readonly [string, string, string],
): Buffer {
  const fields = Buffer.alloc(7);
  fields.writeUInt32LE(input.sequenceNumber, 0);
  fields.writeUInt16LE(input.transactionId, 4);
  fields.writeUInt8(input.secureChannel, 6);
  return createHmac(hashName(input.hash), input.key)
    .update(augmentChallenge(input))
    .update(fields)
    .update(role)
    .update(ownNqn)
    .update(Buffer.of(0))
    .update(peerNqn)
    .digest();
}

/** Binds the challenge to the shared secret, so that who only listens cannot try out keys. */
function augmentChallenge({ hash, challenge, sharedSecret }: ResponseInput): Buffer {
  assert(challenge.length === hashSizeBytes(hash), `a challenge of ${challenge.length} bytes`);
  if (sharedSecret === undefined) return challenge;
  const sessionKey = createHash(hashName(hash)).update(sharedSecret).digest();
  return createHmac(hashName(hash), sessionKey).update(challenge).digest();
}
