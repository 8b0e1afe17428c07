import { beforeEach, describe, expect, test } from '@jest/globals';
import { InvariantError } from '@varve/common/assert';
import { ManualClock } from '@varve/common/testing/manual-clock';
import { Registry } from 'prom-client';
import { WorkqueueMetrics } from './kube-metrics.ts';
import type { WorkqueueOptions } from './workqueue.ts';
import { Workqueue } from './workqueue.ts';

const options: WorkqueueOptions = {
  name: 'test',
  backoff: { firstMs: 100, longestMs: 1000, jitter: 0 },
  retryBucket: { ratePerSecond: 1000, burst: 1000 },
  keysMax: 10,
};

let clock: ManualClock;
let registry: Registry;

function createQueue(overrides: Partial<WorkqueueOptions> = {}): Workqueue {
  const metrics = new WorkqueueMetrics(registry);
  return new Workqueue({ ...options, ...overrides }, { clock, metrics, random: () => 0.5 });
}

async function drain(queue: Workqueue): Promise<string[]> {
  const keys: string[] = [];
  while (queue.depth > 0) {
    const key = (await queue.take())!;
    keys.push(key);
    queue.done(key);
  }
  return keys;
}

beforeEach(() => {
  clock = new ManualClock();
  registry = new Registry();
});

describe('Workqueue', () => {
  test('gives keys out in the order in which they became ready, each once', async () => {
    const queue = createQueue();
    for (const key of ['b', 'a', 'b', 'c', 'a']) queue.add(key);
    expect(await drain(queue)).toEqual(['b', 'a', 'c']);
  });

  test('never gives out a key that is being worked on, and not forgets it either', async () => {
    const queue = createQueue();
    queue.add('a');
    expect(await queue.take()).toBe('a');
    queue.add('a');
    queue.add('a');
    expect(queue.depth).toBe(0);
    queue.done('a');
    expect(await drain(queue)).toEqual(['a']);
  });

  test('hands a key to a worker that has been waiting for it', async () => {
    const queue = createQueue();
    const first = queue.take();
    const second = queue.take();
    queue.add('a');
    queue.add('b');
    expect(await first).toBe('a');
    expect(await second).toBe('b');
    queue.add('a');
    queue.done('b');
    expect(queue.depth).toBe(0);
    queue.done('a');
    expect(queue.depth).toBe(1);
  });

  test('of several delays the earliest counts, and an add without delay supersedes it', async () => {
    const queue = createQueue();
    queue.addAfter('a', 500);
    queue.addAfter('a', 200);
    queue.addAfter('a', 900);
    queue.addAfter('b', 300);
    await clock.advance(199);
    expect(queue.depth).toBe(0);
    await clock.advance(1);
    expect(await drain(queue)).toEqual(['a']);
    queue.add('b');
    expect(await drain(queue)).toEqual(['b']);
    await clock.advance(10_000);
    expect(queue.depth).toBe(0);
    expect(clock.timerCount).toBe(0);
  });

  test('a delay that ends while the key is being worked on makes it ready again afterwards', async () => {
    const queue = createQueue();
    queue.add('a');
    await queue.take();
    queue.addAfter('a', 10);
    await clock.advance(10);
    expect(queue.depth).toBe(0);
    queue.done('a');
    expect(queue.depth).toBe(1);
  });

  test('backs off per key, exponentially up to the longest wait, until the key is forgotten', async () => {
    const queue = createQueue();
    const waits: number[] = [];
    for (let failure = 1; failure <= 6; failure++) {
      const waitMs = queue.addRateLimited('a');
      waits.push(waitMs);
      await clock.advance(waitMs);
    }
    expect(waits).toEqual([100, 200, 400, 800, 1000, 1000]);
    expect(queue.addRateLimited('b')).toBe(100);
    expect(queue.failureCountOf('a')).toBe(6);
    queue.forget('a');
    expect(queue.addRateLimited('a')).toBe(100);
  });

  test('counts no failure that an event brought on before the retry was due', async () => {
    const queue = createQueue();
    await clock.advance(queue.addRateLimited('a'));
    expect(queue.addRateLimited('a')).toBe(200);
    for (const elapsedMs of [50, 100]) {
      await clock.advance(50);
      queue.add('a');
      expect(await drain(queue)).toEqual(['a']);
      expect(queue.addRateLimited('a')).toBe(200 - elapsedMs);
      expect(queue.failureCountOf('a')).toBe(2);
    }
    await clock.advance(100);
    expect(await drain(queue)).toEqual(['a']);
    expect(queue.addRateLimited('a')).toBe(400);
  });

  test('waits at least as long as the other side asked for', () => {
    expect(createQueue().addRateLimited('a', 5000)).toBe(5000);
  });

  test('spreads the retries of many keys by the common bucket', () => {
    const queue = createQueue({
      backoff: { firstMs: 1, longestMs: 1, jitter: 0 },
      retryBucket: { ratePerSecond: 10, burst: 2 },
    });
    const waits = ['a', 'b', 'c', 'd'].map((key) => queue.addRateLimited(key));
    expect(waits).toEqual([1, 1, 100, 200]);
  });

  test('refuses keys beyond its bound, counted, but never a key that it knows', async () => {
    const queue = createQueue({ keysMax: 2 });
    for (const key of ['a', 'b', 'c', 'a', 'b']) queue.add(key);
    queue.addAfter('d', 5);
    expect(await drain(queue)).toEqual(['a', 'b']);
    expect(await registry.metrics()).toContain(
      'varve_operator_workqueue_refused_total{queue="test"} 2',
    );
  });

  test('shows depth, age and time of work', async () => {
    const queue = createQueue();
    queue.add('a');
    queue.add('b');
    await clock.advance(2000);
    await queue.take();
    await clock.advance(500);
    const text = await registry.metrics();
    expect(text).toContain('varve_operator_workqueue_depth{queue="test"} 1');
    expect(text).toContain('varve_operator_workqueue_oldest_seconds{queue="test"} 2.5');
    expect(text).toContain('varve_operator_workqueue_longest_work_seconds{queue="test"} 0.5');
    expect(text).toContain('varve_operator_workqueue_wait_seconds_sum{queue="test"} 2');
  });

  test('close() tells whoever waits, gives out nothing more, and leaves no timer', async () => {
    const queue = createQueue();
    const waiting = queue.take();
    queue.addAfter('a', 10);
    queue.close();
    expect(await waiting).toBeUndefined();
    queue.add('b');
    expect(await queue.take()).toBeUndefined();
    expect(clock.timerCount).toBe(0);
  });

  test('done() without take() is our own bug', () => {
    expect(() => createQueue().done('a')).toThrow(InvariantError);
  });
});
