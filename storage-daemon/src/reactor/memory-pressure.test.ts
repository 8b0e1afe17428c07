import { describe, expect, test } from '@jest/globals';

import { errno } from '../uring/kernel-abi.ts';
import { markAsIoFlusher } from './memory-pressure.ts';

describe('markAsIoFlusher()', () => {
  test('asks the kernel, and logs nothing if it agrees', () => {
    const asked: unknown[] = [];
    const logged: unknown[] = [];
    markAsIoFlusher(
      (...line) => logged.push(line),
      (...call) => asked.push(call) - 1,
    );
    expect(asked).toEqual([[57, 1]]);
    expect(logged).toEqual([]);
  });

  test('goes on without the privilege, and logs why', () => {
    const logged: unknown[] = [];
    markAsIoFlusher(
      (...line) => logged.push(line),
      () => -errno.notPermitted,
    );
    expect(logged).toEqual([
      ['info', expect.any(String), { reason: expect.stringMatching(/EPERM.*CAP_SYS_RESOURCE/) }],
    ]);
  });
});
