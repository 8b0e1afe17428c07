import { describe, expect, test } from '@jest/globals';

import { InputQueue } from './input-queue.ts';

function queueOf(...chunks: string[]): InputQueue {
  const queue = new InputQueue();
  for (const chunk of chunks) queue.push(Buffer.from(chunk));
  return queue;
}

describe('InputQueue', () => {
  test('gives pieces in order, across chunks, only when they are whole', () => {
    const queue = queueOf('ab', '', 'cde', 'f');
    expect(queue.lengthBytes).toBe(6);
    expect(queue.tryTake(1)?.toString()).toBe('a');
    expect(queue.tryTake(3)?.toString()).toBe('bcd');
    expect(queue.tryTake(3)).toBeUndefined();
    expect(queue.tryTake(0)?.length).toBe(0);
    queue.push(Buffer.from('g'));
    expect(queue.tryTake(3)?.toString()).toBe('efg');
    expect(queue.lengthBytes).toBe(0);
  });

  test('fills a target as far as it can, and skips', () => {
    const queue = queueOf('abc', 'def');
    expect(queue.skip(2)).toBe(2);
    const target = Buffer.alloc(3, '.');
    expect(queue.moveTo(target)).toBe(3);
    expect(target.toString()).toBe('cde');
    expect(queue.moveTo(target)).toBe(1);
    expect(target.toString()).toBe('fde');
    expect(queue.skip(5)).toBe(0);
  });

  test('a hundred thousand chunks of one byte are one piece', () => {
    const queue = new InputQueue();
    for (let count = 0; count < 100_000; count++) queue.push(Buffer.of(count % 256));
    expect(queue.tryTake(99_999)?.[99_998]).toBe(99_998 % 256);
    expect(queue.lengthBytes).toBe(1);
    queue.clear();
    expect(queue.tryTake(1)).toBeUndefined();
  });
});
