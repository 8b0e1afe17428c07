/**
 * A reactor's thread: joins the control side and the connections, and serves the main thread's calls. The
 * thread's entry says which engine and which connections it uses.
 *
 * An error that is no expected failure is thrown out of the thread: the main thread then logs it and ends
 * the process at once.
 */
import { createOperations } from './control/control.ts';
import { OpenPools } from './pools/open-pools.ts';
import { createReactorEnvironment } from './control/reactor-environment.ts';
import type { StoreEngine } from './pools/store-engine.ts';
import { noticesTo, serveChannel, type ChannelPort, type ReactorNotices } from './channel.ts';
import type { ExportServer } from './export-server.ts';
import { tellOfNodes } from './node-records.ts';
import { VolumeTable } from '../volume/volume-table.ts';

/** What a reactor is made of. */
export interface ReactorParts {
  readonly engine: StoreEngine;
  readonly createExports: (parts: ExportsParts) => ExportServer;
}

/** What exports are made from. */
export interface ExportsParts {
  readonly pools: OpenPools;
  readonly volumes: VolumeTable;
  readonly log: ReactorNotices['log'];
  /** Monotonic milliseconds. */
  readonly clockMs: () => number;
}

/** Serves calls that come through `port`, from now on. */
export function runReactor(
  port: ChannelPort,
  createParts: (notices: ReactorNotices) => ReactorParts,
  { isOneOfMany = false }: { readonly isOneOfMany?: boolean } = {},
): void {
  const plain = noticesTo(port);
  const { engine, createExports } = createParts(plain);
  const environment = createReactorEnvironment(plain);
  const pools = new OpenPools(engine, environment);
  const notices = isOneOfMany ? tellOfNodes(plain, pools) : plain;
  const clockMs = (): number => performance.now();
  const volumes = new VolumeTable({ nodes: pools.asNodeFinder(), clockMs });
  const exports = createExports({ pools, volumes, log: notices.log, clockMs });
  const shared = { pools, volumes, environment, notices };
  serveChannel(port, createOperations({ engine, exports }, shared), (error) => {
    // Out of the promise chain, so that it ends the thread whatever handlers there are.
    setImmediate(() => {
      throw error;
    });
  });
}
