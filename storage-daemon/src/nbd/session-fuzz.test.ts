/**
 * Hostile input: whatever arrives, in whatever pieces, the session does not throw, answers each well-formed
 * request exactly once, stays within its limits, and always comes to its end.
 */
import { describe, expect, test } from '@jest/globals';

import { nbdRequestsInFlightMax } from '../limits.ts';
import {
  pack,
  packInfoRequest,
  packMetaRequest,
  packOption,
  packRequest,
} from '../testing/nbd-messages.ts';
import { newFailure, ScriptedSession } from '../testing/scripted-nbd-session.ts';
import { SeededRandom } from '../testing/seeded-random.ts';

const seeds = Array.from({ length: 400 }, (_, index) => index + 1);
/** What one session may have sent for a script of these sizes; a leak of replies would pass it by far. */
const sentBytesMax = 64 * 1024 * 1024;

function randomBytes(random: SeededRandom, lengthMax: number): Buffer {
  return Buffer.from(random.fillBytes(new Uint8Array(random.below(lengthMax + 1))));
}

function randomOption(random: SeededRandom): Buffer {
  const name = random.pick(['volume/a', 'volume/b', '', '../a', 'ü']);
  return random.pick([
    () => packOption(random.below(13), randomBytes(random, 40)),
    () => packOption(8),
    () => packOption(random.pick([6, 7]), packInfoRequest(name, random.below(5), 3)),
    () => packOption(random.pick([9, 10]), packMetaRequest(name, 'base:allocation', 'base:')),
    () => packOption(1, Buffer.from(name)),
    () => packOption(3),
    () => packOption(random.next32(), randomBytes(random, 70_000)),
    () => pack('IHAVEOPT', [4, random.below(12)], [4, random.next32()]),
  ])();
}

function randomRequest(random: SeededRandom): Buffer {
  const command = random.below(10);
  const payload = command === 1 ? randomBytes(random, 9000) : Buffer.alloc(0);
  const length = random.pick([0, 1, 4096, 65_536, 1024 * 1024, random.next32()]);
  return packRequest(
    {
      command,
      cookie: BigInt(random.next32()),
      offset: random.pick([
        0n,
        5n,
        4096n,
        1048576n,
        BigInt(random.next32()) << 32n,
        2n ** 64n - 1n,
      ]),
      flags: random.chance(0.7) ? random.below(2) : random.below(65536),
      ...(command !== 1 && { length }),
    },
    payload,
  );
}

/** A conversation that starts well and may turn bad at any place. */
function randomScript(random: SeededRandom): Buffer {
  const parts = [pack([4, random.chance(0.95) ? 3 : random.below(5)])];
  for (let count = random.below(4); count > 0; count--) parts.push(randomOption(random));
  if (random.chance(0.8)) {
    if (random.chance(0.5)) parts.push(packOption(8));
    parts.push(packOption(7, packInfoRequest('volume/a')));
  }
  for (let count = random.below(40); count > 0; count--) parts.push(randomRequest(random));
  const script = Buffer.concat(parts);
  for (let flips = random.chance(0.4) ? random.below(4) : 0; flips > 0; flips--) {
    const at = random.below(script.length);
    script[at] = script[at]! ^ (1 << random.below(8));
  }
  return random.chance(0.2) ? script.subarray(0, random.below(script.length)) : script;
}

async function settle(script: ScriptedSession): Promise<void> {
  script.volume.releaseAll();
  await new Promise(setImmediate);
}

async function converse(seed: number): Promise<ScriptedSession> {
  const random = new SeededRandom(seed);
  const script = new ScriptedSession();
  const bytes = randomScript(random);
  const pieceMax = random.pick([bytes.length < 3000 ? 1 : 1000, 20, 1000, 100_000]);
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + 1 + random.below(pieceMax));
    script.session.receive(Buffer.from(bytes.subarray(at, end)));
    at = end;
    if (random.chance(0.05)) script.isTaking = random.chance(0.5);
    if (random.chance(0.05)) script.takeBatch();
    if (random.chance(0.02))
      script.volume.failure = newFailure(random.pick(['io', 'no-space', 'closed']));
    if (random.chance(0.1)) await settle(script);
    if (script.volume.pending.length > nbdRequestsInFlightMax) {
      throw new Error(`seed ${seed}: ${script.volume.pending.length} requests under way`);
    }
  }
  script.isTaking = true;
  random.pick([
    () => script.session.inputEnded(),
    () => script.session.connectionLost(),
    () => script.session.shutDown(),
  ])();
  for (let turn = 0; turn < 3; turn++) {
    await settle(script);
    expect(script.sentBytes).toBeLessThan(sentBytesMax);
  }
  script.session.connectionLost();
  return script;
}

describe('NbdSession, fuzzed', () => {
  test(`comes to its end whatever arrives (${seeds.length} seeds)`, async () => {
    const outcomes = new Map<string, number>();
    for (const seed of seeds) {
      const script = await converse(seed);
      const ends = script.events.filter((event) => event === 'ended').length;
      const disconnects = script.events.filter((event) => event.startsWith('disconnect')).length;
      if (ends !== 1 || disconnects > 1 || script.sentBytes > sentBytesMax) {
        throw new Error(
          `seed ${seed}: sent ${script.sentBytes}, events ${script.events.join(', ')}`,
        );
      }
      const outcome = script.events.find((event) => event.startsWith('disconnect')) ?? 'lost';
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      const opened = script.volume.calls.length > 0 ? 'used' : 'unused';
      outcomes.set(opened, (outcomes.get(opened) ?? 0) + 1);
    }
    // The scripts reach both phases, and both good and bad ends.
    expect(outcomes.get('used')).toBeGreaterThan(seeds.length / 5);
    expect(outcomes.get('disconnect cleanly')).toBeGreaterThan(seeds.length / 10);
    expect(outcomes.get('disconnect a request without its magic')).toBeGreaterThan(0);
    expect(outcomes.get('disconnect an option without its magic')).toBeGreaterThan(0);
  });

  test('answers every well-formed request exactly once, in any order of completion', () => {
    for (const seed of seeds.slice(0, 100)) {
      const random = new SeededRandom(seed);
      const script = new ScriptedSession();
      const isStructured = random.chance(0.5);
      script.session.receive(pack([4, 3]));
      if (isStructured) script.session.receive(packOption(8));
      script.session.receive(packOption(7, packInfoRequest('volume/a')));
      script.sent.take(script.sentBytes);
      const lengths = new Map<bigint, number>();
      for (let index = 1n; index <= 60n; index++) {
        const command = random.pick([0, 1, 3, 4, 6, 9]);
        const length = random.below(3000);
        lengths.set(index, command === 0 ? length : 0);
        const payload = command === 1 ? Buffer.alloc(length, 1) : Buffer.alloc(0);
        const fields = { command, cookie: index, offset: random.below(2 ** 20 + 1000) };
        script.session.receive(
          packRequest(
            command === 1 ? fields : { ...fields, length: command === 3 ? 0 : length },
            payload,
          ),
        );
        while (random.chance(0.4) && script.volume.pending.length > 0) {
          script.volume.pending.splice(random.below(script.volume.pending.length), 1)[0]!();
        }
      }
      script.volume.releaseAll();
      const answered: bigint[] = [];
      for (;;) {
        const reply = script.sent.tryReply((cookie) => lengths.get(cookie) ?? 0);
        if (!reply) break;
        if (reply.kind === 'simple' || reply.isLast) answered.push(reply.cookie);
      }
      expect(script.sent.restBytes).toBe(0);
      expect(answered.sort((a, b) => Number(a - b))).toEqual([...lengths.keys()]);
    }
  });
});
