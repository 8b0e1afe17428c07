import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { RingFixture } from '../testing/uring/ring-fixtures.ts';
import { opcode } from './kernel-abi.ts';
import { tellsOfReceives } from './receive-probe.ts';
import { RingFile } from './ring-file.ts';
import { RingLoop } from './ring-loop.ts';
import { RingSocket } from './ring-socket.ts';
import { ringSystemCalls } from './system-calls.ts';

let fixture: RingFixture;
let loop: RingLoop;

/** As on a kernel that loses events of deferred work; see below for all others. */
function useUndeferredWork(): void {
  loop.close();
  fixture.close();
  fixture = new RingFixture({ mayDeferWork: false });
  loop = new RingLoop(fixture.ring, { waitMicroseconds: 100 });
}

beforeEach(() => {
  fixture = new RingFixture({ mayDeferWork: tellsOfReceives(ringSystemCalls) });
  loop = new RingLoop(fixture.ring, { waitMicroseconds: 100 });
});

afterEach(() => {
  loop.close();
  fixture.close();
});

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Lets the thread do whatever it wants to, until the loop makes no more turns. */
async function untilAsleep(): Promise<void> {
  for (let before = -1; before !== loop.turnCount;) {
    before = loop.turnCount;
    for (let turns = 0; turns < 20; turns++) await nextTurn();
  }
}

/** Answers the result of an operation that `start` prepares with a type of its own. */
function resultOf(start: (type: number) => void): Promise<number> {
  return new Promise((resolve) => {
    start(fixture.ring.addHandler((_slot, result) => resolve(result)));
  });
}

describe('RingLoop', () => {
  test('submits what was prepared, after the call that prepared it', async () => {
    const done = resultOf((type) => fixture.ring.prepare(opcode.noOperation, -1, type, 0));
    expect(fixture.ring.queuedCount).toBe(1);
    expect(await done).toBe(0);
  });

  test.each(['as the kernel allows', 'without deferred work'])(
    'sleeps while only a receive is outstanding, and wakes up for it, %s',
    async (how) => {
      if (how === 'without deferred work') useUndeferredWork();
      const [near, far] = fixture.socketPair();
      const address = fixture.pages.addressOf(0);
      for (let count = 1; count <= 3; count++) {
        const received = resultOf((type) =>
          new RingSocket(fixture.ring, near).receive(type, 0, address, 4096),
        );
        await untilAsleep();
        const turns = loop.turnCount;
        // A timer keeps the event loop going round meanwhile; the ring has no part in it.
        await new Promise((resolve) => setTimeout(resolve, 20));
        expect(loop.turnCount).toBe(turns);
        writeSync(far, 'x'.repeat(count));
        expect(await received).toBe(count);
        expect(loop.turnCount).toBeGreaterThan(turns);
      }
    },
    10_000,
  );

  test('makes no turns when nothing is outstanding', async () => {
    await resultOf((type) => fixture.ring.prepare(opcode.noOperation, -1, type, 0));
    await untilAsleep();
    const turns = loop.turnCount;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(loop.turnCount).toBe(turns);
  });

  test('keeps promises, timers and immediates of the thread alive while it is busy', async () => {
    const fd = openSync('/dev/zero', 'r');
    let isStopped = false;
    let reads = 0;
    const { ring, pages } = fixture;
    const type: number = ring.addHandler(() => {
      reads++;
      if (!isStopped) file.read(0, 0, pages.addressOf(0), 4096);
    });
    const file = new RingFile(ring, fd, type);
    file.read(0, 0, pages.addressOf(0), 4096);
    await new Promise((resolve) => setTimeout(resolve, 5));
    for (let turns = 0; turns < 10; turns++) await nextTurn();
    await Promise.resolve();
    expect(reads).toBeGreaterThan(10);
    isStopped = true;
    await untilAsleep();
    expect(ring.inFlightCount).toBe(0);
    closeSync(fd);
  });

  test('runs hooks after the handlers of a round, and submits what they prepare at once', async () => {
    const events: string[] = [];
    const { ring } = fixture;
    const replies = ring.addHandler(() => events.push('sent'));
    const requests = ring.addHandler(() => events.push('request'));
    loop.addRoundHook(() => {
      if (events.at(-1) !== 'request') return;
      events.push('flush');
      ring.prepare(opcode.noOperation, -1, replies, 0);
    });
    ring.prepare(opcode.noOperation, -1, requests, 0);
    ring.prepare(opcode.noOperation, -1, requests, 1);
    await untilAsleep();
    expect(events).toEqual(['request', 'request', 'flush', 'sent']);
    // One system call for the requests, one for the reply.
    expect(ring.enterCount).toBe(2);
  });

  test('close() cancels what is outstanding, and may be called twice', async () => {
    const [near] = fixture.socketPair();
    const received = resultOf((type) =>
      new RingSocket(fixture.ring, near).receive(type, 0, fixture.pages.addressOf(0), 4096),
    );
    await untilAsleep();
    loop.close();
    expect(await received).toBeLessThan(0);
    loop.close();
  });

  test.each(['throws', 'is terminated'])('outlives its thread, which %s', (end) => {
    const module = new URL('io-ring.js', import.meta.url);
    const thread = `
      import { parentPort } from 'node:worker_threads';
      import { openIoRing } from ${JSON.stringify(module)};
      const { ring } = openIoRing();
      ring.prepare(${opcode.pollAdd}, 0, ring.addHandler(() => undefined), 0);
      setImmediate(() => {
        parentPort.postMessage('ready');
        if (${end === 'throws'}) throw new Error('a bug');
      });`;
    const program = `
      import { Worker } from 'node:worker_threads';
      const thread = new Worker(new URL(${JSON.stringify(`data:text/javascript,${encodeURIComponent(thread)}`)}));
      thread.on('error', () => undefined);
      thread.on('message', () => void (${end === 'is terminated'} && thread.terminate()));
      thread.on('exit', () => console.log('the process goes on'));`;
    const options = ['--input-type=module', '--eval', program];
    const output = execFileSync(process.execPath, options, { encoding: 'utf8', env: {} });
    expect(output).toBe('the process goes on\n');
  });
});
