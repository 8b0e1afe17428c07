/** A piece of simulation that one thread does by itself, and its outcome; both can be sent between threads. */
import { assertNever } from '@varve/common/assert';

import { runExhaustively } from './exhaustive.ts';
import { runFaultScenarios } from './fault-scenarios.ts';
import { profiles } from './profiles.ts';
import type { StoreEngine } from './simulated-machine.ts';
import { simulate } from './simulator.ts';

/** What is to be run. */
export type SimulationTask =
  | {
      readonly type: 'seed';
      readonly seed: number;
      readonly profile: string;
      readonly keepTrace: boolean;
    }
  | {
      readonly type: 'sequences';
      readonly lengthMax: number;
      readonly shard: { readonly index: number; readonly count: number };
      readonly hasVolatileCache: boolean;
      readonly overlapped: boolean;
    }
  | {
      readonly type: 'faults';
      readonly shard: { readonly index: number; readonly count: number };
    };

/** What came of it. */
export interface SimulationOutcome {
  readonly operationCount: number;
  readonly crashCount: number;
  /** One text per broken promise. */
  readonly failures: readonly string[];
  readonly trace: readonly string[];
}

/** Every so many seeds one is run twice, to prove that runs are repeatable. */
const repeatInterval = 20;
/** Failures after which a task of many sequences gives up. */
const failuresMax = 3;

/** Runs a task; never throws for a failure of the store. */
export async function performTask(
  task: SimulationTask,
  engine: StoreEngine,
): Promise<SimulationOutcome> {
  switch (task.type) {
    case 'seed': {
      const profile = profiles[task.profile] ?? {};
      const { seed, keepTrace } = task;
      const report = await simulate({ seed, profile, keepTrace }, engine);
      const failures = report.failure === undefined ? [] : [report.failure];
      if (seed % repeatInterval === 0 && failures.length === 0) {
        const again = await simulate({ seed, profile, keepTrace: false }, engine);
        if (again.fingerprint !== report.fingerprint) failures.push('two runs of this seed differ');
      }
      return { ...report, failures };
    }
    case 'sequences': {
      const report = await runExhaustively({ ...task, failuresMax }, engine);
      return {
        operationCount: report.operationCount,
        crashCount: report.stateCount,
        failures: report.failures,
        trace: [],
      };
    }
    case 'faults': {
      const report = await runFaultScenarios({ ...task, failuresMax }, engine);
      return { ...report, trace: [] };
    }
    default:
      return assertNever(task, 'task');
  }
}

/** How people name a task. */
export function describeTask(task: SimulationTask): string {
  switch (task.type) {
    case 'seed':
      return `seed ${task.seed}`;
    case 'sequences':
      return `sequences, part ${task.shard.index} of ${task.shard.count}`;
    case 'faults':
      return `fault scenarios, part ${task.shard.index} of ${task.shard.count}`;
    default:
      return assertNever(task, 'task');
  }
}

/** The command that runs a task again by itself. */
export function replayCommand(task: SimulationTask): string {
  const command = 'npm run simulate --';
  switch (task.type) {
    case 'seed':
      return `${command} --seeds 1 --first-seed ${task.seed} --profile ${task.profile} --trace`;
    case 'sequences': {
      const { index, count } = task.shard;
      return `${command} --sequences ${task.lengthMax} --shard ${index}/${count}`;
    }
    case 'faults':
      return `${command} --faults --shard ${task.shard.index}/${task.shard.count}`;
    default:
      return assertNever(task, 'task');
  }
}
