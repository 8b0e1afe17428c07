/** A reactor's thread for tests: stores in memory, no exports. */
import { parentPort } from 'node:worker_threads';

import { assert } from '@varve/common/assert';

import { runReactor } from '../reactor/run-reactor.ts';
import { memoryEngine } from './memory-engine.ts';
import { noExports } from './no-exports.ts';

assert(parentPort !== null, 'this module is the entry of a thread');
runReactor(parentPort, { engine: memoryEngine, createExports: () => noExports });
