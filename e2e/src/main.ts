/** `npm run e2e`: the end-to-end tests, with real peers, on the embedded API server and on the real one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killAllProcesses } from './process/managed-process.ts';
import { parseCommandLine } from './runner/command-line.ts';
import type { EndToEndTest } from './runner/end-to-end-test.ts';
import { formatTable, formatTotals } from './runner/report.ts';
import { holdCluster, runClusters } from './runner/run-clusters.ts';
import { endToEndTests } from './tests/all-tests.ts';
import { ensureTools, type Tools } from './tools/tool-builder.ts';
import { runVmTests } from './vm/run-vm-tests.ts';
import type { VmTest } from './vm/vm-test.ts';
import { vmGroup, vmTests } from './vm/vm-tests.ts';

async function main(): Promise<number> {
  const options = parseCommandLine(
    process.argv.slice(2),
    [...endToEndTests, ...vmTests].map((test) => test.name),
    { [vmGroup]: vmTests.map((test) => test.name) },
  );
  const tests = endToEndTests.filter((test) => options.only?.includes(test.name) ?? true);
  // Virtual machines take minutes without /dev/kvm: only for who asks for them.
  const machines = vmTests.filter((test) => options.only?.includes(test.name) ?? false);
  if (options.list) {
    list(tests, options.only === undefined ? vmTests : machines);
    return 0;
  }
  const isForClusters = options.hold || tests.length > 0;
  const tools = isForClusters ? await ensureTools(process.env, console.log) : noTools;
  if (tools.state === 'missing' && isForClusters) console.log(tools.reason);
  // Short, because a unix socket's path may have 107 bytes.
  const directory = mkdtempSync(join(tmpdir(), 'varve-e2e-'));
  const common = { only: options.cluster, tools, directory, print: console.log };
  const removeDirectory = (): void => rmSync(directory, { recursive: true, force: true });
  if (options.hold) {
    await holdCluster(common, firstInterruption());
    removeDirectory();
    return 0;
  }
  endOnInterruption();
  console.log(`Seed ${options.seed}; logs and images in ${directory}`);
  const { seed } = options;
  const outcomes = [
    ...(tests.length === 0 ? [] : await runClusters({ ...common, tests, seed })),
    ...(await runVmTests({ tests: machines, directory, seed, print: console.log })),
  ];
  // A test that failed may have left a client or a second daemon behind.
  killAllProcesses();
  const failed = outcomes.filter((outcome) => outcome.state === 'failed');
  if (failed.length === 0 && !options.keep) removeDirectory();
  console.log(`\n${formatTable(outcomes)}\n`);
  for (const { test, cluster, reason } of failed) {
    console.log(`${test} on ${cluster} failed: ${reason?.split('\n')[0] ?? 'no reason'}`);
  }
  console.log(formatTotals(outcomes));
  return failed.length === 0 && outcomes.length > 0 ? 0 : 1;
}

const noTools: Tools = { state: 'missing', reason: 'no test needs a cluster' };

function list(tests: readonly EndToEndTest[], machines: readonly VmTest[]): void {
  for (const test of tests) console.log(`${test.name}: ${test.summary}`);
  if (machines.length === 0) return;
  console.log(`\nOnly where they are named, all of them by --only ${vmGroup}:`);
  for (const test of machines) console.log(`${test.name}: ${test.summary}`);
}

const interruptions = ['SIGINT', 'SIGTERM'] as const;

function firstInterruption(): AbortSignal {
  const ended = new AbortController();
  for (const signal of interruptions) process.once(signal, () => ended.abort());
  return ended.signal;
}

/** Nobody else ends the processes that a test started when the run is interrupted. */
function endOnInterruption(): void {
  for (const signal of interruptions) {
    process.once(signal, () => {
      killAllProcesses();
      process.exit(130);
    });
  }
}

process.exitCode = await main();
