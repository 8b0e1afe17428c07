import { describe, expect, test } from '@jest/globals';

import { IoLimiter, type VolumeLimits } from './io-limiter.ts';

/** Milliseconds of unused rate that a lane may catch up on. */
const burstMs = 100;

/** A clock that stands still but when it is moved; timers fire on the way. */
class ManualTime {
  nowMs = 5000;
  readonly #timers = new Set<{ readonly atMs: number; readonly run: () => void }>();

  readonly clockMs = (): number => this.nowMs;

  readonly startTimer = (delayMs: number, run: () => void): { cancel(): void } => {
    const timer = { atMs: this.nowMs + delayMs, run };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  };

  get timerCount(): number {
    return this.#timers.size;
  }

  advance(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    for (;;) {
      const due = [...this.#timers].filter(({ atMs }) => atMs <= endMs);
      const [next] = due.sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
    }
    this.nowMs = endMs;
  }
}

function createLimiter(limits: VolumeLimits): { limiter: IoLimiter; time: ManualTime } {
  const time = new ManualTime();
  return { limiter: new IoLimiter(limits, time), time };
}

describe('IoLimiter', () => {
  test('keeps to the operations per second, beyond a burst of 100 ms', () => {
    const { limiter, time } = createLimiter({ readIops: 1000 });
    let started = 0;
    for (let index = 0; index < 5000; index++) limiter.read(4096, () => started++);
    expect(started).toBeLessThanOrEqual(burstMs + 1);
    const before = started;
    time.advance(1000);
    expect(started - before).toBeGreaterThanOrEqual(999);
    expect(started - before).toBeLessThanOrEqual(1001);
    time.advance(10_000);
    expect(started).toBe(5000);
    expect(time.timerCount).toBe(0);
  });

  test.each([
    [512, 5],
    [4096, 20],
    [128 * 1024, 50],
    [32 * 1024 * 1024, 400],
  ])(
    'keeps to the bytes per second with requests of %d bytes, over %d seconds',
    (sizeBytes, seconds) => {
      const bytesPerSecond = 1024 * 1024;
      const { limiter, time } = createLimiter({ writeBytesPerSecond: bytesPerSecond });
      let bytes = 0;
      // As a client with some requests under way does: the next comes when one was started.
      const submit = (): void => {
        limiter.write(sizeBytes, () => {
          bytes += sizeBytes;
          queue++;
        });
      };
      let queue = 0;
      for (let index = 0; index < 32; index++) submit();
      for (let tick = 0; tick < seconds * 100; tick++) {
        time.advance(10);
        for (; queue > 0; queue--) submit();
      }
      expect(bytes).toBeLessThanOrEqual(bytesPerSecond * (seconds + burstMs / 1000) + sizeBytes);
      expect(bytes).toBeGreaterThanOrEqual(bytesPerSecond * (seconds - 1) - sizeBytes);
    },
  );

  test('lets go what is held back in the order in which it came, whatever its size', () => {
    const { limiter, time } = createLimiter({ readBytesPerSecond: 4096 });
    const order: number[] = [];
    const sizes = [409_600, 512, 4096, 1, 65536, 8];
    sizes.forEach((size, index) => limiter.read(size, () => order.push(index)));
    expect(order).toEqual([0]);
    time.advance(1_000_000);
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('does not let writes wait for reads, nor reads for writes', () => {
    const { limiter } = createLimiter({ readIops: 1, writeIops: 1 });
    const started: string[] = [];
    limiter.read(1, () => started.push('read'));
    limiter.read(1, () => started.push('late read'));
    limiter.write(1, () => started.push('write'));
    expect(started).toEqual(['read', 'write']);
  });

  test('does not hold back what has no limit', () => {
    const { limiter, time } = createLimiter({ readIops: 1 });
    let started = 0;
    for (let index = 0; index < 10_000; index++) limiter.write(1024 * 1024, () => started++);
    expect(started).toBe(10_000);
    expect(time.timerCount).toBe(0);
  });

  test('saves up no more than the burst while nothing is asked for', () => {
    const { limiter, time } = createLimiter({ writeIops: 1000 });
    time.advance(3_600_000);
    let started = 0;
    for (let index = 0; index < 1000; index++) limiter.write(512, () => started++);
    expect(started).toBeLessThanOrEqual(burstMs + 1);
  });

  test('has one timer for all that wait in a lane', () => {
    const { limiter, time } = createLimiter({ readIops: 10, writeIops: 10 });
    for (let index = 0; index < 500; index++) {
      limiter.read(1, () => undefined);
      limiter.write(1, () => undefined);
    }
    expect(time.timerCount).toBe(2);
  });

  test('a higher limit counts at once, whatever debt the lower one has left', () => {
    const { limiter, time } = createLimiter({ writeBytesPerSecond: 1 });
    let started = 0;
    for (let index = 0; index < 100; index++) limiter.write(1024 * 1024, () => started++);
    time.advance(1000);
    expect(started).toBe(1);
    limiter.setLimits({ writeBytesPerSecond: 100 * 1024 * 1024 });
    time.advance(1000);
    expect(started).toBe(100);
  });

  test('lets everything go in order when the limits are taken away', () => {
    const { limiter, time } = createLimiter({ writeIops: 1 });
    const order: number[] = [];
    for (let index = 0; index < 300; index++) limiter.write(1, () => order.push(index));
    limiter.setLimits({});
    expect(order).toEqual(Array.from({ length: 300 }, (_, index) => index));
    expect(time.timerCount).toBe(0);
  });

  test('counts what it held back, and for how long', () => {
    const { limiter, time } = createLimiter({ readIops: 2 });
    limiter.read(1, () => undefined);
    expect(limiter.counts).toEqual({ count: 0, seconds: 0 });
    limiter.read(1, () => undefined);
    limiter.read(1, () => undefined);
    time.advance(10_000);
    const { count, seconds } = limiter.counts;
    expect(count).toBe(2);
    // Half a second and a whole one, less the burst of each.
    expect(seconds).toBeCloseTo(0.4 + 0.9, 5);
  });

  test('waits longer than a timer of Node.js can', () => {
    const { limiter, time } = createLimiter({ readBytesPerSecond: 1 });
    let started = 0;
    limiter.read(5_000_000, () => started++);
    limiter.read(1, () => started++);
    time.advance(4_999_000_000);
    expect(started).toBe(1);
    time.advance(2_000_000);
    expect(started).toBe(2);
  });

  test.each([
    [{}, true],
    [{ readIops: undefined }, true],
    [{ writeIops: 1 }, false],
  ])('isUnlimited(%j) is %s', (limits, expected) => {
    expect(IoLimiter.isUnlimited(limits)).toBe(expected);
  });
});
