import { beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '@varve/common/testing/manual-clock';
import { CallLimiter } from './call-limiter.ts';

const options = { daemon: 'sd', callsMax: 2, waitMsMax: 1000, slowMs: 2000 };

let clock: ManualClock;
let limiter: CallLimiter;
/** Ends the calls under way, in the order in which they began. */
let ends: ((value: string) => void)[];

beforeEach(() => {
  clock = new ManualClock();
  limiter = new CallLimiter(options, { clock });
  ends = [];
});

async function hang(): Promise<string> {
  return limiter.run(async () => new Promise<string>((resolve) => ends.push(resolve)));
}

describe('CallLimiter', () => {
  test('lets the next call in when one comes back', async () => {
    const first = hang();
    void hang();
    const third = hang();
    await clock.advance(500);
    expect(ends).toHaveLength(2);
    ends[0]?.('first');
    await expect(first).resolves.toBe('first');
    await clock.advance(0);
    expect(ends).toHaveLength(3);
    ends[2]?.('third');
    await expect(third).resolves.toBe('third');
  });

  test('refuses who has waited for long, and at once while the daemon hangs', async () => {
    void hang();
    void hang();
    const refusal = {
      kind: 'unavailable',
      message: 'Calling storage daemon "sd" failed: 2 calls are waiting for its answers already',
    };
    const waiting = hang().catch((error: unknown) => error);
    await clock.advance(1000);
    expect(await waiting).toMatchObject(refusal);
    await clock.advance(1000);
    await expect(hang()).rejects.toMatchObject(refusal);
    ends[0]?.('back');
    await clock.advance(0);
    const next = hang();
    await clock.advance(0);
    ends[2]?.('works again');
    await expect(next).resolves.toBe('works again');
  });

  test('takes a call that fails for one that came back', async () => {
    void hang();
    const failing = limiter.run(async () => {
      throw new Error('broken');
    });
    await expect(failing).rejects.toThrow('broken');
    const next = hang();
    await clock.advance(0);
    ends[1]?.('next');
    await expect(next).resolves.toBe('next');
  });
});
