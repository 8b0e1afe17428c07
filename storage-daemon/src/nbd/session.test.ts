import { describe, expect, test } from '@jest/globals';

import {
  nbdBytesInFlightMax,
  nbdDroppedPayloadBytesMax,
  nbdOutputBytesMax,
  nbdPayloadBytesMax,
  nbdRequestsInFlightMax,
  nbdStatusExtentsMax,
} from '../limits.ts';
import {
  pack,
  packInfoRequest,
  packMetaRequest,
  packOption,
  packRequest,
} from '../testing/nbd-messages.ts';
import { newFailure, ScriptedSession } from '../testing/scripted-nbd-session.ts';
import type { NbdFailure } from './volume-port.ts';

const command = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  zero: 6,
  status: 7,
};
const flag = { fua: 1, noHole: 2, df: 4, one: 8, fast: 16 };
const chunkType = { none: 0, data: 1, hole: 2, status: 5, error: 0x8001 };
const error = { EPERM: 1, EIO: 5, EINVAL: 22, ENOSPC: 28, ENOTSUP: 95, ESHUTDOWN: 108 };
const exportBytes = 1024 * 1024;

interface Terms {
  readonly isStructured?: boolean;
  readonly isReadOnly?: boolean;
  readonly sizeBytes?: number;
}

/** A session in the transmission phase, with everything before it read. */
function transmitting({ isStructured = true, ...options }: Terms = {}): ScriptedSession {
  const script = new ScriptedSession(options);
  script.session.receive(pack([4, 3]));
  if (isStructured) {
    script.session.receive(packOption(8));
    script.session.receive(packOption(10, packMetaRequest('volume/a', 'base:allocation')));
  }
  script.session.receive(packOption(7, packInfoRequest('volume/a')));
  script.sent.take(script.sentBytes);
  script.events.length = 0;
  return script;
}

type Fields = Parameters<typeof packRequest>[0];

/** All replies that are there, as lists that are easy to compare. */
function replies(script: ScriptedSession, readBytes = 0): unknown[][] {
  const found: unknown[][] = [];
  for (;;) {
    const reply = script.sent.tryReply(() => readBytes);
    if (!reply) break;
    if (reply.kind === 'simple') found.push(['simple', reply.cookie, reply.error, reply.data]);
    else found.push([reply.type, reply.cookie, reply.isLast, reply.data]);
  }
  expect(script.sent.restBytes).toBe(0);
  return found;
}

async function ask(script: ScriptedSession, fields: Fields, payload?: Uint8Array) {
  script.session.receive(packRequest(fields, payload));
  script.volume.releaseAll();
  // A block status comes by a promise.
  await new Promise(setImmediate);
  return replies(script, fields.command === command.read ? fields.length : 0);
}

/** Which error a request gets; 0 for success. */
async function errorOf(script: ScriptedSession, fields: Fields, payload?: Uint8Array) {
  const answers = await ask(script, fields, payload);
  expect(answers).toHaveLength(1);
  const [kind, , isLastOrError, data] = answers[0]!;
  if (kind === 'simple') return isLastOrError;
  expect(isLastOrError).toBe(true);
  return kind === chunkType.error ? (data as Buffer).readUInt32BE(0) : 0;
}

describe('simple replies', () => {
  const terms = { isStructured: false };

  test("carry a read's data, and bring each cookie back bit by bit", async () => {
    const script = transmitting(terms);
    script.volume.content.fill(9, 100, 200);
    const cookie = 0xfedcba9876543210n;
    expect(await ask(script, { command: command.read, cookie, offset: 99, length: 3 })).toEqual([
      ['simple', cookie, 0, Buffer.from([0, 9, 9])],
    ]);
    expect(
      await ask(script, { command: command.write, cookie: 2n ** 64n - 1n }, Buffer.of(5)),
    ).toEqual([['simple', 2n ** 64n - 1n, 0, Buffer.alloc(0)]]);
    expect(script.volume.calls).toEqual(['read 99+3', 'write 0+1']);
  });

  test('of failed reads have no data', async () => {
    const script = transmitting(terms);
    script.volume.failure = newFailure('io');
    script.session.receive(packRequest({ command: command.read, length: 10 }));
    script.volume.releaseAll();
    expect(replies(script)).toEqual([['simple', 7n, error.EIO, Buffer.alloc(0)]]);
  });

  test('DF and block status are refused without structured replies', async () => {
    const script = transmitting(terms);
    const df = { command: command.read, flags: flag.df, length: 1 };
    expect(await errorOf(script, df)).toBe(error.EINVAL);
    expect(await errorOf(script, { command: command.status, length: 1 })).toBe(error.EINVAL);
    expect(script.volume.calls).toEqual([]);
  });
});

describe('structured reads', () => {
  test('come as one chunk of data that names its offset', async () => {
    const script = transmitting();
    script.volume.content.fill(3);
    expect(await ask(script, { command: command.read, offset: 4097, length: 5 })).toEqual([
      [chunkType.data, 7n, true, pack([8, 4097], Buffer.alloc(5, 3))],
    ]);
  });

  test('of zeros come as a hole, of nothing as an empty chunk', async () => {
    const script = transmitting();
    expect(await ask(script, { command: command.read, offset: 1, length: 5000 })).toEqual([
      [chunkType.hole, 7n, true, pack([8, 1], [4, 5000])],
    ]);
    expect(await ask(script, { command: command.read, offset: 1, length: 0 })).toEqual([
      [chunkType.none, 7n, true, Buffer.alloc(0)],
    ]);
  });

  test('cut long runs of zeros out, but not with DF', async () => {
    const script = transmitting();
    const { content } = script.volume;
    content.fill(1, 0, 4096).fill(2, 4096 + 65536, 4096 + 65536 + 10);
    const length = 4096 + 65536 + 8192;
    expect(await ask(script, { command: command.read, length })).toEqual([
      [chunkType.data, 7n, false, pack([8, 0], content.subarray(0, 4096))],
      [chunkType.hole, 7n, false, pack([8, 4096], [4, 65536])],
      [chunkType.data, 7n, true, pack([8, 4096 + 65536], content.subarray(4096 + 65536, length))],
    ]);
    expect(await ask(script, { command: command.read, flags: flag.df, length })).toEqual([
      [chunkType.data, 7n, true, pack([8, 0], content.subarray(0, length))],
    ]);
    expect(
      await ask(script, { command: command.read, offset: 4096, length: 65536 + 4096 }),
    ).toHaveLength(2);
  });

  test('that fail come as an error chunk with a sentence', async () => {
    const script = transmitting();
    script.volume.failure = newFailure('closed');
    expect(await ask(script, { command: command.read, length: 5 })).toEqual([
      [chunkType.error, 7n, true, pack([4, error.ESHUTDOWN], [2, 12], 'it is closed')],
    ]);
  });
});

describe('commands', () => {
  test('reach the volume with their range and flags', async () => {
    const script = transmitting();
    const requests: [Fields, Uint8Array?][] = [
      [{ command: command.write, offset: 5, flags: flag.fua }, Buffer.alloc(7, 1)],
      [{ command: command.flush }],
      [{ command: command.flush, flags: flag.fua }],
      [{ command: command.trim, offset: 4096, length: 8192 }],
      [{ command: command.trim, offset: 4096, length: 8192, flags: flag.fua }],
      [{ command: command.zero, offset: 1, length: 2 }],
      [{ command: command.zero, offset: 1, length: 2, flags: flag.fua | flag.noHole }],
      [{ command: command.zero, offset: 1, length: 2, flags: flag.fast }],
      [{ command: command.read, offset: 5, length: 7, flags: flag.fua }],
    ];
    for (const [fields, payload] of requests)
      expect(await errorOf(script, fields, payload)).toBe(0);
    expect(script.volume.calls).toEqual([
      'write 5+7 fua',
      'flush',
      'flush',
      'discard 4096+8192',
      'discard 4096+8192 fua',
      'zero 1+2',
      'zero 1+2 fua keep',
      'zero 1+2',
      'read 5+7',
    ]);
    expect(script.volume.content.subarray(4, 13)).toEqual(Buffer.from([0, 1, 1, 1, 1, 1, 1, 1, 0]));
  });

  test('zeroes and trims may be longer than any payload', async () => {
    const length = 4 * 2 ** 30 - 4096;
    const script = transmitting();
    expect(await errorOf(script, { command: command.zero, length })).toBe(error.ENOSPC);
    expect(await errorOf(script, { command: command.trim, length })).toBe(error.EINVAL);
    expect(script.volume.calls).toEqual([`zero 0+${length}`, `discard 0+${length}`]);
  });

  test('block status answers the selected context, one extent if one is asked for', async () => {
    const script = transmitting();
    const holes = (length: number) => pack([4, 1], [4, length], [4, 3]);
    expect(await ask(script, { command: command.status, offset: 10, length: 5000 })).toEqual([
      [chunkType.status, 7n, true, holes(5000)],
    ]);
    const one = { command: command.status, length: 10, flags: flag.one };
    expect(await ask(script, one)).toEqual([[chunkType.status, 7n, true, holes(10)]]);
    expect(script.volume.calls).toEqual([
      `status 10+5000 max ${nbdStatusExtentsMax}`,
      'status 0+10 max 1',
    ]);
    expect(await errorOf(script, { command: command.status, length: 0 })).toBe(error.EINVAL);
    const beyond = { command: command.status, offset: exportBytes - 1, length: 2 };
    expect(await errorOf(script, beyond)).toBe(error.EINVAL);
  });

  test('a context that was selected for another export is void', async () => {
    const script = new ScriptedSession();
    script.session.receive(
      Buffer.concat([
        pack([4, 3]),
        packOption(8),
        packOption(10, packMetaRequest('volume/a', 'base:allocation')),
        packOption(10, packMetaRequest('volume/b', 'base:allocation')),
        packOption(7, packInfoRequest('volume/a')),
      ]),
    );
    script.sent.take(script.sentBytes);
    expect(await errorOf(script, { command: command.status, length: 1 })).toBe(error.EINVAL);
  });

  test.each<[string, Fields, number]>([
    ['CACHE, which is not offered', { command: command.cache, length: 1 }, error.EINVAL],
    ['RESIZE, which is not offered', { command: 8, length: 4096 }, error.EINVAL],
    ['an unknown command, which has no payload', { command: 77, length: 100 }, error.EINVAL],
    ['an unknown flag', { command: command.flush, flags: 32 }, error.EINVAL],
    [
      'a flag of another command',
      { command: command.read, length: 1, flags: flag.noHole },
      error.EINVAL,
    ],
    ['a flush with a range', { command: command.flush, length: 1 }, error.EINVAL],
    [
      'a read beyond the end',
      { command: command.read, offset: exportBytes, length: 1 },
      error.EINVAL,
    ],
    [
      'a read at 2^64 - 1',
      { command: command.read, offset: 2n ** 64n - 1n, length: 2 },
      error.EINVAL,
    ],
    ['zeroes at 2^63', { command: command.zero, offset: 2n ** 63n, length: 2 }, error.ENOSPC],
    [
      'a trim beyond the end',
      { command: command.trim, offset: exportBytes - 1, length: 2 },
      error.EINVAL,
    ],
    ['a read of 4 GiB - 1', { command: command.read, length: 0xffffffff }, error.EINVAL],
    [
      'a read of one byte too many',
      { command: command.read, length: nbdPayloadBytesMax + 1 },
      error.EINVAL,
    ],
    [
      'fast zeroes without holes',
      { command: command.zero, length: 1, flags: flag.fast | flag.noHole },
      error.ENOTSUP,
    ],
  ])('%s gets its error, and the connection goes on', async (_what, fields, expected) => {
    const script = transmitting();
    expect(await errorOf(script, fields)).toBe(expected);
    expect(await errorOf(script, { command: command.flush })).toBe(0);
  });

  test.each<[string, Fields, number]>([
    ['beyond the end', { command: command.write, offset: exportBytes - 3 }, error.ENOSPC],
    ['at 2^64 - 4096', { command: command.write, offset: 2n ** 64n - 4096n }, error.ENOSPC],
    ['with an unknown flag', { command: command.write, flags: 64 }, error.EINVAL],
  ])('a write %s is consumed and refused', async (_what, fields, expected) => {
    const script = transmitting();
    expect(await errorOf(script, fields, Buffer.alloc(10))).toBe(expected);
    expect(await errorOf(script, { command: command.flush })).toBe(0);
    expect(script.volume.content.every((byte) => byte === 0)).toBe(true);
  });

  test('every change of a read-only export is refused, its payload consumed', async () => {
    const script = transmitting({ isReadOnly: true });
    expect(await errorOf(script, { command: command.write }, Buffer.alloc(5))).toBe(error.EPERM);
    expect(await errorOf(script, { command: command.trim, length: 1 })).toBe(error.EPERM);
    expect(await errorOf(script, { command: command.zero, length: 1 })).toBe(error.EPERM);
    expect(await errorOf(script, { command: command.flush })).toBe(0);
    expect(script.volume.calls).toEqual(['flush']);
  });

  test.each<[NbdFailure['kind'], number]>([
    ['no-space', error.ENOSPC],
    ['io', error.EIO],
    ['closed', error.ESHUTDOWN],
    ['read-only', error.EPERM],
  ])('a volume that fails with %s answers that error to every command', async (kind, expected) => {
    const script = transmitting();
    script.volume.failure = newFailure(kind);
    expect(await errorOf(script, { command: command.write }, Buffer.alloc(1))).toBe(expected);
    expect(await errorOf(script, { command: command.zero, length: 1 })).toBe(expected);
    expect(await errorOf(script, { command: command.trim, length: 1 })).toBe(expected);
    expect(await errorOf(script, { command: command.flush })).toBe(expected);
    expect(await errorOf(script, { command: command.status, length: 1 })).toBe(expected);
  });

  test('replies come in the order of completion', () => {
    const script = transmitting();
    script.session.receive(packRequest({ command: command.read, cookie: 1n, length: 1 }));
    script.session.receive(packRequest({ command: command.flush, cookie: 2n }));
    script.volume.pending.reverse();
    script.volume.releaseAll();
    expect(replies(script).map(([, cookie]) => cookie)).toEqual([2n, 1n]);
  });

  test('requests in one piece or byte by byte are the same', () => {
    const all = Buffer.concat([
      packRequest({ command: command.write, cookie: 1n, offset: 3 }, Buffer.from('abc')),
      packRequest({ command: command.read, cookie: 2n, offset: 2, length: 5 }),
      packRequest({ command: 99, cookie: 3n }),
      packRequest({ command: command.disconnect }),
    ]);
    const whole = transmitting();
    whole.session.receive(all);
    const bytewise = transmitting();
    for (const byte of all) bytewise.session.receive(Buffer.from([byte]));
    expect(bytewise.volume.calls).toEqual(whole.volume.calls);
    whole.volume.releaseAll();
    bytewise.volume.releaseAll();
    expect(replies(bytewise)).toEqual(replies(whole));
    expect(bytewise.events).toEqual(whole.events);
  });
});

describe('limits of the transmission', () => {
  test('a write of one byte too many is dropped and refused, a far larger one ends the connection', async () => {
    const script = transmitting();
    const tooLong = Buffer.alloc(nbdPayloadBytesMax + 1);
    expect(await errorOf(script, { command: command.write }, tooLong)).toBe(error.EINVAL);
    script.session.receive(
      packRequest({ command: command.write, length: nbdDroppedPayloadBytesMax + 1 }),
    );
    expect(script.events).toEqual([
      `disconnect a write of ${nbdDroppedPayloadBytesMax + 1} bytes`,
      'ended',
      'reading off',
    ]);
  });

  test('a wrong magic ends the connection; what is under way completes unanswered', () => {
    const script = transmitting();
    script.session.receive(packRequest({ command: command.flush }));
    script.session.receive(Buffer.alloc(28));
    expect(script.events).toEqual(['disconnect a request without its magic', 'reading off']);
    script.volume.releaseAll();
    expect(script.events.at(-1)).toBe('ended');
    expect(script.sent.restBytes).toBe(0);
  });

  test('the socket is not read while too many requests are under way', () => {
    const script = transmitting();
    const flush = packRequest({ command: command.flush });
    script.session.receive(Buffer.concat(Array(nbdRequestsInFlightMax + 3).fill(flush)));
    expect(script.volume.calls).toHaveLength(nbdRequestsInFlightMax);
    expect(script.events).toEqual(['reading off']);
    script.volume.pending.shift()!();
    expect(script.volume.calls).toHaveLength(nbdRequestsInFlightMax + 1);
    script.volume.releaseAll();
    expect(script.events).toEqual(['reading off', 'reading on']);
    expect(replies(script)).toHaveLength(nbdRequestsInFlightMax + 3);
  });

  test('nor while too many bytes are', () => {
    const script = transmitting({ sizeBytes: nbdBytesInFlightMax });
    const read = packRequest({ command: command.read, length: nbdBytesInFlightMax / 2 });
    script.session.receive(Buffer.concat([read, read, read]));
    expect(script.volume.calls).toHaveLength(2);
    script.volume.pending.shift()!();
    // Nor before the client has taken the reply, which is as long.
    expect(script.volume.calls).toHaveLength(2);
    script.takeBatch();
    expect(script.volume.calls).toHaveLength(3);
  });

  /** Replies that the client does not take, as many as may wait. */
  function fillOutput(script: ScriptedSession): void {
    script.isTaking = false;
    script.volume.content.fill(1);
    const read = packRequest({ command: command.read, cookie: 99n, length: exportBytes });
    for (let bytes = 0; bytes < nbdOutputBytesMax; bytes += exportBytes)
      script.session.receive(read);
    script.volume.releaseAll();
    script.volume.calls.length = 0;
  }

  function takeAll(script: ScriptedSession): bigint[] {
    script.isTaking = true;
    const cookies: bigint[] = [];
    for (let reply = script.sent.tryReply(() => 0); reply; reply = script.sent.tryReply(() => 0)) {
      cookies.push(reply.cookie);
    }
    return cookies;
  }

  test('nor while the client does not take its replies', () => {
    const script = transmitting();
    fillOutput(script);
    script.session.receive(packRequest({ command: command.flush }));
    script.session.receive(packRequest({ command: command.flush }));
    expect(script.volume.calls).toEqual([]);
    expect(script.events).toEqual(['reading off']);
    expect(takeAll(script)).toEqual([99n, 99n]);
    expect(script.volume.calls).toEqual(['flush', 'flush']);
    expect(script.events).toEqual(['reading off', 'reading on']);
  });

  test('but half a payload is always read to its end', () => {
    const script = transmitting();
    const write = packRequest({ command: command.write }, Buffer.alloc(100, 1));
    const read = packRequest({ command: command.read, cookie: 99n, length: exportBytes });
    script.isTaking = false;
    script.session.receive(Buffer.concat([read, read, write.subarray(0, 50)]));
    script.volume.content.fill(1);
    script.volume.releaseAll();
    expect(script.events).toEqual([]);
    script.session.receive(write.subarray(50));
    expect(script.volume.calls.at(-1)).toBe('write 0+100');
    expect(script.events).toEqual(['reading off']);
  });

  test('answers to options that are not taken hold back further options', () => {
    const script = new ScriptedSession();
    script.isTaking = false;
    script.session.receive(pack([4, 3]));
    const list = packOption(3);
    const lists = Math.ceil(nbdOutputBytesMax / 60);
    for (let index = 0; index < lists && !script.events.includes('reading off'); index++) {
      script.session.receive(list);
    }
    expect(script.events.at(-1)).toMatch(/reading off|disconnect more than/);
  });
});

describe('bytes that are received in place', () => {
  /** Puts bytes where the session wants them, as a socket does that reads straight into memory. */
  function deliver(script: ScriptedSession, bytes: Buffer): number[] {
    const spaces: number[] = [];
    for (let at = 0; at < bytes.length;) {
      const space = script.session.receiveSpace();
      spaces.push(space.lengthBytes);
      const length = bytes.copy(space.bytes, space.start, at, at + space.lengthBytes);
      script.session.received(length);
      at += length;
    }
    return spaces;
  }

  test('a long payload goes straight to where it is written from, and no further', () => {
    const script = transmitting();
    const payload = Buffer.alloc(300_000, 5);
    const request = packRequest({ command: command.write, offset: 7 }, payload);
    deliver(script, request.subarray(0, 28 + 1000));
    const rest = Buffer.concat([
      request.subarray(28 + 1000),
      packRequest({ command: command.flush }),
    ]);
    const spaces = deliver(script, rest);
    expect(spaces[0]).toBe(299_000);
    script.volume.releaseAll();
    expect(script.volume.calls).toEqual(['write 7+300000', 'flush']);
    expect(script.volume.content.subarray(7, 300_007).equals(payload)).toBe(true);
  });

  test('a payload that is abandoned while bytes arrive in it is not used again before', () => {
    const script = transmitting();
    const payload = Buffer.alloc(300_000, 5);
    deliver(script, packRequest({ command: command.write }, payload).subarray(0, 100));
    const space = script.session.receiveSpace();
    expect(space.lengthBytes).toBeGreaterThan(290_000);
    script.session.connectionLost();
    expect(script.events.at(-1)).toBe('ended');
    script.session.received(1000);
    expect(script.volume.calls).toEqual([]);
  });
});

describe('the end', () => {
  const write = packRequest({ command: command.write, cookie: 1n }, Buffer.alloc(10, 1));

  test.each([
    [
      'DISC',
      (script: ScriptedSession) =>
        script.session.receive(packRequest({ command: command.disconnect })),
    ],
    ['end of input', (script: ScriptedSession) => script.session.inputEnded()],
  ])('%s: what is under way is answered, then the connection ends', (_what, end) => {
    const script = transmitting();
    script.session.receive(write);
    end(script);
    script.session.receive(packRequest({ command: command.flush }));
    expect(script.volume.calls).toEqual(['write 0+10']);
    expect(script.events).toEqual(['reading off']);
    script.volume.releaseAll();
    expect(replies(script)).toEqual([['simple', 1n, 0, Buffer.alloc(0)]]);
    expect(script.events).toEqual(['reading off', 'disconnect cleanly', 'ended']);
  });

  test('end of input waits for requests that limits hold back', () => {
    const script = transmitting();
    const flush = packRequest({ command: command.flush, cookie: 2n });
    script.session.receive(Buffer.concat(Array(nbdRequestsInFlightMax).fill(flush)));
    script.session.receive(write);
    script.session.inputEnded();
    expect(script.events).not.toContain('ended');
    script.volume.releaseAll();
    expect(replies(script).at(-1)).toEqual(['simple', 1n, 0, Buffer.alloc(0)]);
    expect(script.events).toContain('ended');
  });

  test('half a payload writes nothing', () => {
    const script = transmitting();
    script.session.receive(write.subarray(0, write.length - 1));
    script.session.inputEnded();
    expect(script.volume.calls).toEqual([]);
    expect(script.events).toEqual(['disconnect cleanly', 'ended', 'reading off']);
  });

  test('shutdown finishes what is under way and refuses what still comes', () => {
    const script = transmitting();
    script.session.receive(write);
    script.session.shutDown();
    script.session.receive(packRequest({ command: command.write, cookie: 2n }, Buffer.alloc(4096)));
    script.session.receive(packRequest({ command: command.read, cookie: 3n, length: 1 }));
    expect(script.events).toEqual([]);
    script.volume.releaseAll();
    expect(replies(script).map(([kind, cookie]) => [kind, cookie])).toEqual([
      [chunkType.error, 2n],
      [chunkType.error, 3n],
      ['simple', 1n],
    ]);
    expect(script.volume.calls).toEqual(['write 0+10']);
    expect(script.events).toContain('ended');
    const idle = transmitting();
    idle.session.shutDown();
    expect(idle.events).toEqual(['disconnect cleanly', 'ended']);
  });

  test('a lost connection ends once what is under way is done, and sends nothing', () => {
    const script = transmitting();
    script.session.receive(write);
    script.session.connectionLost();
    script.session.shutDown();
    script.session.receive(write);
    expect(script.events).not.toContain('ended');
    script.volume.releaseAll();
    expect(script.events.filter((event) => event === 'ended')).toHaveLength(1);
    expect(script.sent.restBytes).toBe(0);
    script.session.connectionLost();
    expect(script.events.filter((event) => event === 'ended')).toHaveLength(1);
  });
});
