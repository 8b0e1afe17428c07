import { describe, expect, test } from '@jest/globals';
import { InvariantError, assert } from './assert.ts';

describe('assert()', () => {
  test('passes when the condition holds', () => {
    expect(() => {
      assert(true, 'never seen');
    }).not.toThrow();
  });
  test('throws InvariantError with the message when it does not', () => {
    expect(() => {
      assert(false, 'block 7 is free');
    }).toThrow(new InvariantError('block 7 is free'));
  });
});
