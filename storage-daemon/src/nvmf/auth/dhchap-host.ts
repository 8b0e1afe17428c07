/**
 * The host's side of DH-HMAC-CHAP on one queue, without I/O: `negotiate` gives the first message; `answer` takes what
 * the controller says to each and gives what is to be sent next, if anything.
 */
import { randomBytes } from 'node:crypto';

import { assert } from '@varve/common/assert';

import { computeSharedSecret, generateDhKey } from './dh-group.ts';
import {
  type ChallengeMessage,
  decodeChallenge,
  decodeFailure,
  decodeMessageHead,
  decodeSuccess1,
  DhchapFailure,
  type DhchapFailureId,
  DhchapMessage,
  encodeFailure,
  encodeNegotiate,
  encodeReply,
  encodeSuccess2,
} from './dhchap-messages.ts';
import {
  DhchapGroup,
  type DhchapGroupId,
  DhchapHash,
  type DhchapHashId,
  hashSizeBytes,
  isGroupId,
  isHashId,
} from './dhchap-parameters.ts';
import {
  controllerResponse,
  hostResponse,
  isSameResponse,
  type ResponseInput,
} from './dhchap-response.ts';
import { type DhchapSecret, transformKey } from './dhchap-secret.ts';
import { randomSequenceNumber } from './sequence-number.ts';

/** Who proves itself to whom, and what is offered. */
export interface DhchapHostOptions {
  readonly hostNqn: string;
  readonly subsystemNqn: string;
  readonly hostSecret: DhchapSecret;
  /** What the controller must know; without it, it need not prove itself. */
  readonly controllerSecret?: DhchapSecret | undefined;
  readonly hashes?: readonly DhchapHashId[];
  readonly groups?: readonly DhchapGroupId[];
  readonly transactionId?: number;
}

/** Where an exchange stands; `done` and `failed` are final. */
export type DhchapHostState = 'negotiating' | 'replied' | 'done' | 'failed';

/** One queue's exchange. */
export class DhchapHost {
  readonly #options: DhchapHostOptions;
  readonly #random: (sizeBytes: number) => Buffer;
  readonly #transactionId: number;
  #state: DhchapHostState = 'negotiating';
  #failure: number | undefined;
  /** How the controller must answer our challenge. */
  #expected: { readonly hash: DhchapHashId; readonly response: Buffer | undefined } | undefined;

  constructor(
    options: DhchapHostOptions,
    dependencies: { readonly random: (sizeBytes: number) => Buffer } = { random: randomBytes },
  ) {
    this.#options = options;
    this.#random = dependencies.random;
    this.#transactionId = options.transactionId ?? 1;
  }

  /** Where the exchange stands. */
  get state(): DhchapHostState {
    return this.#state;
  }

  /** Why it failed, by the word of whoever found it. */
  get failure(): number | undefined {
    return this.#failure;
  }

  /** The message to begin with. */
  negotiate(): Buffer {
    const { hashes = Object.values(DhchapHash), groups = Object.values(DhchapGroup) } =
      this.#options;
    return encodeNegotiate({
      transactionId: this.#transactionId,
      secureChannel: 0,
      hashes,
      groups,
    });
  }

  /** Takes a message of the controller, and gives the one to send next; undefined if nothing is left to say. */
  answer(bytes: Buffer): Buffer | undefined {
    assert(this.#state === 'negotiating' || this.#state === 'replied', `it is ${this.#state}`);
    const head = decodeMessageHead(bytes);
    if (head?.transactionId !== this.#transactionId) {
      return this.#fail(DhchapFailure.INCORRECT_PAYLOAD);
    }
    if (head.message === DhchapMessage.FAILURE1) {
      this.#state = 'failed';
      this.#failure = decodeFailure(bytes);
      return undefined;
    }
    if (this.#state === 'negotiating' && head.message === DhchapMessage.CHALLENGE) {
      const challenge = decodeChallenge(bytes);
      return challenge === undefined
        ? this.#fail(DhchapFailure.INCORRECT_PAYLOAD)
        : this.#reply(challenge);
    }
    if (this.#state === 'replied' && head.message === DhchapMessage.SUCCESS1) {
      return this.#judge(bytes);
    }
    return this.#fail(DhchapFailure.INCORRECT_MESSAGE);
  }

  #reply({ hash, group, challenge, sequenceNumber, publicValue }: ChallengeMessage): Buffer {
    if (!isHashId(hash)) return this.#fail(DhchapFailure.HASH_UNUSABLE);
    if (!isGroupId(group)) return this.#fail(DhchapFailure.GROUP_UNUSABLE);
    if (challenge.length !== hashSizeBytes(hash)) {
      return this.#fail(DhchapFailure.INCORRECT_PAYLOAD);
    }
    const dhKey = group === DhchapGroup.NULL ? undefined : generateDhKey(group);
    const sharedSecret = dhKey && computeSharedSecret(dhKey, publicValue);
    if (dhKey !== undefined && sharedSecret === undefined) {
      return this.#fail(DhchapFailure.GROUP_UNUSABLE);
    }
    const { hostNqn, subsystemNqn, hostSecret, controllerSecret } = this.#options;
    const input: Omit<ResponseInput, 'key'> = {
      hash,
      challenge,
      sharedSecret,
      sequenceNumber,
      transactionId: this.#transactionId,
      secureChannel: 0,
      hostNqn,
      subsystemNqn,
    };
    const response = hostResponse({ ...input, key: transformKey(hostSecret, hostNqn) });
    this.#state = 'replied';
    const ownValue = dhKey?.publicValue ?? Buffer.of();
    const reply = { transactionId: this.#transactionId, response, publicValue: ownValue };
    if (controllerSecret === undefined) {
      this.#expected = { hash, response: undefined };
      return encodeReply({ ...reply, challenge: undefined, sequenceNumber: 0 });
    }
    const ownChallenge = this.#random(hashSizeBytes(hash));
    const ownSequenceNumber = randomSequenceNumber(this.#random);
    const expected = controllerResponse({
      ...input,
      key: transformKey(controllerSecret, subsystemNqn),
      challenge: ownChallenge,
      sequenceNumber: ownSequenceNumber,
    });
    this.#expected = { hash, response: expected };
    return encodeReply({ ...reply, challenge: ownChallenge, sequenceNumber: ownSequenceNumber });
  }

  #judge(bytes: Buffer): Buffer | undefined {
    assert(this.#expected !== undefined, 'replied without knowing what to expect');
    const { hash, response: expected } = this.#expected;
    const success = decodeSuccess1(bytes, hash);
    if (success === undefined) return this.#fail(DhchapFailure.INCORRECT_PAYLOAD);
    if (expected === undefined) {
      this.#state = 'done';
      return undefined;
    }
    if (success.response === undefined || !isSameResponse(success.response, expected)) {
      return this.#fail(DhchapFailure.AUTHENTICATION_FAILED);
    }
    this.#state = 'done';
    return encodeSuccess2(this.#transactionId);
  }

  #fail(failure: DhchapFailureId): Buffer {
    this.#state = 'failed';
    this.#failure = failure;
    return encodeFailure(DhchapMessage.FAILURE2, this.#transactionId, failure);
  }
}
