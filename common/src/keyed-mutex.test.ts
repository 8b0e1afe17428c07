import { describe, expect, test } from '@jest/globals';

import { KeyedMutex } from './keyed-mutex.ts';

/** Lets everything that is ready to run do so. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('KeyedMutex', () => {
  test('runs holders of one key one after another, in order', async () => {
    const mutex = new KeyedMutex();
    const log: string[] = [];
    const gates = [1, 2, 3].map((number) => {
      const gate = Promise.withResolvers<void>();
      void mutex.runExclusive(['a'], async () => {
        log.push(`start ${number}`);
        await gate.promise;
        log.push(`end ${number}`);
      });
      return gate;
    });
    await settle();
    expect(log).toEqual(['start 1']);
    expect(mutex.countOf('a')).toBe(3);
    for (const gate of gates) gate.resolve();
    await settle();
    expect(log).toEqual(['start 1', 'end 1', 'start 2', 'end 2', 'start 3', 'end 3']);
  });

  test('runs holders of different keys side by side', async () => {
    const mutex = new KeyedMutex();
    const gate = Promise.withResolvers<void>();
    const first = mutex.runExclusive(['a'], () => gate.promise);
    await expect(mutex.runExclusive(['b'], () => Promise.resolve(7))).resolves.toBe(7);
    gate.resolve();
    await first;
  });

  test('takes several keys in one order, so callers never wait for each other', async () => {
    const mutex = new KeyedMutex();
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        mutex.runExclusive(index % 2 === 0 ? ['a', 'b', 'a'] : ['b', 'a'], async () => {
          await settle();
          return index;
        }),
      ),
    );
    expect(results).toHaveLength(50);
  });

  test('frees the keys when the task fails, and forgets keys that nobody holds', async () => {
    const mutex = new KeyedMutex();
    const failed = mutex.runExclusive(['a', 'b'], () => Promise.reject(new Error('no')));
    await expect(failed).rejects.toThrow('no');
    await mutex.runExclusive(['a'], () => Promise.resolve());
    expect(mutex.keyCount).toBe(0);
    expect(mutex.countOf('a')).toBe(0);
  });
});
