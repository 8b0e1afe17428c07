import { describe, expect, test } from '@jest/globals';
import { systemClock, waitFor } from './clock.ts';
import { ManualClock } from './testing/manual-clock.ts';

describe('waitFor()', () => {
  test('resolves when the time has passed and not before', async () => {
    const clock = new ManualClock();
    let isOver = false;
    const waiting = waitFor(clock, 1000).then(() => (isOver = true));
    await clock.advance(999);
    expect(isOver).toBe(false);
    await clock.advance(1);
    expect(isOver).toBe(true);
    await waiting;
  });

  test('resolves at once on abort and leaves no timer behind', async () => {
    const clock = new ManualClock();
    const abort = new AbortController();
    const waiting = waitFor(clock, 1000, abort.signal);
    expect(clock.timerCount).toBe(1);
    abort.abort();
    await waiting;
    expect(clock.timerCount).toBe(0);
    await waitFor(clock, 1000, abort.signal);
    expect(clock.timerCount).toBe(0);
  });
});

describe('ManualClock', () => {
  test('fires timers in the order of their due times, ones set meanwhile included', async () => {
    const clock = new ManualClock();
    const fired: string[] = [];
    clock.setTimer(() => fired.push(`c at ${clock.monotonicMs()}`), 30);
    clock.setTimer(() => {
      fired.push(`a at ${clock.monotonicMs()}`);
      clock.setTimer(() => fired.push(`b at ${clock.monotonicMs()}`), 5);
    }, 10);
    clock.setTimer(() => fired.push('cancelled'), 20).cancel();
    await clock.advance(100);
    expect(fired).toEqual(['a at 10', 'b at 15', 'c at 30']);
    expect(clock.monotonicMs()).toBe(100);
  });
});

describe('systemClock', () => {
  test('a timer longer than Node allows does not fire at once', async () => {
    let hasFired = false;
    const timer = systemClock.setTimer(() => (hasFired = true), 2 ** 40);
    await new Promise((resolve) => setImmediate(resolve));
    expect(hasFired).toBe(false);
    timer.cancel();
  });
});
