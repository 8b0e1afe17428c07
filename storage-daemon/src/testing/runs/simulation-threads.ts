/** Runs simulation tasks on worker threads: one task at a time per thread, the next when it has answered. */
import { Worker } from 'node:worker_threads';

import type { SimulationOutcome, SimulationTask } from './simulation-task.ts';

/** A task with what came of it. */
export interface FinishedTask {
  readonly task: SimulationTask;
  readonly outcome: SimulationOutcome;
}

/** Runs all tasks; stops early when `onFinished` returns false. */
export async function runOnThreads(
  tasks: Iterator<SimulationTask>,
  options: {
    readonly threadCount: number;
    /** The module that each thread runs; it answers every task by an outcome. */
    readonly threadModule: URL;
    /** A thread that has not answered for so long is stuck in a loop: it is ended, and the task has failed. */
    readonly answerTimeoutMs: number;
    readonly onFinished: (finished: FinishedTask) => boolean;
  },
): Promise<void> {
  let isEnding = false;
  const work = async () => {
    let worker = new Worker(options.threadModule);
    for (let next = tasks.next(); next.done !== true && !isEnding; next = tasks.next()) {
      const task = next.value;
      const outcome = await askThread(worker, task, options.answerTimeoutMs);
      if (outcome.isLost) {
        await worker.terminate();
        worker = new Worker(options.threadModule);
      }
      if (!options.onFinished({ task, outcome })) isEnding = true;
    }
    await worker.terminate();
  };
  await Promise.all(Array.from({ length: options.threadCount }, work));
}

interface Answer extends SimulationOutcome {
  /** The thread cannot be used any more. */
  readonly isLost?: boolean;
}

function askThread(worker: Worker, task: SimulationTask, answerTimeoutMs: number): Promise<Answer> {
  return new Promise((resolve) => {
    const lost = (failure: string) =>
      resolve({ operationCount: 0, crashCount: 0, failures: [failure], trace: [], isLost: true });
    const onError = (error: Error) => lost(`the thread died: ${error.stack ?? error.message}`);
    const timer = setTimeout(() => lost(`no answer for ${answerTimeoutMs} ms`), answerTimeoutMs);
    worker.once('error', onError);
    worker.once('message', (outcome: SimulationOutcome) => {
      clearTimeout(timer);
      worker.off('error', onError);
      resolve(outcome);
    });
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage(task);
  });
}
