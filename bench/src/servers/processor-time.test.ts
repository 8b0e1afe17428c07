import { describe, expect, test } from '@jest/globals';

import { parseThreadStat, processorTime } from './processor-time.ts';

describe('processor time', () => {
  test('is found behind a name with spaces and parentheses', () => {
    const line = '7 (a (b) c) S 1 7 7 0 -1 4194304 100 0 0 0 250 40 0 0 20 0 1 0 100 0 0';
    expect(parseThreadStat(line)).toEqual({ name: 'a (b) c', userTicks: 250, systemTicks: 40 });
  });

  test('of this process is what Node says, to a tick of each thread', () => {
    const { userSeconds, systemSeconds } = processorTime(process.pid);
    const { user, system } = process.cpuUsage();
    expect(Math.abs(userSeconds + systemSeconds - (user + system) / 1e6)).toBeLessThan(1);
  });

  test('of a thread that is not there is none', () => {
    expect(processorTime(process.pid, 'no such thread')).toEqual({
      userSeconds: 0,
      systemSeconds: 0,
    });
  });
});
