import { fileURLToPath } from 'node:url';

import { expect, test } from '@jest/globals';

import { runSimulator } from './runs/simulator-process.ts';

/** The simulator's own program, as `npm run simulate` starts it. */
const mainModule = fileURLToPath(new URL('./simulate-main.js', import.meta.url));

/** Seeds of each profile; `npm run simulate` runs as many as you like. */
const seedsPerProfile: Readonly<Record<string, number>> = {
  usual: 240,
  tight: 60,
  errors: 60,
  family: 60,
  durability: 60,
  checkpoints: 40,
  joins: 20,
  reuse: 40,
  loops: 30,
  wide: 40,
  mass: 30,
  paged: 40,
  thrash: 20,
};
const timeoutMs = 15 * 60_000;

test('at least 500 seeds are run', () => {
  const seedCount = Object.values(seedsPerProfile).reduce((sum, count) => sum + count, 0);
  expect(seedCount).toBeGreaterThanOrEqual(500);
});

for (const [profile, seeds] of Object.entries(seedsPerProfile)) {
  test(
    `${seeds} random histories with crashes break no promise (${profile})`,
    async () => {
      const args = ['--seeds', String(seeds), '--profile', profile, '--seed-timeout', '600000'];
      const result = await runSimulator(mainModule, args);
      const summary = `exit ${result.exitCode}, ${result.failureCount} failures\n${result.text}`;
      expect(summary).toMatch(/^exit 0, 0 failures\n/);
      expect(result.taskCount).toBe(seeds);
      expect(result.crashCount).toBeGreaterThan(seeds / 2);
    },
    timeoutMs,
  );
}
