/** The simulator is itself tested: each rule is broken on purpose, and must be found. Prints the seeds that each took. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';

import { plantedBugs } from './planted-bugs/planted-bugs.ts';
import { runWithBug, type PlantedBug, type PlantedBugReport } from './planted-bugs/planted-bug.ts';
import { applyPatch, patchVariable, type SourcePatch } from './planted-bugs/source-patch.ts';

const timeoutMs = 60 * 60_000;
/** Bugs tried at once. */
const threadCount = 2;
/** Seeds of each profile in which the store without a bug must pass. */
const cleanSeedsMax = 40;

async function forEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  const take = async () => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: threadCount }, take));
}

test('every rule of the design that is built has a planted bug', () => {
  const rules = ['R1', 'R2', 'R3', 'R4', 'R5', 'R6', 'R7', 'R8', 'R9', 'R10', 'R11'].concat(
    Array.from({ length: 12 }, (_, index) => `J${index + 1}`),
  );
  const broken = new Set(plantedBugs.map(({ name }) => name.split(':')[0]));
  expect(rules.filter((rule) => !broken.has(rule))).toEqual([]);
  expect(plantedBugs.length).toBeGreaterThanOrEqual(30);
});

test(
  'every planted bug is found',
  async () => {
    const reports = new Map<PlantedBug, PlantedBugReport>();
    await forEach(plantedBugs, async (bug) => {
      reports.set(bug, await runWithBug(bug, bug));
    });
    const lines = plantedBugs.map((bug) => {
      const { isCaught, seedCount } = reports.get(bug)!;
      const seeds = `${isCaught ? 'seed' : 'not in'} ${(bug.firstSeed ?? 1) - 1 + seedCount}`;
      return `${seeds.padEnd(12)} ${bug.profile.padEnd(12)} ${bug.name}`;
    });
    process.stdout.write(`planted bugs, and the seed that found each:\n${lines.join('\n')}\n`);
    expect(lines.filter((line) => !line.startsWith('seed'))).toEqual([]);
  },
  timeoutMs,
);

test(
  'the store without them passes in the same profiles',
  async () => {
    const seeds = new Map<string, number>();
    for (const { profile, seedsMax } of plantedBugs) {
      seeds.set(profile, Math.min(cleanSeedsMax, Math.max(seedsMax, seeds.get(profile) ?? 0)));
    }
    const failures: string[] = [];
    await forEach([...seeds], async ([profile, seedsMax]) => {
      const { isCaught, message } = await runWithBug({ profile, seedsMax }, undefined);
      if (isCaught) failures.push(`${profile}: ${message}`);
    });
    expect(failures).toEqual([]);
  },
  timeoutMs,
);

/** R13 is kept below the simulated device: two openings of one file are its test. */
const lockBug: SourcePatch = {
  file: 'device/device-lock.ts',
  find: 'if (flock(fd, lockExclusive | lockNonBlocking) === 0) return;',
  replace: 'return;',
};

test('R13: a file that is open twice is found when the lock is left out, and only then', () => {
  const sources = new URL('../../src/', import.meta.url);
  const folder = mkdtempSync(join(tmpdir(), 'varve-lock-'));
  const file = join(folder, 'pool.img');
  writeFileSync(file, '');
  truncateSync(file, 2 ** 20);
  const script = `
    const { openFileDevice } = await import(${JSON.stringify(new URL('device/file-device.ts', sources).href)});
    openFileDevice(${JSON.stringify(file)});
    try { openFileDevice(${JSON.stringify(file)}); console.log('opened twice'); }
    catch (error) { console.log('refused', error.kind); }
    process.exit(0);`;
  const openTwice = (patch: SourcePatch | undefined) => {
    const url = new URL(lockBug.file, sources);
    if (patch) applyPatch(readFileSync(url, 'utf8'), patch);
    const loader = new URL('testing/planted-bugs/planted-bug-loader.ts', sources).href;
    const preload = patch ? ['--import', loader] : [];
    const env = { ...process.env, NODE_OPTIONS: '' };
    const result = spawnSync(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', ...preload, '--input-type=module', '-e', script],
      {
        encoding: 'utf8',
        env: patch ? { ...env, [patchVariable]: JSON.stringify({ url: url.href, patch }) } : env,
      },
    );
    return result.stdout.trim() || result.stderr;
  };
  try {
    expect(openTwice(undefined)).toBe('refused in-use');
    expect(openTwice(lockBug)).toBe('opened twice');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
