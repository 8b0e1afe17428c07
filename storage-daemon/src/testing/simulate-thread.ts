/** What each thread of the simulator runs: answers every task by its outcome. */
import { parentPort } from 'node:worker_threads';

import { assert } from '@varve/common/assert';

import { performTask, type SimulationTask } from './runs/simulation-task.ts';
import { storeEngine } from './store-engine.ts';

const port = parentPort;
assert(port !== null, 'this module runs in a worker thread');
port.on('message', (task: SimulationTask) => {
  void performTask(task, storeEngine).then((outcome) => port.postMessage(outcome));
});
