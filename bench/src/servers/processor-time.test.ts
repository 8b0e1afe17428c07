import { spawnSync } from 'node:child_process';

import { describe, expect, test } from '@jest/globals';

import { parseThreadStat, processorTime } from './processor-time.ts';

describe('processor time', () => {
  test('is found behind a name with spaces and parentheses', () => {
    const line = '7 (a (b) c) S 1 7 7 0 -1 4194304 100 0 0 0 250 40 0 0 20 0 1 0 100 0 0';
    expect(parseThreadStat(line)).toEqual({ name: 'a (b) c', userTicks: 250, systemTicks: 40 });
  });

  // In a process of its own: Node also counts the threads that have ended, of which this one may have had many.
  test('of a process is what Node says, to a tick of each thread', () => {
    const module = new URL('./processor-time.js', import.meta.url).href;
    const script = `
      import { processorTime } from ${JSON.stringify(module)};
      while (process.cpuUsage().user < 500_000);
      const { userSeconds, systemSeconds } = processorTime(process.pid);
      const { user, system } = process.cpuUsage();
      console.log(JSON.stringify({ ours: userSeconds + systemSeconds, node: (user + system) / 1e6 }));`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    const { ours, node } = JSON.parse(stdout) as { ours: number; node: number };
    expect(node).toBeGreaterThan(0.5);
    expect(Math.abs(ours - node)).toBeLessThan(0.2);
  });

  test('of a thread that is not there is none', () => {
    expect(processorTime(process.pid, 'no such thread')).toEqual({
      userSeconds: 0,
      systemSeconds: 0,
    });
  });
});
