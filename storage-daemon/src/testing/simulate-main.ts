/**
 * `npm run simulate`: random histories, exhaustive sequences or faults, on threads, with progress and one line of
 * totals.
 */
import { parseArgs } from 'node:util';

import { profiles } from './runs/profiles.ts';
import { describeTask, replayCommand, type SimulationTask } from './runs/simulation-task.ts';
import { runOnThreads, type FinishedTask } from './runs/simulation-threads.ts';

const usage = `Runs the block store on simulated devices, crashes it, and judges what recovery finds.

  npm run simulate -- [options]

  --seeds N          random histories to run (default 500)
  --first-seed S     the first seed (default 1)
  --profile NAME     kind of history: ${Object.keys(profiles).join(', ')} (default usual)
  --sequences L      all sequences of up to L operations (1 or 2) with every crash state, instead of seeds
  --faults           an I/O error at every request, and full pools, instead of seeds
  --shard I/N        only this part of sequences or faults
  --workers N        threads (default 2)
  --failures-max N   stop after so many failures (default 5)
  --seed-timeout MS  a task that takes longer has failed (default 120000)
  --trace            print all that happens in a seed
  --help             this text

The last line holds the totals; the exit code is 1 after a failure.`;

/** Parts that exhaustive runs are cut into. */
const sequenceShards = 60;
const faultShards = 20;
const progressIntervalMs = 5000;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '500' },
    'first-seed': { type: 'string', default: '1' },
    profile: { type: 'string', default: 'usual' },
    sequences: { type: 'string' },
    faults: { type: 'boolean', default: false },
    shard: { type: 'string' },
    workers: { type: 'string', default: '2' },
    'failures-max': { type: 'string', default: '5' },
    'seed-timeout': { type: 'string', default: '120000' },
    trace: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function naturalNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  console.error(`Reading --${name} failed: "${text}" is not a natural number`);
  return process.exit(2);
}

function shards(count: number): { index: number; count: number }[] {
  const given = values.shard;
  if (given === undefined) return Array.from({ length: count }, (_, index) => ({ index, count }));
  const [index, of] = given.split('/').map(Number);
  return [{ index: index ?? 0, count: of ?? count }];
}

function* seedTasks(): Generator<SimulationTask> {
  const first = naturalNumber('first-seed', values['first-seed']);
  const count = naturalNumber('seeds', values.seeds);
  for (let seed = first; seed < first + count; seed++) {
    yield { type: 'seed', seed, profile: values.profile, keepTrace: values.trace };
  }
}

function* sequenceTasks(lengthMax: number): Generator<SimulationTask> {
  for (const hasVolatileCache of [true, false]) {
    for (const overlapped of [false, true]) {
      for (const shard of shards(sequenceShards)) {
        yield { type: 'sequences', lengthMax, shard, hasVolatileCache, overlapped };
      }
    }
  }
}

function* faultTasks(): Generator<SimulationTask> {
  for (const shard of shards(faultShards)) yield { type: 'faults', shard };
}

function chooseTasks(): { tasks: Generator<SimulationTask>; unit: string } {
  if (values.sequences !== undefined) {
    return { tasks: sequenceTasks(naturalNumber('sequences', values.sequences)), unit: 'parts' };
  }
  if (values.faults) return { tasks: faultTasks(), unit: 'parts' };
  return { tasks: seedTasks(), unit: 'seeds' };
}

if (values.help) {
  console.log(usage);
  process.exit(0);
}
if (profiles[values.profile] === undefined) {
  console.error(
    `Reading --profile failed: "${values.profile}" is none of ${Object.keys(profiles).join(', ')}`,
  );
  process.exit(2);
}

const totals = { tasks: 0, operations: 0, crashes: 0, failures: 0 };
const { tasks, unit } = chooseTasks();
const failuresMax = naturalNumber('failures-max', values['failures-max']);
let shownAtMs = Date.now();

function onFinished({ task, outcome }: FinishedTask): boolean {
  totals.tasks++;
  totals.operations += outcome.operationCount;
  totals.crashes += outcome.crashCount;
  totals.failures += outcome.failures.length;
  for (const line of outcome.trace) console.log(line);
  for (const failure of outcome.failures) {
    console.log(`${describeTask(task)} failed: ${failure}\n  replay: ${replayCommand(task)}`);
  }
  if (Date.now() - shownAtMs > progressIntervalMs) {
    shownAtMs = Date.now();
    console.log(`  ... ${totals.tasks} ${unit}, ${totals.crashes} crashes`);
  }
  return totals.failures < failuresMax;
}

const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
await runOnThreads(tasks, {
  threadCount: naturalNumber('workers', values.workers),
  threadModule: new URL(`simulate-thread${extension}`, import.meta.url),
  answerTimeoutMs: naturalNumber('seed-timeout', values['seed-timeout']),
  onFinished,
});
console.log(
  `${unit} ${totals.tasks}, operations ${totals.operations}, crashes ${totals.crashes}, failures ${totals.failures}`,
);
process.exitCode = totals.failures > 0 ? 1 : 0;
