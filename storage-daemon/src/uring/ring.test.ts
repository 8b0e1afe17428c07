import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { RingFixture } from '../testing/uring/ring-fixtures.ts';
import { completionFlag, errno, opcode, pollEvent, setupFlag } from './kernel-abi.ts';
import { MessageHeader } from './message-header.ts';
import { RingFile } from './ring-file.ts';
import { RingSocket } from './ring-socket.ts';
import {
  cancelDescriptor,
  cancelOperation,
  startPoll,
  startTimeout,
  writeTimeout,
} from './ring-waits.ts';
import { ringSystemCalls } from './system-calls.ts';

let fixture: RingFixture;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-ring-'));
  fixture = new RingFixture();
});

afterEach(() => {
  fixture.close();
  rmSync(folder, { recursive: true });
});

function noOperations(count: number): void {
  for (let slot = 0; slot < count; slot++) {
    fixture.ring.prepare(opcode.noOperation, -1, fixture.type, slot);
  }
}

describe('Ring', () => {
  test('answers each operation once, with its slot, and counts what is in flight', () => {
    noOperations(3);
    expect(fixture.ring).toMatchObject({ inFlightCount: 3, queuedCount: 3, readyCount: 0 });
    expect(fixture.completions).toEqual([]);
    expect(fixture.ring.submit()).toBe(3);
    expect(fixture.completions).toEqual([]);
    expect(fixture.ring.reap()).toBe(3);
    expect(fixture.completions.map(({ slot }) => slot)).toEqual([0, 1, 2]);
    expect(fixture.ring).toMatchObject({ inFlightCount: 0, queuedCount: 0, enterCount: 1 });
    expect(fixture.ring.reap()).toBe(0);
  });

  test('gives completions to the handler of their type, and slots of all 32 bits come back', () => {
    const other: number[] = [];
    const otherType = fixture.ring.addHandler((slot) => other.push(slot));
    fixture.ring.prepare(opcode.noOperation, -1, otherType, 2 ** 31 - 1);
    fixture.ring.prepare(opcode.noOperation, -1, fixture.type, 5);
    expect(fixture.collect(1)).toMatchObject([{ slot: 5 }]);
    expect(other).toEqual([2 ** 31 - 1]);
  });

  test('takes more operations than the queue has entries, and than the completions fit', () => {
    // No call reaps between: the kernel keeps what does not fit.
    noOperations(100);
    fixture.ring.submit();
    expect(fixture.ring.hasOverflow).toBe(true);
    const slots = fixture.collect(100).map(({ slot }) => slot);
    expect(slots).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(fixture.ring).toMatchObject({ inFlightCount: 0, hasOverflow: false });
  });

  test('keeps operations in order while the kernel takes none', () => {
    let refusals = 0;
    let isRefusing = true;
    const busy = new RingFixture(
      { submissionEntries: 4 },
      {
        ...ringSystemCalls,
        enter: (fd, counts, flags, argument) => {
          if (isRefusing) {
            refusals++;
            return -errno.busy;
          }
          return ringSystemCalls.enter(fd, counts, flags, argument);
        },
      },
    );
    for (let slot = 0; slot < 50; slot++)
      busy.ring.prepare(opcode.noOperation, -1, busy.type, slot);
    busy.ring.submit();
    expect(refusals).toBeGreaterThan(0);
    expect(busy.ring.queuedCount).toBe(50);
    isRefusing = false;
    busy.ring.submit();
    for (let reaps = 0; busy.ring.inFlightCount > 0 && reaps < 100; reaps++) {
      busy.ring.reap();
      busy.ring.submit();
    }
    expect(busy.completions.map(({ slot }) => slot)).toEqual(
      Array.from({ length: 50 }, (_, index) => index),
    );
    busy.close();
  });

  test('stops at more operations than it was made for, instead of losing one', () => {
    const refusing = new RingFixture(
      { submissionEntries: 4, backlogEntries: 2 },
      { ...ringSystemCalls, enter: () => -errno.tryAgain },
    );
    const start = (): number => refusing.ring.prepare(opcode.noOperation, -1, refusing.type, 0);
    for (let count = 0; count < 6; count++) start();
    expect(start).toThrow('more operations than the backlog has room for');
  });

  test('stops at an error of the kernel that means a mistake', () => {
    const broken = new RingFixture({}, { ...ringSystemCalls, enter: () => -errno.invalid });
    const submitOften = (): void => {
      for (let count = 0; count < 1000; count++) broken.ring.submit();
    };
    expect(submitOften).toThrow('io_uring_enter failed: EINVAL');
  });

  test('goes on after an error whose number was misread', () => {
    let failures = 3;
    const misread = new RingFixture(
      {},
      {
        ...ringSystemCalls,
        enter: (...call) => (failures-- > 0 ? -errno.invalid : ringSystemCalls.enter(...call)),
      },
    );
    misread.ring.prepare(opcode.noOperation, -1, misread.type, 4);
    expect(misread.collect(1)).toMatchObject([{ slot: 4, result: 0 }]);
    misread.close();
  });

  test('waits no longer than it is told to', () => {
    const [reading] = fixture.pipe();
    startPoll(fixture.ring, { type: fixture.type, slot: 1 }, reading, pollEvent.readable);
    expect(fixture.ring.submit(1000)).toBe(0);
    expect(fixture.ring.inFlightCount).toBe(1);
  });

  test('close() ends what waits, tells its owner, and may be called twice', () => {
    const [reading] = fixture.pipe();
    const target = fixture.pages.addressOf(0);
    new RingFile(fixture.ring, reading, fixture.type).read(1, -1, target, 100);
    const [receiving] = fixture.socketPair();
    new RingSocket(fixture.ring, receiving).receive(fixture.type, 2, target, 100);
    fixture.ring.submit();
    noOperations(1);
    fixture.ring.close();
    expect(fixture.completions.sort((a, b) => a.slot - b.slot)).toMatchObject([
      { slot: 0, result: 0 },
      { slot: 1, result: -errno.canceled },
      { slot: 2, result: -errno.canceled },
    ]);
    fixture.ring.close();
    expect(() => noOperations(1)).toThrow('the ring is closed');
  });
});

describe('Ring on older kernels', () => {
  const kernels = [
    ['6.1', setupFlag.noSubmissionArray],
    ['6.0', setupFlag.noSubmissionArray | setupFlag.deferTaskRun],
    ['5.19', setupFlag.noSubmissionArray | setupFlag.deferTaskRun | setupFlag.singleIssuer],
  ] as const;

  test.each(kernels)('%s does without the flags that it does not know', (_version, unknown) => {
    const old = new RingFixture(
      {},
      {
        ...ringSystemCalls,
        setup: (entries, parameters) =>
          (parameters[2]! & unknown) === 0
            ? ringSystemCalls.setup(entries, parameters)
            : -errno.invalid,
      },
    );
    expect(old.ring.flags & unknown).toBe(0);
    const path = join(folder, 'file');
    writeFileSync(path, 'from the file');
    const fd = openSync(path, 'r');
    new RingFile(old.ring, fd, old.type).read(1, 5, old.pages.addressOf(0), 100);
    for (let slot = 2; slot < 40; slot++) {
      old.ring.prepare(opcode.noOperation, -1, old.type, slot);
    }
    expect(old.collect(39)[0]).toMatchObject({ slot: 1, result: 8 });
    expect(old.pages.views[0]!.toString('latin1', 0, 8)).toBe('the file');
    closeSync(fd);
    old.close();
  });

  test.each([
    ['older than 5.19', errno.invalid, 'unsupported', /Linux 5\.19 or newer is needed/],
    ['without io_uring', errno.noSuchSystemCall, 'unsupported', /this kernel has none/],
    ['with a seccomp profile', errno.notPermitted, 'not-permitted', /not permitted here \(EPERM\)/],
    ['without memory', errno.noMemory, 'out-of-memory', /\(ENOMEM\): .*ulimit -l/],
  ])('a kernel %s is refused, with the reason', (_what, error, kind, message) => {
    const refuse = (): RingFixture =>
      new RingFixture({}, { ...ringSystemCalls, setup: () => -error });
    expect(refuse).toThrow(
      expect.objectContaining({ kind, message: expect.stringMatching(message) }),
    );
  });
});

describe('RingFile', () => {
  test('reads, writes and syncs; a read at the end is short', () => {
    const path = join(folder, 'file');
    const fd = openSync(path, 'w+');
    const file = new RingFile(fixture.ring, fd, fixture.type);
    const [source, target] = [fixture.pages.views[0]!, fixture.pages.views[1]!];
    source.fill('abc');
    file.write(1, 4096, fixture.pages.addressOf(0), 4096);
    expect(fixture.collect(1)).toMatchObject([{ slot: 1, result: 4096 }]);
    file.writeDurably(2, 0, fixture.pages.addressOf(0), 10);
    file.syncData(3);
    expect(fixture.collect(2)).toMatchObject([{ result: 10 }, { result: 0 }]);
    file.read(4, 8000, fixture.pages.addressOf(1), 4096);
    file.read(5, 8192, fixture.pages.addressOf(2), 4096);
    expect(fixture.collect(2)).toMatchObject([{ result: 192 }, { result: 0 }]);
    expect(Buffer.compare(target.subarray(0, 192), readFileSync(path).subarray(8000))).toBe(0);
    expect(readFileSync(path).subarray(0, 10).toString()).toBe('abcabcabca');
    closeSync(fd);
  });

  test('reaches offsets beyond 4 GiB', () => {
    const fd = openSync(join(folder, 'file'), 'w+');
    const file = new RingFile(fixture.ring, fd, fixture.type);
    fixture.pages.views[0]!.fill('far');
    const offsetBytes = 5 * 2 ** 32 + 4096;
    file.write(1, offsetBytes, fixture.pages.addressOf(0), 9);
    fixture.collect(1);
    file.read(2, offsetBytes + 3, fixture.pages.addressOf(1), 100);
    expect(fixture.collect(1)).toMatchObject([{ result: 6 }]);
    expect(fixture.pages.views[1]!.toString('latin1', 0, 6)).toBe('farfar');
    closeSync(fd);
  });

  test('answers the error of a system call as its negative number', () => {
    const fd = openSync(join(folder, 'file'), 'w');
    const file = new RingFile(fixture.ring, fd, fixture.type);
    file.read(1, 0, fixture.pages.addressOf(0), 4096);
    file.write(2, 0, 4096, 4096);
    // EBADF: not open for reading; EFAULT: no memory there.
    expect(fixture.collect(2)).toMatchObject([{ result: -9 }, { result: -14 }]);
    closeSync(fd);
  });
});

describe('RingSocket', () => {
  test('receives what there is, all of a payload, and the end of the stream', () => {
    const [near, far] = fixture.socketPair();
    const socket = new RingSocket(fixture.ring, near);
    socket.receive(fixture.type, 1, fixture.pages.addressOf(0), 4096);
    fixture.ring.submit();
    writeSync(far, 'hello');
    expect(fixture.collect(1)).toMatchObject([{ slot: 1, result: 5 }]);
    socket.receiveAll(fixture.type, 2, fixture.pages.addressOf(0), 10);
    fixture.ring.submit();
    writeSync(far, 'half ');
    expect(fixture.ring.submit(1000)).toBe(0);
    writeSync(far, 'rest!');
    expect(fixture.collect(1)).toMatchObject([{ slot: 2, result: 10 }]);
    expect(fixture.pages.views[0]!.toString('latin1', 0, 10)).toBe('half rest!');
    socket.receive(fixture.type, 3, fixture.pages.addressOf(0), 4096);
    fixture.closeDescriptor(far);
    expect(fixture.collect(1)).toMatchObject([{ slot: 3, result: 0 }]);
  });

  test('sends, gathers a message from vectors, and fails on a closed connection without a signal', () => {
    const [near, far] = fixture.socketPair();
    const socket = new RingSocket(fixture.ring, near);
    const header = new MessageHeader(fixture.pages.arena, fixture.pages.offsetOf(2), 2);
    fixture.pages.views[0]!.write('one two');
    socket.send(fixture.type, 1, fixture.pages.addressOf(0), 3);
    expect(fixture.collect(1)).toMatchObject([{ slot: 1, result: 3 }]);
    expect(header.add(fixture.pages.addressOf(0) + 4, 3)).toBe(true);
    expect(header.add(fixture.pages.addressOf(0), 3)).toBe(true);
    expect(header.add(fixture.pages.addressOf(0), 3)).toBe(false);
    expect(header).toMatchObject({ vectorCount: 2, lengthBytes: 6 });
    socket.sendMessage(fixture.type, 2, header.address);
    expect(fixture.collect(1)).toMatchObject([{ slot: 2, result: 6 }]);
    new RingSocket(fixture.ring, far).receive(fixture.type, 3, fixture.pages.addressOf(1), 100);
    expect(fixture.collect(1)).toMatchObject([{ slot: 3, result: 9 }]);
    expect(fixture.pages.views[1]!.toString('latin1', 0, 9)).toBe('onetwoone');
    fixture.closeDescriptor(far);
    header.clear();
    header.add(fixture.pages.addressOf(0), 3);
    socket.sendMessage(fixture.type, 4, header.address);
    // EPIPE
    expect(fixture.collect(1)).toMatchObject([{ slot: 4, result: -32 }]);
  });

  test('accepts connections until it is canceled', async () => {
    const path = join(folder, 'socket');
    const fd = fixture.listen(path);
    new RingSocket(fixture.ring, fd).acceptAll(fixture.type, 1);
    fixture.ring.submit();
    const clients: Socket[] = [];
    for (let count = 0; count < 2; count++) {
      const client = connect(path);
      clients.push(client);
      await once(client, 'connect');
      const [accepted] = fixture.collect(1);
      expect(accepted).toMatchObject({ slot: 1, flags: completionFlag.more });
      expect(accepted!.result).toBeGreaterThan(0);
      closeSync(accepted!.result);
    }
    expect(fixture.ring.inFlightCount).toBe(1);
    cancelDescriptor(fixture.ring, { type: fixture.type, slot: 2 }, fd);
    expect(fixture.collect(2)).toMatchObject([
      { slot: 1, result: -errno.canceled, flags: 0 },
      { slot: 2, result: 1 },
    ]);
    for (const client of clients) client.destroy();
  });
});

describe('waits', () => {
  test('a timeout completes when its time is over, or is canceled by its slot', () => {
    const { arena } = fixture.pages;
    writeTimeout(arena, 0, 5);
    writeTimeout(arena, 16, 3_600_000);
    startTimeout(fixture.ring, { type: fixture.type, slot: 1 }, arena.address);
    expect(fixture.collect(1)).toMatchObject([{ slot: 1, result: -errno.timerExpired }]);
    startTimeout(fixture.ring, { type: fixture.type, slot: 2 }, arena.address + 16);
    const target = { type: fixture.type, slot: 2 };
    cancelOperation(fixture.ring, { type: fixture.type, slot: 3 }, target);
    expect(fixture.collect(2)).toMatchObject([{ result: -errno.canceled }, { result: 0 }]);
  });

  test('a poll completes with the events that came', () => {
    const [reading, writing] = fixture.pipe();
    startPoll(fixture.ring, { type: fixture.type, slot: 1 }, reading, pollEvent.readable);
    fixture.ring.submit();
    writeSync(writing, 'x');
    expect(fixture.collect(1)).toMatchObject([{ slot: 1, result: pollEvent.readable }]);
  });

  test('canceling what is not there says so', () => {
    cancelDescriptor(fixture.ring, { type: fixture.type, slot: 1 }, fixture.pipe()[0]);
    expect(fixture.collect(1)[0]!.result).toBeLessThanOrEqual(0);
  });
});
