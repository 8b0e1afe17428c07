/** The entry of a reactor's thread: says what a reactor is made of in production. */
import { parentPort, workerData } from 'node:worker_threads';

import { assert } from '@varve/common/assert';

import { Connections } from './connections.ts';
import { chooseIoEngine } from './io-engine.ts';
import { markAsIoFlusher } from './memory-pressure.ts';
import type { ReactorThreadOptions } from './messages.ts';
import { createBlockStoreEngine } from './pools/block-store-engine.ts';
import { runReactor } from './run-reactor.ts';

assert(parentPort !== null, 'this module is the entry of a thread');
runReactor(parentPort, ({ log }) => {
  const { ioEngine } = workerData as ReactorThreadOptions;
  markAsIoFlusher(log);
  return {
    engine: createBlockStoreEngine(chooseIoEngine(ioEngine), log),
    createExports: (volumes) => new Connections({ volumes, log }),
  };
});
