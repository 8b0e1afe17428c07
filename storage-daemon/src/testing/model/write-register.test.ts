import { describe, expect, test } from '@jest/globals';

import { WriteRegister, type WriteEntry } from './write-register.ts';

type Change = Partial<WriteEntry> & Pick<WriteEntry, 'token' | 'issuedAt'>;

function registerOf(...changes: readonly Change[]): WriteRegister {
  const register = new WriteRegister(1);
  for (const change of changes) {
    register.add({ answeredAt: Infinity, isDurable: false, isUncertain: false, ...change });
  }
  return register;
}

describe('WriteRegister: what recovery may find', () => {
  const cases: Readonly<Record<string, [Change[], number[]]>> = {
    'nothing was written: the base': [[], [1]],
    'a write without an answer: either': [[{ token: 2, issuedAt: 5 }], [1, 2]],
    'an answered write that is not durable: either': [
      [{ token: 2, issuedAt: 5, answeredAt: 6 }],
      [1, 2],
    ],
    'a durable write: only it': [[{ token: 2, issuedAt: 5, answeredAt: 6, isDurable: true }], [2]],
    'a durable write, then one that is not: either of these': [
      [
        { token: 2, issuedAt: 5, answeredAt: 6, isDurable: true },
        { token: 3, issuedAt: 7, answeredAt: 8 },
      ],
      [2, 3],
    ],
    'two that overlapped, one durable: either, whichever the store put last': [
      [
        { token: 2, issuedAt: 5, answeredAt: 9 },
        { token: 3, issuedAt: 6, answeredAt: 8, isDurable: true },
      ],
      [2, 3],
    ],
    'a durable one after a whole one that is not: the former is gone for good': [
      [
        { token: 2, issuedAt: 5, answeredAt: 6 },
        { token: 3, issuedAt: 7, answeredAt: 8, isDurable: true },
      ],
      [3],
    ],
    'a failed write: it may have taken effect, and replaces nothing': [
      [{ token: 2, issuedAt: 5, answeredAt: 6, isDurable: true, isUncertain: true }],
      [1, 2],
    ],
  };
  for (const [name, [changes, expected]] of Object.entries(cases)) {
    test(name, () => expect(registerOf(...changes).recoverable()).toEqual(expected));
  }
});

describe('WriteRegister: what a read may find', () => {
  const write = { token: 2, issuedAt: 5, answeredAt: 8 };
  const cases: Readonly<Record<string, [number, number[]]>> = {
    'a read that began before the answer sees either': [7, [1, 2]],
    'a read that began after it sees the write': [9, [2]],
  };
  for (const [name, [beganAt, expected]] of Object.entries(cases)) {
    test(name, () => expect(registerOf(write).readable(beganAt)).toEqual(expected));
  }
});

describe('WriteRegister: what a cut may hold', () => {
  test('each value with the moments at which the cut then happened', () => {
    const register = registerOf(
      { token: 2, issuedAt: 5, answeredAt: 8 },
      { token: 3, issuedAt: 10, answeredAt: 12 },
    );
    expect(register.cuttable()).toEqual([
      { token: 1, interval: { fromTick: -1, untilTick: 8 } },
      { token: 2, interval: { fromTick: 5, untilTick: 12 } },
      { token: 3, interval: { fromTick: 10, untilTick: Infinity } },
    ]);
  });
});
