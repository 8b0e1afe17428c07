import { describe, expect, test } from '@jest/globals';

import { openIoRing } from '../uring/io-ring.ts';
import { errno } from '../uring/kernel-abi.ts';
import { ringSystemCalls } from '../uring/system-calls.ts';
import { chooseIoEngine } from './io-engine.ts';

/** Opens a ring on a kernel that forbids it. */
function openForbidden() {
  return openIoRing({}, { ...ringSystemCalls, setup: () => -errno.notPermitted });
}

describe('chooseIoEngine()', () => {
  test('takes io_uring where it is permitted', () => {
    const engine = chooseIoEngine('auto');
    expect(engine).toMatchObject({ name: 'io_uring', refusal: undefined });
    engine.ioRing?.loop.close();
  });

  test('auto takes fs where it is not, and says why', () => {
    expect(chooseIoEngine('auto', openForbidden)).toMatchObject({
      name: 'fs',
      reason: expect.stringMatching(/^io_uring is not permitted here \(EPERM\): /),
      ioRing: undefined,
      refusal: undefined,
    });
  });

  test('io_uring refuses to start where it is not, instead of being slow in silence', () => {
    expect(chooseIoEngine('io_uring', openForbidden).refusal).toMatchObject({
      kind: 'failed-precondition',
      field: 'ioEngine',
      message: expect.stringContaining(
        'Starting with --io-engine io_uring failed: io_uring is not permitted',
      ),
    });
  });

  test('fs opens no ring', () => {
    let isOpened = false;
    const engine = chooseIoEngine('fs', () => {
      isOpened = true;
      return openIoRing();
    });
    expect(engine).toMatchObject({ name: 'fs', reason: 'the setting asks for it' });
    expect(isOpened).toBe(false);
  });

  test('what is no refusal is not hidden', () => {
    const open = (): never => {
      throw new TypeError('a bug');
    };
    expect(() => chooseIoEngine('auto', open)).toThrow('a bug');
  });
});
