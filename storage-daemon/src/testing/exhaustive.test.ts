import { fileURLToPath } from 'node:url';

import { expect, test } from '@jest/globals';

import { sequenceOperations } from './runs/exhaustive-operations.ts';
import { runSimulator } from './runs/simulator-process.ts';

const mainModule = fileURLToPath(new URL('./simulate-main.js', import.meta.url));
const timeoutMs = 40 * 60_000;

test('there are about 30 operations to make sequences of', () => {
  expect(sequenceOperations.length).toBeGreaterThanOrEqual(30);
});

test(
  'all sequences of up to two operations survive a crash at every device write',
  async () => {
    const args = ['--sequences', '2', '--seed-timeout', String(timeoutMs)];
    const result = await runSimulator(mainModule, args);
    const summary = `exit ${result.exitCode}, ${result.failureCount} failures\n${result.text}`;
    expect(summary).toMatch(/^exit 0, 0 failures\n/);
    // Each sequence runs one after the other and at once, with and without a volatile cache.
    const operations = sequenceOperations.length;
    expect(result.operationCount).toBe(4 * (operations + 2 * operations ** 2));
    expect(result.crashCount).toBeGreaterThan(50_000);
  },
  timeoutMs,
);

test(
  'an I/O error at every request of a history, and full pools, lose nothing',
  async () => {
    const result = await runSimulator(mainModule, ['--faults', '--seed-timeout', '600000']);
    const summary = `exit ${result.exitCode}, ${result.failureCount} failures\n${result.text}`;
    expect(summary).toMatch(/^exit 0, 0 failures\n/);
    expect(result.crashCount).toBeGreaterThan(200);
  },
  timeoutMs,
);
