/** The entry of a reactor's thread: says what a reactor is made of in production. */
import { parentPort, workerData } from 'node:worker_threads';

import { assert } from '@varve/common/assert';

import { daemonVersion } from '../version.ts';
import type { ReactorNotices } from './channel.ts';
import { Connections } from './connections.ts';
import { HostGrants } from './host-grants.ts';
import { chooseIoEngine } from './io-engine.ts';
import { markAsIoFlusher } from './memory-pressure.ts';
import type { ReactorThreadOptions } from './messages.ts';
import { createTransport } from './nbd-transport.ts';
import { NvmeServer } from './nvme/nvme-server.ts';
import { VolumeSubsystems } from './nvme/volume-subsystems.ts';
import { createBlockStoreEngine } from './pools/block-store-engine.ts';
import { ReactorExports } from './reactor-exports.ts';
import { type ReactorParts, runReactor } from './run-reactor.ts';

assert(parentPort !== null, 'this module is the entry of a thread');
const { ioEngine, isOneOfMany } = workerData as ReactorThreadOptions;
const createParts = ({ log }: ReactorNotices): ReactorParts => {
  markAsIoFlusher(log);
  const chosen = chooseIoEngine(ioEngine);
  return {
    engine: createBlockStoreEngine(chosen, log),
    createExports: (parts) => {
      // One for both: they share the buffers of requests.
      const transport = createTransport(chosen.ioRing);
      // Also when an error ends it, while others go on.
      process.once('exit', () => transport.abandon());
      const access = new HostGrants(parts.pools);
      return new ReactorExports({
        nbd: new Connections({ ...parts, transport }),
        nvme: new NvmeServer({
          ...parts,
          transport,
          subsystems: new VolumeSubsystems({ ...parts, access, isOneOfMany }),
          version: daemonVersion,
        }),
      });
    },
  };
};
runReactor(parentPort, createParts, { isOneOfMany });
