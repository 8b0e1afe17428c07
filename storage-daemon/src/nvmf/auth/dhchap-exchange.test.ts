import { describe, expect, test } from '@jest/globals';

import * as fc from 'fast-check';

import { DhchapController, type DhchapControllerOptions } from './dhchap-controller.ts';
import { DhchapHost, type DhchapHostOptions } from './dhchap-host.ts';
import {
  decodeChallenge,
  decodeFailure,
  decodeMessageHead,
  decodeReply,
  DhchapFailure,
  DhchapMessage,
  encodeFailure,
  encodeNegotiate,
  encodeReply,
  encodeSuccess2,
} from './dhchap-messages.ts';
import { DhchapGroup, DhchapHash } from './dhchap-parameters.ts';

const names = {
  hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-000000000001',
  subsystemNqn: 'nqn.2026-11.dev.varve:volume:00000000-0000-0000-0000-000000000002',
};
const hostSecret = { hash: undefined, key: Buffer.alloc(32, 1) };
const controllerSecret = { hash: DhchapHash.SHA_384, key: Buffer.alloc(48, 2) };
const roomBytes = 4096;

function createController(options: Partial<DhchapControllerOptions> = {}): DhchapController {
  return new DhchapController({ ...names, hostSecret, groups: [DhchapGroup.NULL], ...options });
}

function createHost(options: Partial<DhchapHostOptions> = {}): DhchapHost {
  return new DhchapHost({ ...names, hostSecret, transactionId: 0xbeef, ...options });
}

/** Lets both talk until the host has nothing to say; gives what the host was told last. */
function converse(host: DhchapHost, controller: DhchapController): Buffer {
  let next: Buffer | undefined = host.negotiate();
  let last = Buffer.of();
  while (next !== undefined) {
    controller.receive(next);
    if (host.state === 'done' || host.state === 'failed') break;
    // Linux reads into a buffer of 4096 bytes whose rest is zeros.
    last = Buffer.alloc(roomBytes);
    controller.take(roomBytes)?.copy(last);
    next = host.answer(last);
  }
  return last;
}

describe.each(Object.entries(DhchapHash))('with %s', (_hash, hash) => {
  test.each(Object.entries(DhchapGroup))('both sides agree under group %s', (_group, group) => {
    const host = createHost({ hashes: [hash], groups: [group], controllerSecret });
    const controller = createController({ groups: [group], controllerSecret });
    converse(host, controller);
    expect([host.state, controller.state]).toEqual(['done', 'done']);
    expect(controller.isAuthenticated).toBe(true);
  });
});

test.each([1, 2, 3, undefined] as const)('a secret with hash %s works in one direction', (hash) => {
  const secret = { hash, key: Buffer.alloc(64, 3) };
  const host = createHost({ hostSecret: secret });
  const controller = createController({ hostSecret: secret });
  converse(host, controller);
  expect([host.state, controller.isAuthenticated]).toEqual(['done', true]);
});

test('the strongest hash and the smallest group with a prime are chosen', () => {
  const controller = new DhchapController({ ...names, hostSecret });
  controller.receive(createHost().negotiate());
  const challenge = decodeChallenge(controller.take(roomBytes) ?? Buffer.of());
  expect(challenge).toMatchObject({ hash: DhchapHash.SHA_512, group: DhchapGroup.FFDHE_2048 });
});

test.each([
  ['another key', { hostSecret: { hash: undefined, key: Buffer.alloc(32, 9) } }],
  ['the key under another hash', { hostSecret: { hash: DhchapHash.SHA_256, key: hostSecret.key } }],
  ['another host name', { hostNqn: `${names.hostNqn.slice(0, -1)}2` }],
  ['another subsystem name', { subsystemNqn: `${names.subsystemNqn.slice(0, -1)}3` }],
])('a host with %s is refused', (_, options) => {
  const host = createHost(options);
  const controller = createController();
  const last = converse(host, controller);
  expect([controller.state, controller.isAuthenticated]).toEqual(['failed', false]);
  expect(decodeFailure(last)).toBe(DhchapFailure.AUTHENTICATION_FAILED);
  expect([host.state, host.failure]).toEqual(['failed', DhchapFailure.AUTHENTICATION_FAILED]);
});

test.each([
  ['knows another key', { hash: undefined, key: Buffer.alloc(32, 8) }],
  ['has none', undefined],
])('a host refuses a controller that %s', (_, secret) => {
  const host = createHost({ controllerSecret });
  const controller = createController({ controllerSecret: secret });
  converse(host, controller);
  expect([host.state, controller.state]).toEqual(['failed', 'failed']);
  expect([controller.failure, controller.isAuthenticated]).toEqual([
    DhchapFailure.AUTHENTICATION_FAILED,
    false,
  ]);
});

test('a controller that was challenged is not done before the host says so', () => {
  const host = createHost({ controllerSecret });
  const controller = createController({ controllerSecret });
  controller.receive(host.negotiate());
  controller.receive(host.answer(controller.take(roomBytes) ?? Buffer.of()) ?? Buffer.of());
  const success1 = controller.take(roomBytes) ?? Buffer.of();
  expect([controller.state, controller.isAuthenticated]).toEqual(['proving', false]);
  controller.receive(host.answer(success1) ?? Buffer.of());
  expect([controller.state, controller.isAuthenticated]).toEqual(['done', true]);
});

test.each([
  ['no common hash', { hashes: [9] }, DhchapFailure.HASH_UNUSABLE],
  ['no hash', { hashes: [] }, DhchapFailure.HASH_UNUSABLE],
  ['no common group', { groups: [1, 9] }, DhchapFailure.GROUP_UNUSABLE],
  ['a secure channel', { secureChannel: 1 }, DhchapFailure.SECURE_CHANNEL_MISMATCH],
])('a negotiation with %s fails', (_, change, failure) => {
  const controller = createController();
  const negotiate = { transactionId: 5, secureChannel: 0, hashes: [1], groups: [0], ...change };
  controller.receive(encodeNegotiate(negotiate));
  expect(controller.failure).toBe(failure);
  const message = controller.take(roomBytes) ?? Buffer.of();
  expect(decodeMessageHead(message)).toEqual({ message: DhchapMessage.FAILURE1, transactionId: 5 });
  expect(decodeFailure(message)).toBe(failure);
});

test('a negotiation without the protocol fails', () => {
  const controller = createController();
  const negotiate = createHost().negotiate();
  negotiate.writeUInt8(2, 8);
  controller.receive(negotiate);
  expect(controller.failure).toBe(DhchapFailure.PROTOCOL_UNUSABLE);
});

/** Brings a controller to where it waits for a reply. */
function challengedController(options: Partial<DhchapControllerOptions> = {}): {
  controller: DhchapController;
  reply: Buffer;
} {
  const controller = createController(options);
  const host = createHost({ controllerSecret });
  controller.receive(host.negotiate());
  const reply = host.answer(controller.take(roomBytes) ?? Buffer.of()) ?? Buffer.of();
  return { controller, reply };
}

test.each([
  ['a reply of nothing', () => Buffer.of(), DhchapFailure.INCORRECT_PAYLOAD],
  ['a cut reply', (reply: Buffer) => reply.subarray(0, -1), DhchapFailure.INCORRECT_PAYLOAD],
  [
    'another transaction',
    (reply: Buffer) => withByte(reply, 4, 0),
    DhchapFailure.INCORRECT_PAYLOAD,
  ],
  [
    'a response of no bytes',
    (reply: Buffer) => withByte(reply, 6, 0),
    DhchapFailure.INCORRECT_PAYLOAD,
  ],
  [
    'a wrong response',
    (reply: Buffer) => withByte(reply, 20, 0xff),
    DhchapFailure.AUTHENTICATION_FAILED,
  ],
  ['a success that is not due', () => encodeSuccess2(0xbeef), DhchapFailure.INCORRECT_MESSAGE],
  ['an unknown message', (reply: Buffer) => withByte(reply, 1, 9), DhchapFailure.INCORRECT_MESSAGE],
  [
    'a public value without a group',
    (reply: Buffer) => withPublicValue(reply, Buffer.alloc(256, 5)),
    DhchapFailure.INCORRECT_PAYLOAD,
  ],
  [
    'a failure of its own',
    () => encodeFailure(DhchapMessage.FAILURE2, 0xbeef, DhchapFailure.HASH_UNUSABLE),
    DhchapFailure.HASH_UNUSABLE,
  ],
])('a challenged host that sends %s is refused for good', (_, change, failure) => {
  const { controller, reply } = challengedController();
  controller.receive(change(reply));
  expect([controller.state, controller.failure]).toEqual(['failed', failure]);
  // Neither the right reply nor a new beginning helps; the failure may be read again.
  controller.receive(reply);
  controller.receive(createHost().negotiate());
  expect(controller.isAuthenticated).toBe(false);
  expect(decodeFailure(controller.take(roomBytes) ?? Buffer.of())).toBe(failure);
  expect(decodeFailure(controller.take(roomBytes) ?? Buffer.of())).toBe(failure);
});

test('a public value that anybody can raise to a power is refused', () => {
  const { controller, reply } = challengedController({ groups: [DhchapGroup.FFDHE_2048] });
  controller.receive(withPublicValue(reply, Buffer.concat([Buffer.alloc(255), Buffer.of(1)])));
  expect(controller.failure).toBe(DhchapFailure.GROUP_UNUSABLE);
});

test('a reply cannot come before its challenge was read', () => {
  const controller = createController();
  controller.receive(createHost().negotiate());
  controller.receive(encodeSuccess2(0xbeef));
  expect(controller.failure).toBe(DhchapFailure.INCORRECT_MESSAGE);
});

test('a reply to an earlier challenge is refused', () => {
  const { controller, reply } = challengedController({ controllerSecret });
  controller.receive(createHost().negotiate());
  controller.take(roomBytes);
  controller.receive(reply);
  expect(controller.failure).toBe(DhchapFailure.AUTHENTICATION_FAILED);
});

test('a challenge with sequence number 0 is not to be answered', () => {
  const { controller, reply } = challengedController({ controllerSecret });
  reply.writeUInt32LE(0, 12);
  controller.receive(reply);
  expect([controller.state, controller.isAuthenticated]).toEqual(['done', true]);
});

test('take() fails when nothing is due, and when there is no room', () => {
  const idle = createController();
  expect(decodeFailure(idle.take(roomBytes) ?? Buffer.of())).toBe(DhchapFailure.INCORRECT_MESSAGE);
  const cramped = createController();
  cramped.receive(createHost().negotiate());
  expect(decodeFailure(cramped.take(40) ?? Buffer.of())).toBe(DhchapFailure.INCORRECT_PAYLOAD);
  expect(cramped.take(7)).toBeUndefined();
});

test('negotiating again and again is refused until a success', () => {
  const controller = createController();
  for (let round = 0; round < 3; round++) {
    controller.receive(createHost().negotiate());
    expect(controller.state).toBe('challenged');
  }
  controller.receive(createHost().negotiate());
  expect(controller.failure).toBe(DhchapFailure.AUTHENTICATION_FAILED);
});

test('a queue stays authenticated while its host proves itself anew, and not if that fails', () => {
  const controller = createController();
  for (let round = 0; round < 10; round++) {
    converse(createHost(), controller);
    expect([controller.state, controller.isAuthenticated]).toEqual(['done', true]);
  }
  const stranger = createHost({ hostSecret: { hash: undefined, key: Buffer.alloc(32, 9) } });
  controller.receive(stranger.negotiate());
  expect(controller.isAuthenticated).toBe(true);
  controller.receive(stranger.answer(controller.take(roomBytes) ?? Buffer.of()) ?? Buffer.of());
  expect([controller.state, controller.isAuthenticated]).toEqual(['failed', false]);
});

test('nobody gets in who does not know the key, whatever is sent in whatever order', () => {
  const stranger = fc.record({
    kind: fc.constantFrom('negotiate', 'reply', 'success2', 'noise'),
    noise: fc.uint8Array({ maxLength: 300 }),
    flips: fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 3 }),
    isTaken: fc.boolean(),
    roomBytes: fc.constantFrom(roomBytes, 80, 8, 0),
  });
  const property = fc.property(fc.array(stranger, { maxLength: 12 }), (steps) => {
    const controller = createController({ controllerSecret });
    // It knows all of the protocol and everything but the host's key.
    const host = new DhchapHost({
      ...names,
      hostSecret: { hash: undefined, key: Buffer.alloc(32, 9) },
      controllerSecret,
    });
    let heard: Buffer = Buffer.of();
    for (const { kind, noise, flips, isTaken, roomBytes: room } of steps) {
      let message: Buffer = Buffer.from(noise);
      if (kind === 'negotiate') message = host.negotiate();
      else if (kind === 'success2') message = encodeSuccess2(1);
      else if (kind === 'reply' && host.state === 'negotiating') {
        message = host.answer(heard) ?? message;
      }
      for (const [at, value] of flips) if (at < message.length) message.writeUInt8(value, at);
      controller.receive(message);
      expect(controller.isAuthenticated).toBe(false);
      if (!isTaken) continue;
      heard = controller.take(room) ?? Buffer.of();
      expect(heard.length).toBeLessThanOrEqual(room);
      expect(controller.isAuthenticated).toBe(false);
    }
  });
  fc.assert(property, { numRuns: 2000 });
});

function withByte(bytes: Buffer, at: number, value: number): Buffer {
  const changed = Buffer.from(bytes);
  changed.writeUInt8(value, at);
  return changed;
}

function withPublicValue(reply: Buffer, publicValue: Buffer): Buffer {
  const decoded = decodeReply(reply, DhchapHash.SHA_512);
  return decoded === undefined ? reply : encodeReply({ ...decoded, publicValue });
}
