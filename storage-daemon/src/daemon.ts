/**
 * The daemon of this process, wired: state folder, reactor thread, pools, REST listeners. It starts in an
 * order in which nothing answers before it can, and stops in the reverse:
 *
 *   start: lock the state folder; start the reactor, NBD listens; REST listens (and answers `unavailable`);
 *   open the pools; NVMe/TCP listens
 *   stop:  answer `unavailable`, finish REST calls under way; finish NBD requests; checkpoint
 *   and close pools; unlock
 */

import { type Clock, systemClock } from '@varve/common/clock';
import { KeyedLock } from '@varve/common/keyed-lock';
import type { Logger } from '@varve/common/logger';
import type { Info } from '@varve/contract/info';
import type { FastifyInstance } from 'fastify';

import type { DaemonConfig } from './config.ts';
import { DaemonMetrics } from './daemon/daemon-metrics.ts';
import { EventHub } from './daemon/event-hub.ts';
import { KnownPools } from './daemon/known-pools.ts';
import { ReactorWatch } from './daemon/reactor-watch.ts';
import { Reactors } from './daemon/reactors/reactors.ts';
import { StateFile } from './daemon/state-file.ts';
import { createHttpServer } from './http/http-server.ts';
import type { HttpServices } from './http/http-services.ts';
import { listen } from './http/listen.ts';
import { openAccess } from './http/access/listener-access.ts';
import { daemonVersion } from './version.ts';

/** REST calls under way may take this long to finish when the daemon stops. */
const drainTimeoutMs = 20_000;

/** What a daemon is wired with. */
export interface DaemonDependencies {
  readonly logger: Logger;
  /** The module that a reactor's thread runs. */
  readonly reactorEntry: URL;
  /** A bug of ours ended the reactor: the process must end at once, a restart replays the journal. */
  readonly onCrash: (error: unknown) => void;
  readonly clock?: Clock;
}

/** A running daemon. */
export interface Daemon {
  /** Endpoints for `DaemonClient`, in the order of the configuration. */
  readonly endpoints: readonly string[];
  /** Where NBD clients connect. */
  readonly exports: Info['exports'];
  /** Drains, checkpoints, gives everything back. May be called twice. */
  close(): Promise<void>;
}

/**
 * Starts a daemon; resolves when every known pool is open or known to be closed. @throws StateFileError,
 * ProblemError
 */
export async function startDaemon(
  config: DaemonConfig,
  dependencies: DaemonDependencies,
): Promise<Daemon> {
  const stateFile = StateFile.open(config.stateFolder);
  const parts = createParts(config, stateFile, dependencies);
  const { reactors, pools, watches, stopping } = parts;
  const servers: FastifyInstance[] = [];
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    stopping.abort();
    for (const watch of watches) watch.stop();
    await Promise.all([pools.stop(), ...servers.map(closeServer)]);
    await reactors.shutDown();
    stateFile.close();
  };
  try {
    const { mapMemoryBytes, deallocateBytesPerSecond } = config;
    const settings = { mapMemoryBytes, deallocateBytesPerSecond };
    const exports = [...(await reactors.start(settings, config.nbdListen))];
    parts.metrics.setIoEngines(reactors.ioEngines);
    const services = createServices(config, parts, { ...dependencies, exports });
    const endpoints: string[] = [];
    for (const address of config.listen) {
      const access = openAccess(config, address, dependencies.logger);
      const server = await createHttpServer({ version: daemonVersion, ...access }, services);
      servers.push(server);
      endpoints.push(await listen(server, address));
    }
    await pools.start();
    if (config.nvmeListen.length > 0) {
      exports.push(...(await reactors.listenForNvme(config.nvmeListen)));
    }
    for (const watch of watches) watch.start();
    return { endpoints, exports, close: () => (closed ??= close()) };
  } catch (error) {
    await close();
    throw error;
  }
}

interface DaemonParts {
  readonly stateFile: StateFile;
  readonly events: EventHub;
  readonly locks: KeyedLock;
  readonly metrics: DaemonMetrics;
  readonly reactors: Reactors;
  readonly pools: KnownPools;
  readonly watches: readonly ReactorWatch[];
  readonly stopping: AbortController;
}

function createParts(
  { ioEngine, reactors: count }: DaemonConfig,
  stateFile: StateFile,
  { logger, reactorEntry, onCrash, clock = systemClock }: DaemonDependencies,
): DaemonParts {
  const events = new EventHub({ clock, logger });
  const reactors = new Reactors(
    { count, ioEngine, entry: reactorEntry },
    { events, logger, onCrash, hasClosedPool: () => pools.closed.size > 0 },
  );
  const locks = new KeyedLock();
  const metrics = new DaemonMetrics(daemonVersion);
  const pools = new KnownPools({ channel: reactors, stateFile, events, clock, logger });
  const watches = reactors.fleet.reactors.map(
    ({ channel, index }) => new ReactorWatch({ channel, reactor: index, metrics, clock, logger }),
  );
  return {
    stateFile,
    events,
    locks,
    metrics,
    reactors,
    pools,
    watches,
    stopping: new AbortController(),
  };
}

function createServices(
  config: DaemonConfig,
  { stateFile, events, locks, metrics, reactors, pools, stopping }: DaemonParts,
  {
    logger,
    exports,
    clock = systemClock,
  }: DaemonDependencies & { readonly exports: Info['exports'] },
): HttpServices {
  const startedAt = new Date(clock.nowMs()).toISOString();
  const readInfo = (): Info => ({
    daemonId: stateFile.daemonId,
    name: config.name,
    version: daemonVersion,
    apiVersions: ['v1'],
    features: [
      'snapshots',
      'clones',
      'reverts',
      'filesystem-state',
      'locked-snapshots',
      'nbd',
      'nvme-tcp',
      'host-grants',
      'dh-hmac-chap',
      'limits',
      'roles',
    ],
    startedAt,
    reactors: reactors.describe(Object.keys(stateFile.pools)),
    exports: [...exports],
  });
  const { signal } = stopping;
  return {
    channel: reactors,
    readCounters: () => reactors.readCounters(),
    readFailures: () => reactors.failures,
    pools,
    events,
    metrics,
    locks,
    logger,
    readInfo,
    stopping: signal,
  };
}

/**
 * Ends idle connections at once, others after their call; a call that does not end is left behind after a
 * while.
 */
async function closeServer(server: FastifyInstance): Promise<void> {
  const timeout = setTimeout(() => server.server.closeAllConnections(), drainTimeoutMs);
  await server.close();
  clearTimeout(timeout);
}
