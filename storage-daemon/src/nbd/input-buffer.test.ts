import { describe, expect, test } from '@jest/globals';

import { InputBuffer } from './input-buffer.ts';

function put(input: InputBuffer, text: string): void {
  input.bytes.write(text, input.end);
  input.filled(text.length);
}

describe('InputBuffer', () => {
  test('gives bytes in order, where they lie', () => {
    const input = new InputBuffer(Buffer.alloc(8));
    put(input, 'abcdef');
    const at = input.take(2);
    expect(input.bytes.toString('latin1', at, at + 2)).toBe('ab');
    const target = Buffer.alloc(3, '.');
    expect(input.moveTo(target, 1, 2)).toBe(2);
    expect(target.toString()).toBe('.cd');
    expect(input.skip(10)).toBe(2);
    expect(input.lengthBytes).toBe(0);
  });

  test('moves what is left to the front, so that the whole buffer can be filled again', () => {
    const input = new InputBuffer(Buffer.alloc(8));
    put(input, 'abcdefgh');
    input.take(5);
    expect(input.roomBytes).toBe(0);
    input.makeRoom();
    expect(input.roomBytes).toBe(5);
    put(input, 'ijklm');
    const at = input.take(8);
    expect(input.bytes.toString('latin1', at, at + 8)).toBe('fghijklm');
  });

  test('refuses to take or to count what is not there', () => {
    const input = new InputBuffer(Buffer.alloc(8));
    put(input, 'ab');
    expect(() => input.take(3)).toThrow('have not arrived');
    expect(() => input.filled(7)).toThrow('do not fit');
  });
});
