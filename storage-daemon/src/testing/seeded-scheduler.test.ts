import { describe, expect, test } from '@jest/globals';

import { SeededRandom } from './seeded-random.ts';
import { SeededScheduler, drainMicrotasks } from './seeded-scheduler.ts';

async function runAll(scheduler: SeededScheduler): Promise<void> {
  while (scheduler.step()) await drainMicrotasks();
}

async function orderOf(seed: number): Promise<string> {
  const scheduler = new SeededScheduler(new SeededRandom(seed));
  const order: number[] = [];
  for (let task = 0; task < 20; task++) scheduler.enqueue(() => order.push(task));
  await runAll(scheduler);
  return order.join(' ');
}

describe('SeededScheduler', () => {
  test('runs every task once, in an order that only the seed decides', async () => {
    const first = await orderOf(1);
    expect(first.split(' ').toSorted().length).toBe(20);
    expect(await orderOf(1)).toBe(first);
    expect(await orderOf(2)).not.toBe(first);
  });

  test('a timer never runs early, and hours pass at once when nothing else is ready', async () => {
    const scheduler = new SeededScheduler(new SeededRandom(1), { startMs: 1000 });
    let ranAtMs = 0;
    scheduler.environment.after(3_600_000, () => {
      ranAtMs = scheduler.environment.nowMs();
    });
    await runAll(scheduler);
    expect(ranAtMs).toBeGreaterThanOrEqual(3_601_000);
  });

  test('a cancelled timer does not run, even when it was already due', async () => {
    const scheduler = new SeededScheduler(new SeededRandom(1));
    let ran = false;
    const cancel = scheduler.environment.after(1, () => {
      ran = true;
    });
    cancel();
    await runAll(scheduler);
    expect(ran).toBe(false);
  });

  test('promise jobs of one step are all done before the next step', async () => {
    const scheduler = new SeededScheduler(new SeededRandom(1));
    const events: string[] = [];
    const chain = async (name: string) => {
      await scheduler.environment.yieldTurn();
      for (let hop = 0; hop < 5; hop++) {
        await Promise.resolve();
        events.push(name);
      }
    };
    const ends = [chain('a'), chain('b')];
    await runAll(scheduler);
    await Promise.all(ends);
    expect(['aaaaabbbbb', 'bbbbbaaaaa']).toContain(events.join(''));
  });

  test('stop() drops what was waiting and what comes later', async () => {
    const scheduler = new SeededScheduler(new SeededRandom(1));
    let ran = false;
    scheduler.enqueue(() => {
      ran = true;
    });
    scheduler.stop();
    scheduler.enqueue(() => {
      ran = true;
    });
    scheduler.environment.after(0, () => {
      ran = true;
    });
    expect(scheduler.step()).toBe(false);
    await drainMicrotasks();
    expect(ran).toBe(false);
  });
});
