/** A bug planted into the store on purpose, to prove that the simulator finds it. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { assert } from '@varve/common/assert';

import { runSimulator } from '../runs/simulator-process.ts';
import { applyPatch, patchVariable, type SourcePatch } from './source-patch.ts';

/** A bug, and the runs that must find it. */
export interface PlantedBug extends SourcePatch {
  /** The rule of the design that it breaks, and how. */
  readonly name: string;
  /** The profile of histories in which it shows soonest; the store without the bug passes the same runs. */
  readonly profile: string;
  /** Seeds in which it must be found, from `firstSeed` (1). */
  readonly seedsMax: number;
  readonly firstSeed?: number;
}

/** What came of planting it. */
export interface PlantedBugReport {
  readonly isCaught: boolean;
  /** Seeds that were run, the one that caught it included. */
  readonly seedCount: number;
  /** What the simulator said. */
  readonly message: string;
}

/** A planted bug may turn into an endless loop, which is a way of being found. */
const seedTimeoutMs = 30_000;
/** How sources fail that a patch has broken as such: that is no bug of a store, and finding it proves nothing. */
const brokenPatch = /\b(SyntaxError|ReferenceError)\b|is not a function/;

/** Runs the simulator on the sources with the bug in them; without any if `patch` is undefined. */
export async function runWithBug(
  run: Pick<PlantedBug, 'profile' | 'seedsMax' | 'firstSeed'>,
  patch: SourcePatch | undefined,
): Promise<PlantedBugReport> {
  const sources = sourceFolder();
  const options = {
    seeds: run.seedsMax,
    'first-seed': run.firstSeed ?? 1,
    profile: run.profile,
    workers: 1,
    'failures-max': 1,
    'seed-timeout': seedTimeoutMs,
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const mainModule = fileURLToPath(new URL('testing/simulate-main.ts', sources));
  const result = await runSimulator(mainModule, args, patch && loadPatched(sources, patch));
  const message = /failed: (.*)/.exec(result.text)?.[1] ?? '';
  assert(!brokenPatch.test(message), `the patch of ${patch?.file} does not run: ${message}`);
  return { isCaught: result.failureCount > 0, seedCount: result.taskCount, message };
}

function loadPatched(sources: URL, patch: SourcePatch) {
  const url = new URL(patch.file, sources);
  applyPatch(readFileSync(url, 'utf8'), patch);
  const loader = new URL('testing/planted-bugs/planted-bug-loader.ts', sources);
  return {
    nodeOptions: ['--import', loader.href],
    environment: { [patchVariable]: JSON.stringify({ url: url.href, patch }) },
  };
}

/** `storage-daemon/src/`, whether this file runs from there or from `dist/`. */
function sourceFolder(): URL {
  const sources = new URL('../../../src/', import.meta.url);
  assert(existsSync(sources), `no sources at ${sources.href}: planted bugs need them`);
  return sources;
}
