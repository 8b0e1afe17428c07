/**
 * The controller's side of DH-HMAC-CHAP on one queue (NVMe Base 2.0, section 8.13.5), without I/O:
 *
 *   host                                     controller
 *   send negotiate        ----------------->  chooses hash and group
 *   receive               <-----------------  challenge, public value
 *   send reply            ----------------->  judges the response
 *   receive               <-----------------  success1, with a response of its own if it was challenged
 *   send success2         ----------------->  if so
 *
 * `receive` takes what an Authentication Send brings, `take` gives what the next Authentication Receive gets. Whatever
 * is wrong ends in a FAILURE1 to take; then the connection must be closed. A host may negotiate again on a queue that
 * is authenticated, which stays so meanwhile.
 */
import { randomBytes } from 'node:crypto';

import { assert } from '@varve/common/assert';

import { dhchapNegotiationsMax } from '../../limits.ts';
import { computeSharedSecret, type DhKey, generateDhKey } from './dh-group.ts';
import {
  decodeFailure,
  decodeMessageHead,
  decodeNegotiate,
  decodeReply,
  DhchapFailure,
  type DhchapFailureId,
  DhchapMessage,
  encodeChallenge,
  encodeFailure,
  encodeSuccess1,
  type NegotiateMessage,
} from './dhchap-messages.ts';
import {
  DhchapGroup,
  type DhchapGroupId,
  DhchapHash,
  type DhchapHashId,
  hashSizeBytes,
} from './dhchap-parameters.ts';
import { controllerResponse, hostResponse, isSameResponse } from './dhchap-response.ts';
import { type DhchapSecret, transformKey } from './dhchap-secret.ts';
import { randomSequenceNumber } from './sequence-number.ts';

/** Who proves itself to whom, and how. */
export interface DhchapControllerOptions {
  readonly hostNqn: string;
  readonly subsystemNqn: string;
  /** What the host must know. */
  readonly hostSecret: DhchapSecret;
  /** By which the controller proves itself to a host that asks; one that asks in vain is refused. */
  readonly controllerSecret?: DhchapSecret | undefined;
  /** Hash functions that may be chosen, the best first. */
  readonly hashes?: readonly DhchapHashId[] | undefined;
  /** Groups that may be chosen, the best first. */
  readonly groups?: readonly DhchapGroupId[] | undefined;
}

/** Where an exchange stands. `failed` is final. */
export type DhchapControllerState = 'idle' | 'challenged' | 'proving' | 'done' | 'failed';

const defaultHashes = [DhchapHash.SHA_512, DhchapHash.SHA_384, DhchapHash.SHA_256] as const;
/** 2048 bits are beyond anybody's reach; larger groups only cost the reactor time, and no group protects weak keys. */
const defaultGroups = [
  DhchapGroup.FFDHE_2048,
  DhchapGroup.FFDHE_3072,
  DhchapGroup.FFDHE_4096,
  DhchapGroup.FFDHE_6144,
  DhchapGroup.FFDHE_8192,
  DhchapGroup.NULL,
] as const;

/** What was chosen, and what the host's response is judged by. */
interface OpenChallenge {
  readonly secureChannel: number;
  readonly hash: DhchapHashId;
  readonly group: DhchapGroupId;
  readonly dhKey: DhKey | undefined;
  readonly challenge: Buffer;
  readonly sequenceNumber: number;
}

/** One queue's exchange. */
export class DhchapController {
  readonly #options: DhchapControllerOptions;
  readonly #random: (sizeBytes: number) => Buffer;
  #state: DhchapControllerState = 'idle';
  #isAuthenticated = false;
  #failure: DhchapFailureId | undefined;
  #negotiations = 0;
  #transactionId = 0;
  #challenge: OpenChallenge | undefined;
  #outgoing: Buffer | undefined;

  constructor(
    options: DhchapControllerOptions,
    dependencies: { readonly random: (sizeBytes: number) => Buffer } = { random: randomBytes },
  ) {
    this.#options = options;
    this.#random = dependencies.random;
  }

  /** Where the exchange stands. */
  get state(): DhchapControllerState {
    return this.#state;
  }

  /** True once the host has proved itself, and the controller too if it had to; false again after a failure. */
  get isAuthenticated(): boolean {
    return this.#isAuthenticated;
  }

  /** Why it failed. */
  get failure(): DhchapFailureId | undefined {
    return this.#failure;
  }

  /** Takes a message of the host: any bytes. */
  receive(bytes: Buffer): void {
    const head = decodeMessageHead(bytes);
    if (this.#state === 'failed') return;
    if (head === undefined) return this.#fail(DhchapFailure.INCORRECT_PAYLOAD);
    if (head.message === DhchapMessage.NEGOTIATE) return this.#negotiate(bytes);
    if (head.transactionId !== this.#transactionId) {
      return this.#fail(DhchapFailure.INCORRECT_PAYLOAD);
    }
    switch (head.message) {
      case DhchapMessage.REPLY:
        if (this.#state === 'challenged' && this.#outgoing === undefined) {
          return this.#judge(bytes);
        }
        return this.#fail(DhchapFailure.INCORRECT_MESSAGE);
      case DhchapMessage.SUCCESS2:
        if (this.#state === 'proving' && this.#outgoing === undefined) return this.#succeed();
        return this.#fail(DhchapFailure.INCORRECT_MESSAGE);
      case DhchapMessage.FAILURE2:
        return this.#fail(failureOf(decodeFailure(bytes)));
      default:
        return this.#fail(DhchapFailure.INCORRECT_MESSAGE);
    }
  }

  /**
   * The message that is due, to be padded with zeros to what the host has room for. Undefined if the host has no room
   * even for a failure.
   */
  take(roomBytes: number): Buffer | undefined {
    const due = this.#outgoing;
    if (due === undefined) this.#fail(DhchapFailure.INCORRECT_MESSAGE);
    else if (due.length > roomBytes) this.#fail(DhchapFailure.INCORRECT_PAYLOAD);
    const message = this.#outgoing;
    assert(message !== undefined, 'a failure is always due');
    if (message.length > roomBytes) return undefined;
    // A failure may be asked for again; anything else is said once.
    if (this.#state !== 'failed') this.#outgoing = undefined;
    return message;
  }

  #negotiate(bytes: Buffer): void {
    const negotiate = decodeNegotiate(bytes);
    if (negotiate === undefined) return this.#fail(DhchapFailure.INCORRECT_PAYLOAD);
    this.#transactionId = negotiate.transactionId;
    this.#negotiations++;
    if (this.#negotiations > dhchapNegotiationsMax) {
      return this.#fail(DhchapFailure.AUTHENTICATION_FAILED);
    }
    if (negotiate.secureChannel !== 0) return this.#fail(DhchapFailure.SECURE_CHANNEL_MISMATCH);
    if (negotiate.hashes === undefined) return this.#fail(DhchapFailure.PROTOCOL_UNUSABLE);
    return this.#challengeHost(negotiate, negotiate.hashes);
  }

  #challengeHost(negotiate: NegotiateMessage, offeredHashes: readonly number[]): void {
    const { hashes = defaultHashes, groups = defaultGroups } = this.#options;
    const hash = hashes.find((id) => offeredHashes.includes(id));
    if (hash === undefined) return this.#fail(DhchapFailure.HASH_UNUSABLE);
    const group = groups.find((id) => negotiate.groups.includes(id));
    if (group === undefined) return this.#fail(DhchapFailure.GROUP_UNUSABLE);
    const dhKey = group === DhchapGroup.NULL ? undefined : generateDhKey(group);
    const challenge = this.#random(hashSizeBytes(hash));
    const sequenceNumber = randomSequenceNumber(this.#random);
    const { secureChannel, transactionId } = negotiate;
    this.#challenge = { secureChannel, hash, group, dhKey, challenge, sequenceNumber };
    this.#outgoing = encodeChallenge({
      transactionId,
      hash,
      group,
      sequenceNumber,
      challenge,
      publicValue: dhKey?.publicValue ?? Buffer.of(),
    });
    this.#state = 'challenged';
  }

  #judge(bytes: Buffer): void {
    const open = this.#challenge;
    assert(open !== undefined, 'challenged without a challenge');
    const reply = decodeReply(bytes, open.hash);
    if (reply === undefined) return this.#fail(DhchapFailure.INCORRECT_PAYLOAD);
    const { hostNqn, subsystemNqn, hostSecret, controllerSecret } = this.#options;
    let sharedSecret: Buffer | undefined;
    if (open.dhKey !== undefined) {
      sharedSecret = computeSharedSecret(open.dhKey, reply.publicValue);
      if (sharedSecret === undefined) return this.#fail(DhchapFailure.GROUP_UNUSABLE);
    } else if (reply.publicValue.length > 0) {
      return this.#fail(DhchapFailure.INCORRECT_PAYLOAD);
    }
    const common = { ...open, sharedSecret, hostNqn, subsystemNqn };
    const input = { ...common, transactionId: this.#transactionId };
    const expected = hostResponse({ ...input, key: transformKey(hostSecret, hostNqn) });
    if (!isSameResponse(reply.response, expected)) {
      return this.#fail(DhchapFailure.AUTHENTICATION_FAILED);
    }
    // Sequence number 0 says: the challenge is for a key of a secure channel, not to be answered.
    const { challenge } = reply;
    if (challenge === undefined || reply.sequenceNumber === 0) {
      this.#say(open.hash, undefined);
      return this.#succeed();
    }
    if (controllerSecret === undefined) return this.#fail(DhchapFailure.AUTHENTICATION_FAILED);
    const key = transformKey(controllerSecret, subsystemNqn);
    const { sequenceNumber } = reply;
    this.#say(open.hash, controllerResponse({ ...input, key, challenge, sequenceNumber }));
    this.#state = 'proving';
  }

  #say(hash: DhchapHashId, response: Buffer | undefined): void {
    this.#outgoing = encodeSuccess1({ transactionId: this.#transactionId, response }, hash);
    this.#challenge = undefined;
  }

  #succeed(): void {
    this.#isAuthenticated = true;
    this.#negotiations = 0;
    this.#state = 'done';
  }

  #fail(failure: DhchapFailureId): void {
    if (this.#state === 'failed') return;
    this.#state = 'failed';
    this.#isAuthenticated = false;
    this.#failure = failure;
    this.#challenge = undefined;
    this.#outgoing = encodeFailure(DhchapMessage.FAILURE1, this.#transactionId, failure);
  }
}

/** What the host says of its failure; what is none of the known explanations is a failure nonetheless. */
function failureOf(explanation: number | undefined): DhchapFailureId {
  const known = Object.values(DhchapFailure).find((failure) => failure === explanation);
  return known ?? DhchapFailure.AUTHENTICATION_FAILED;
}
