import { describe, expect, test } from '@jest/globals';

import { type BenchOptions, createCommand, sampleCountOf } from './command-line.ts';

const names = ['nbd/read/peer', 'nbd/write/peer', 'store/read/fio'];

function parse(...args: readonly string[]): BenchOptions {
  const command = createCommand(names)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  return command.parse([...args], { from: 'user' }).opts<BenchOptions>();
}

describe('options', () => {
  test('default to all rows with five samples', () => {
    expect(parse()).toEqual({ quick: false, list: false });
    expect(sampleCountOf(parse())).toBe(5);
  });

  test('--quick takes three samples unless told otherwise', () => {
    expect(sampleCountOf(parse('--quick'))).toBe(3);
    expect(sampleCountOf(parse('--quick', '--samples', '7'))).toBe(7);
  });

  test('--only takes names, and beginnings of names up to a slash', () => {
    expect(parse('--only', 'nbd/read/peer').only).toEqual(['nbd/read/peer']);
    expect(parse('--only', 'nbd', '--only', 'nbd/read/peer').only).toEqual(names.slice(0, 2));
  });

  test('--only refuses a name that no row has, and says which there are', () => {
    expect(() => parse('--only', 'nb')).toThrow(/store\/read\/fio/);
  });

  test.each(['4', '101', '5.5', 'many'])('--samples refuses %p', (text) => {
    expect(() => parse('--samples', text)).toThrow(/from 5 to 100/);
  });

  test('--json names the file', () => {
    expect(parse('--quick', '--json', 'out.json')).toMatchObject({
      quick: true,
      json: 'out.json',
    });
  });
});
