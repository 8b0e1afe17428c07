/** The entry of a reactor's thread: says what a reactor is made of in production. */
import { parentPort } from 'node:worker_threads';

import { assert } from '@varve/common/assert';

import { Connections } from './connections.ts';
import { blockStoreEngine } from './pools/block-store-engine.ts';
import { runReactor } from './run-reactor.ts';

assert(parentPort !== null, 'this module is the entry of a thread');
runReactor(parentPort, {
  engine: blockStoreEngine,
  createExports: (volumes, { log }) => new Connections({ volumes, log }),
});
