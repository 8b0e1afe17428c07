import { describe, expect, test } from '@jest/globals';

import { KeyedLock } from '@varve/common/keyed-lock';

import { withObjects } from './object-locks.ts';

describe('withObjects()', () => {
  test('refuses a 17th change of one object, and takes it when there is room', async () => {
    const locks = new KeyedLock();
    const gate = Promise.withResolvers<void>();
    const objects = { exclusive: ['volume/a'], shared: ['snapshot/s'] };
    const change = () => withObjects(locks, objects, () => gate.promise);
    const running = Array.from({ length: 16 }, change);
    await expect(change()).rejects.toMatchObject({ kind: 'aborted', blocker: 'volume/a' });
    await withObjects(locks, { exclusive: ['volume/b'] }, () => Promise.resolve());
    gate.resolve();
    await Promise.all(running);
    await change();
  });

  test('sets no bound to those who share a source', async () => {
    const locks = new KeyedLock();
    const made = Array.from({ length: 1000 }, (_, index) =>
      withObjects(locks, { exclusive: [`volume/${index}`], shared: ['snapshot/s'] }, () =>
        Promise.resolve(index),
      ),
    );
    expect(await Promise.all(made)).toHaveLength(1000);
  });
});
