import { describe, expect, test } from '@jest/globals';

import { KeyedLock, type LockKeys } from './keyed-lock.ts';

/** Lets everything that is ready to run do so. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** Starts tasks in order that run until they are told to end; tells which run. */
class Tasks {
  readonly lock = new KeyedLock();
  readonly running = new Set<string>();
  readonly #gates = new Map<string, () => void>();

  start(name: string, keys: LockKeys): void {
    void this.lock.run(keys, async () => {
      this.running.add(name);
      await new Promise<void>((resolve) => this.#gates.set(name, resolve));
      this.running.delete(name);
    });
  }

  async end(name: string): Promise<void> {
    this.#gates.get(name)?.();
    await settle();
  }
}

describe('KeyedLock', () => {
  test('lets shared holders run together, exclusive ones alone, in the order of coming', async () => {
    const tasks = new Tasks();
    tasks.start('s1', { shared: ['a'] });
    tasks.start('s2', { shared: ['a'] });
    tasks.start('x1', { exclusive: ['a'] });
    tasks.start('s3', { shared: ['a'] });
    tasks.start('x2', { exclusive: ['a'] });
    await settle();
    expect([...tasks.running]).toEqual(['s1', 's2']);
    expect(tasks.lock.exclusiveCount('a')).toBe(2);
    await tasks.end('s1');
    expect([...tasks.running]).toEqual(['s2']);
    await tasks.end('s2');
    // The late shared one does not overtake.
    expect([...tasks.running]).toEqual(['x1']);
    await tasks.end('x1');
    expect([...tasks.running]).toEqual(['s3']);
    await tasks.end('s3');
    expect([...tasks.running]).toEqual(['x2']);
    expect(tasks.lock.exclusiveCount('a')).toBe(1);
    await tasks.end('x2');
    expect(tasks.lock.keyCount).toBe(0);
  });

  test('keeps keys apart', async () => {
    const tasks = new Tasks();
    tasks.start('a', { exclusive: ['a'] });
    tasks.start('b', { exclusive: ['b'] });
    await settle();
    expect([...tasks.running]).toEqual(['a', 'b']);
  });

  test('takes a key of both lists exclusively, once', async () => {
    const tasks = new Tasks();
    tasks.start('both', { exclusive: ['a', 'a'], shared: ['a', 'b', 'b'] });
    tasks.start('shared', { shared: ['a'] });
    tasks.start('other', { shared: ['b'] });
    await settle();
    expect(tasks.running).toEqual(new Set(['both', 'other']));
    await tasks.end('both');
    expect(tasks.running).toEqual(new Set(['other', 'shared']));
  });

  test('never lets callers of several keys wait for each other', async () => {
    const lock = new KeyedLock();
    const results = await Promise.all(
      Array.from({ length: 60 }, (_, index) => {
        const keys =
          index % 3 === 0
            ? { exclusive: ['a'], shared: ['b'] }
            : index % 3 === 1
              ? { exclusive: ['b'], shared: ['a'] }
              : { exclusive: ['b', 'a'] };
        return lock.run(keys, async () => {
          await settle();
          return index;
        });
      }),
    );
    expect(results).toHaveLength(60);
    expect(lock.keyCount).toBe(0);
  });

  test('frees the keys when the task fails', async () => {
    const lock = new KeyedLock();
    const failed = lock.run({ exclusive: ['a'], shared: ['b'] }, () =>
      Promise.reject(new Error('no')),
    );
    await expect(failed).rejects.toThrow('no');
    expect(lock.keyCount).toBe(0);
  });
});
