/** Runs tests with virtual machines, where the machine has what they need, and says what is left out. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom } from '@varve/storage-daemon/testing/seeded-random';
import { runCommand } from '../process/run-command.ts';
import { messageOf } from '../process/wait-until.ts';
import type { Outcome } from '../runner/end-to-end-test.ts';
import { findPrograms } from '../runner/programs-in-path.ts';
import { ensureGuestImage, guestImagePrograms, type GuestImage } from './image/guest-image.ts';
import { makeProductImage } from './image/product-image.ts';
import type { VmBench, VmTest } from './vm-test.ts';

const neededPrograms = ['qemu-system-x86_64', 'npm', ...guestImagePrograms];

/** What to run, where, and how to tell of it. */
export interface RunVmTestsOptions {
  readonly tests: readonly VmTest[];
  readonly directory: string;
  readonly seed: number;
  readonly print: (line: string) => void;
}

/** Runs the tests in order. */
export async function runVmTests(options: RunVmTestsOptions): Promise<readonly Outcome[]> {
  const { tests, print } = options;
  if (tests.length === 0) return [];
  const leaveOut = (reason: string): readonly Outcome[] => {
    print(`[vm] left out: ${reason}`);
    return tests.map((test) => outcomeOf(test, 'skipped', 0, reason));
  };
  const present = findPrograms([...neededPrograms, ...tests.flatMap((test) => test.programs)]);
  const missing = neededPrograms.filter((program) => !present.has(program));
  if (missing.length > 0) return leaveOut(`${missing.join(', ')} not installed`);
  const guest = await ensureGuestImage(process.env, print);
  if (guest.state === 'missing') return leaveOut(guest.reason);

  const version = (await runCommand('qemu-system-x86_64', ['--version'])).split('\n')[0];
  print(`[vm] ${version}, software emulation; guest: Linux ${guest.image.kernelVersion}`);
  const productImage = join(options.directory, 'product.img');
  await makeProductImage(productImage, join(options.directory, 'product'));
  const outcomes: Outcome[] = [];
  for (const test of tests) {
    const absent = test.programs.filter((program) => !present.has(program));
    if (absent.length > 0) {
      const reason = `${absent.join(', ')} not installed`;
      print(`[vm] ${test.name}: skipped: ${reason}`);
      outcomes.push(outcomeOf(test, 'skipped', 0, reason));
    } else {
      outcomes.push(await runTest(test, options, { image: guest.image, productImage }));
    }
  }
  return outcomes;
}

async function runTest(
  test: VmTest,
  { directory, seed, print }: RunVmTestsOptions,
  images: { readonly image: GuestImage; readonly productImage: string },
): Promise<Outcome> {
  print(`[vm] ${test.name}: ${test.summary}`);
  const startMs = performance.now();
  const ends: (() => Promise<void>)[] = [];
  let explain = async (): Promise<string> => '';
  const ownDirectory = join(directory, test.name.replace(/^vm-/, ''));
  mkdirSync(ownDirectory, { recursive: true });
  const bench: VmBench = {
    ...images,
    directory: ownDirectory,
    random: new SeededRandom(seed),
    note: (line) => print(`[vm]   ${line}`),
    explainWith: (next) => {
      explain = next;
    },
    atEnd: (end) => void ends.push(end),
  };
  let failure: unknown;
  try {
    await withinTime(test, bench);
  } catch (error) {
    failure = error ?? new Error('something without a name was thrown');
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const story = await explain().catch(messageOf);
    print(`[vm] ${test.name} failed: ${stack}\n${story}`);
  }
  for (const end of ends.toReversed())
    await end().catch((error: unknown) => print(messageOf(error)));
  const elapsedMs = performance.now() - startMs;
  const state = failure === undefined ? 'passed' : 'failed';
  print(`[vm] ${test.name}: ${state} in ${(elapsedMs / 1000).toFixed(1)} s`);
  return outcomeOf(test, state, elapsedMs, failure === undefined ? undefined : messageOf(failure));
}

async function withinTime(test: VmTest, bench: VmBench): Promise<void> {
  const finished = new AbortController();
  const limit = sleep(test.timeoutMs, undefined, { signal: finished.signal }).then(
    () => {
      throw new Error(`It took more than ${test.timeoutMs / 1000} s`);
    },
    () => undefined,
  );
  try {
    await Promise.race([test.run(bench), limit]);
  } finally {
    finished.abort();
  }
}

function outcomeOf(
  test: VmTest,
  state: Outcome['state'],
  elapsedMs: number,
  reason?: string,
): Outcome {
  const outcome = { test: test.name, cluster: 'vm', state, elapsedMs } as const;
  return reason === undefined ? outcome : { ...outcome, reason };
}
