import { describe, expect, test } from '@jest/globals';

import {
  nbdDroppedOptionBytesMax,
  nbdMetaQueriesMax,
  nbdOptionBytesMax,
  nbdOptionsMax,
} from '../limits.ts';
import { pack, packInfoRequest, packMetaRequest, packOption } from '../testing/nbd-messages.ts';
import { ScriptedSession } from '../testing/scripted-nbd-session.ts';

const clientFlags = pack([4, 3]);
const volumeFlags = 0x96d;
const structuredVolumeFlags = 0x9ed;

/** A session that has taken the client's flags, with the greeting read. */
function negotiating(flags = 3, options: { isReadOnly?: boolean } = {}): ScriptedSession {
  const script = new ScriptedSession(options);
  script.sent.take(18);
  script.session.receive(pack([4, flags]));
  return script;
}

/** What the server answers to one option: reply types in hex with their data. */
function replies(script: ScriptedSession, option: number, data?: Uint8Array): string[] {
  script.session.receive(packOption(option, data));
  const found: string[] = [];
  for (let reply = script.sent.tryOptionReply(); reply; reply = script.sent.tryOptionReply()) {
    expect(reply.option).toBe(option);
    const isText = reply.reply >= 0x80000000;
    found.push(
      `${reply.reply.toString(16)} ${reply.data.toString(isText ? 'utf8' : 'hex')}`.trim(),
    );
  }
  expect(script.sent.restBytes).toBe(0);
  return found;
}

describe('greeting', () => {
  test('is NBDMAGIC, IHAVEOPT and both handshake flags', () => {
    const script = new ScriptedSession();
    expect(script.sent.take(18)).toEqual(pack('NBDMAGIC', 'IHAVEOPT', [2, 3]));
    expect(script.sent.restBytes).toBe(0);
    expect(script.session.isNegotiating).toBe(true);
  });

  test('unknown client flags end the connection', () => {
    const script = negotiating(4);
    expect(script.events).toEqual(['disconnect client flags 0x4', 'ended', 'reading off']);
  });

  test('a client without fixed newstyle can open an export by name, and nothing else', () => {
    const script = negotiating(0);
    script.session.receive(packOption(1, Buffer.from('volume/a')));
    expect(script.sent.take(134)).toEqual(
      Buffer.concat([pack([8, 1024 * 1024], [2, volumeFlags]), Buffer.alloc(124)]),
    );
    expect(script.session.isNegotiating).toBe(false);
    const other = negotiating(0);
    expect(replies(other, 3)).toEqual([]);
    expect(other.events).toContain('disconnect cleanly');
  });
});

describe('EXPORT_NAME', () => {
  test('answers size and flags, without padding if the client agreed to that', () => {
    const script = negotiating();
    script.session.receive(packOption(1, Buffer.from('volume/a')));
    expect(script.sent.take(10)).toEqual(pack([8, 1024 * 1024], [2, volumeFlags]));
    expect(script.sent.restBytes).toBe(0);
  });

  test.each(['', 'volume/b', '../etc/passwd', 'volume/a/', 'x'.repeat(5000)])(
    'ends the connection for the unknown name %#',
    (name) => {
      const script = negotiating();
      script.session.receive(packOption(1, Buffer.from(name)));
      expect(script.sentBytes).toBe(18);
      expect(script.events).toContain('disconnect cleanly');
      expect(script.events).toContain('ended');
    },
  );
});

describe('LIST', () => {
  test('names all exports with their description', () => {
    expect(replies(negotiating(), 3)).toEqual([
      `2 ${pack([4, 8], 'volume/a', 'Volume a').toString('hex')}`,
      `2 ${pack([4, 10], 'snapshot/b', 'Snapshot b').toString('hex')}`,
      '1',
    ]);
  });

  test('refuses data', () => {
    expect(replies(negotiating(), 3, Buffer.from('x'))).toEqual([
      '80000003 the option takes no data, but 1 bytes came',
    ]);
  });
});

describe('INFO and GO', () => {
  const exportInfo = (flags: number) =>
    `3 ${pack([2, 0], [8, 1024 * 1024], [2, flags]).toString('hex')}`;

  test('give size and flags always, the rest if asked for, unknown types never', () => {
    const script = negotiating();
    expect(replies(script, 6, packInfoRequest('volume/a'))).toEqual([exportInfo(volumeFlags), '1']);
    expect(replies(script, 6, packInfoRequest('volume/a', 3, 2, 1, 99, 3))).toEqual([
      exportInfo(volumeFlags),
      `3 ${pack([2, 1], 'volume/a').toString('hex')}`,
      `3 ${pack([2, 2], 'Volume a').toString('hex')}`,
      `3 ${pack([2, 3], [4, 1], [4, 4096], [4, 32 * 1024 * 1024]).toString('hex')}`,
      '1',
    ]);
    expect(script.session.isNegotiating).toBe(true);
    expect(script.events).toEqual([]);
  });

  test('offer DF only after structured replies, and no change of a read-only export', () => {
    const script = negotiating();
    expect(replies(script, 8)).toEqual(['1']);
    expect(replies(script, 8)).toEqual(['1']);
    expect(replies(script, 6, packInfoRequest('volume/a'))).toEqual([
      exportInfo(structuredVolumeFlags),
      '1',
    ]);
    expect(replies(negotiating(3, { isReadOnly: true }), 6, packInfoRequest('volume/a'))).toEqual([
      exportInfo(0x10f),
      '1',
    ]);
  });

  test('GO leads to transmission right after its ACK', () => {
    const script = negotiating();
    expect(replies(script, 7, packInfoRequest('volume/a', 3))).toHaveLength(3);
    expect(script.events).toEqual(['open volume/a']);
    expect(script.session.isNegotiating).toBe(false);
  });

  test.each([
    ['an unknown name', packInfoRequest('volume/zzz'), '80000006 There is no export "volume/zzz"'],
    ['the default export', packInfoRequest(''), '80000006 There is no export ""'],
    [
      'a name that is longer than the option',
      pack([4, 9], 'volume/a'),
      '80000003 the option ends within the export name',
    ],
    [
      'a name of 2^32-1 bytes',
      pack([4, 0xffffffff], 'v'),
      '80000003 the option ends within the export name',
    ],
    [
      'no number of requests',
      pack([4, 8], 'volume/a'),
      '80000003 the option ends within the number of information requests',
    ],
    [
      'fewer requests than announced',
      pack([4, 8], 'volume/a', [2, 2], [2, 0]),
      '80000003 the option ends within an information request',
    ],
    [
      'bytes that belong to nothing',
      pack([4, 8], 'volume/a', [2, 0], [1, 0]),
      '80000003 1 bytes too many',
    ],
    [
      'a name that is not UTF-8',
      pack([4, 2], [2, 0xff80], [2, 0]),
      '80000003 the export name is not UTF-8',
    ],
    [
      'a name of 4097 bytes',
      packInfoRequest('x'.repeat(4097)),
      '80000009 the export name has 4097 bytes; at most 4096 are allowed',
    ],
    [
      'an empty option',
      Buffer.alloc(0),
      '80000003 the option ends within the length of the export name',
    ],
  ])('refuse %s and stay connected', (_what, data, answer) => {
    for (const option of [6, 7]) {
      const script = negotiating();
      expect(replies(script, option, data)).toEqual([answer]);
      expect(script.session.isNegotiating).toBe(true);
      expect(replies(script, 7, packInfoRequest('volume/a'))).toHaveLength(2);
    }
  });
});

describe('meta contexts', () => {
  const allocation = (id: number) => `4 ${pack([4, id], 'base:allocation').toString('hex')}`;

  test.each([
    ['nothing', []],
    ['the namespace', ['base:']],
    ['the context', ['base:allocation']],
    ['the context among unknown ones', ['qemu:allocation-depth', 'base:other', 'base:allocation']],
  ])('a list of %s names base:allocation', (_what, queries) => {
    expect(replies(negotiating(), 9, packMetaRequest('volume/a', ...queries))).toEqual([
      allocation(0),
      '1',
    ]);
  });

  test('a list of foreign contexts is empty', () => {
    expect(replies(negotiating(), 9, packMetaRequest('volume/a', 'qemu:'))).toEqual(['1']);
  });

  test('a selection needs structured replies, an export and an exact name', () => {
    const script = negotiating();
    const select = (...queries: string[]) =>
      replies(script, 10, packMetaRequest('volume/a', ...queries));
    expect(select('base:allocation')).toEqual([
      '80000003 structured replies must be agreed on first',
    ]);
    replies(script, 8);
    expect(select('base:allocation', 'base:allocation')).toEqual([allocation(1), '1']);
    expect(select()).toEqual(['1']);
    expect(select('base:', 'x-own:thing')).toEqual(['1']);
    expect(select('base')).toEqual(['80000003 query "base" names no namespace']);
    expect(replies(script, 10, packMetaRequest('volume/b', 'base:allocation'))).toEqual([
      '80000006 There is no export "volume/b"',
    ]);
  });

  test('too many and too long queries are refused', () => {
    const script = negotiating();
    expect(
      replies(script, 9, packMetaRequest('volume/a', ...Array(nbdMetaQueriesMax + 1).fill('a:'))),
    ).toEqual(['80000009 1025 queries; at most 1024 are allowed']);
    expect(replies(script, 9, packMetaRequest('volume/a', `a:${'x'.repeat(4096)}`))).toEqual([
      '80000009 a query has 4098 bytes; at most 4096 are allowed',
    ]);
    expect(replies(script, 9, pack([4, 8], 'volume/a', [4, 5]))).toEqual([
      '80000003 the option ends within the length of a query',
    ]);
  });
});

describe('other options', () => {
  test.each([4, 5, 11, 12, 0, 0xffffffff])(
    'option %i is not supported, its data is consumed',
    (option) => {
      const script = negotiating();
      expect(replies(script, option, Buffer.from('some data'))).toEqual([
        `80000001 option ${option} is not supported`,
      ]);
      expect(replies(script, 7, packInfoRequest('volume/a'))).toHaveLength(2);
    },
  );

  test('ABORT is acknowledged and ends the connection, whatever it brings', () => {
    const script = negotiating();
    expect(replies(script, 2, Buffer.from('bye'))).toEqual(['1']);
    expect(script.events).toEqual(expect.arrayContaining(['disconnect cleanly', 'ended']));
    script.session.receive(packOption(3));
    expect(script.sent.restBytes).toBe(0);
  });
});

describe('limits of the handshake', () => {
  test('an option that is too long is skipped and refused; the next one works', () => {
    const script = negotiating();
    expect(replies(script, 3, Buffer.alloc(nbdOptionBytesMax + 1))).toEqual([
      `80000009 the option is too long; at most ${nbdOptionBytesMax} bytes are allowed`,
    ]);
    expect(replies(script, 8)).toEqual(['1']);
  });

  test('an option that is far too long ends the connection before its data comes', () => {
    const script = negotiating();
    script.session.receive(pack('IHAVEOPT', [4, 3], [4, nbdDroppedOptionBytesMax + 1]));
    expect(script.events).toContain(`disconnect ${nbdDroppedOptionBytesMax + 1} bytes of option`);
  });

  test('a wrong magic ends the connection', () => {
    const script = negotiating();
    script.session.receive(pack('IHAVEOPX', [4, 3], [4, 0]));
    expect(script.events).toContain('disconnect an option without its magic');
  });

  test('nobody negotiates for ever; listing exports earns more options', () => {
    const script = negotiating();
    for (let count = 0; count < nbdOptionsMax; count++) expect(replies(script, 12)).toHaveLength(1);
    expect(replies(script, 12)).toEqual([]);
    expect(script.events).toContain(`disconnect more than ${nbdOptionsMax} options`);
    const lister = negotiating();
    expect(replies(lister, 3)).toHaveLength(3);
    for (let count = 0; count < nbdOptionsMax; count++) expect(replies(lister, 12)).toHaveLength(1);
    expect(lister.session.isNegotiating).toBe(true);
  });

  test('options may come in one piece, or byte by byte', () => {
    const all = Buffer.concat([
      clientFlags,
      packOption(8),
      packOption(10, packMetaRequest('volume/a', 'base:allocation')),
      packOption(7, packInfoRequest('volume/a', 3)),
    ]);
    const whole = new ScriptedSession();
    whole.session.receive(all);
    const bytewise = new ScriptedSession();
    for (const byte of all) bytewise.session.receive(Buffer.from([byte]));
    expect(bytewise.sentBytes).toBe(whole.sentBytes);
    expect(bytewise.sent.take(whole.sentBytes)).toEqual(whole.sent.take(whole.sentBytes));
    expect(bytewise.session.isNegotiating).toBe(false);
  });

  test('input that ends, or a shutdown, ends the negotiation', () => {
    const ended = negotiating();
    ended.session.inputEnded();
    expect(ended.events).toEqual(expect.arrayContaining(['disconnect cleanly', 'ended']));
    const stopped = negotiating();
    stopped.session.shutDown();
    expect(stopped.events).toEqual(expect.arrayContaining(['disconnect cleanly', 'ended']));
    const lost = negotiating();
    lost.session.connectionLost();
    expect(lost.events).toEqual(['ended']);
  });
});
