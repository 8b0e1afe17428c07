/**
 * Accepts the connections of all clients where several reactors serve them: speaks with each until it has said what it
 * wants, and hands it to the reactor that has that. Lists of exports and NVMe discovery are answered here, for they are
 * about all reactors.
 */
import type { Logger } from '@varve/common/logger';
import { volumeNqnPrefix } from '@varve/contract/host';
import type { Info } from '@varve/contract/info';
import { isProblemError } from '@varve/contract/problem';

import type { NvmeCounters } from '../../nvmf/nvme-counters.ts';
import type { NvmeRefusal, NvmeSubsystems } from '../../nvmf/ports.ts';
import { Connections } from '../../reactor/connections.ts';
import { parseExportName } from '../../reactor/export-name.ts';
import type { NbdListenAddress, NvmeListenAddress } from '../../reactor/messages.ts';
import type { LeavingNbdClient } from '../../reactor/nbd-connection.ts';
import type { ExportedVolumes } from '../../reactor/node-exports.ts';
import { NvmeServer } from '../../reactor/nvme/nvme-server.ts';
import type { LeavingNvmeQueue } from '../../reactor/nvme/nvme-connection.ts';
import type { NodeName } from '../../store/store-api.ts';
import { closeDescriptor } from '../../uring/system-calls.ts';
import { VolumeTableError } from '../../volume/volume-table-error.ts';
import { daemonVersion } from '../../version.ts';
import type { NodeDirectory, PlacedNode } from './node-directory.ts';
import type { FleetReactor, ReactorFleet } from './reactor-fleet.ts';

/** What the front works with. */
export interface ConnectionFrontDependencies {
  readonly fleet: ReactorFleet;
  readonly directory: NodeDirectory;
  readonly logger: Logger;
  /** A pool is known and not open: what is not found may be there. */
  readonly hasClosedPool: () => boolean;
}

/** Where clients connect. */
export class ConnectionFront {
  readonly #fleet: ReactorFleet;
  readonly #directory: NodeDirectory;
  readonly #nbd: Connections;
  readonly #nvme: NvmeServer;

  constructor({ fleet, directory, logger, hasClosedPool }: ConnectionFrontDependencies) {
    this.#fleet = fleet;
    this.#directory = directory;
    const log = (
      level: 'info' | 'warn' | 'error',
      message: string,
      fields: Readonly<Record<string, unknown>>,
    ): void => logger[level](fields, message);
    const isServed = ({ reactor }: PlacedNode): boolean => !fleet.reactors[reactor]!.hasFailed;
    this.#nbd = new Connections({
      volumes: new PlacedVolumes(directory, isServed),
      log,
      handOver: (client) => this.#handOverClient(client),
    });
    this.#nvme = new NvmeServer({
      pools: { find: () => undefined },
      subsystems: new PlacedSubsystems(directory, isServed, hasClosedPool),
      handOver: (queue) => this.#handOverQueue(queue),
      log,
      clockMs: () => performance.now(),
      version: daemonVersion,
    });
    directory.accessChanged = () => this.#nvme.accessChanged();
  }

  /** Open connections that no reactor has. */
  get connectionCount(): number {
    return this.#nbd.connectionCount + this.#nvme.connectionCount;
  }

  /** Of the queues that it has itself: those of discovery, and those that have named nothing yet. */
  get nvmeCounters(): NvmeCounters {
    return this.#nvme.counters;
  }

  listenForNbd(addresses: readonly NbdListenAddress[]): Promise<Info['exports']> {
    return this.#nbd.listen(addresses);
  }

  /** Listens, and tells all reactors where. */
  async listenForNvme(addresses: readonly NvmeListenAddress[]): Promise<Info['exports']> {
    const exports = await this.#nvme.listen(addresses);
    const told = { addresses: this.#nvme.addresses };
    await Promise.all(
      this.#fleet.running.map(({ channel }) => channel.call('noteNvmeAddresses', told)),
    );
    return exports;
  }

  /** Stops listening; clients that have chosen nothing yet are dropped. */
  async close(): Promise<void> {
    await Promise.all([this.#nbd.close(), this.#nvme.close()]);
  }

  #handOverClient({ exportName, ...client }: LeavingNbdClient): void {
    const node = parseExportName(exportName);
    const reactor = this.#reactorOf(node && this.#directory.find(node));
    void give(client.fd, reactor.channel.call('adoptNbdClient', client));
  }

  #handOverQueue({ subsystemNqn, ...queue }: LeavingNvmeQueue): void {
    const reactor = this.#reactorOf(this.#directory.findSubsystem(subsystemNqn));
    void give(queue.fd, reactor.channel.call('adoptNvmeQueue', queue));
  }

  /** What is gone meanwhile, any reactor refuses. */
  #reactorOf(placed: PlacedNode | undefined): FleetReactor {
    return placed ? this.#fleet.reactors[placed.reactor]! : this.#fleet.lead;
  }
}

/** The descriptor is the reactor's as soon as the call is on its way. */
async function give(fd: number, call: Promise<undefined>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isProblemError(error)) throw error;
    // Of any other failure nobody knows whether the reactor had the descriptor, and closed it.
    if (error.kind === 'too-many-requests') closeDescriptor(fd);
  }
}

/** The exports of all reactors. */
class PlacedVolumes implements ExportedVolumes {
  readonly #directory: NodeDirectory;
  readonly #isServed: (placed: PlacedNode) => boolean;

  constructor(directory: NodeDirectory, isServed: (placed: PlacedNode) => boolean) {
    this.#directory = directory;
    this.#isServed = isServed;
  }

  *list(): Iterable<NodeName> {
    yield* this.#directory.list('volume').filter(this.#isServed);
    yield* this.#directory.list('snapshot').filter(this.#isServed);
  }

  describe(node: NodeName): ReturnType<ExportedVolumes['describe']> {
    const found = this.#directory.find(node);
    if (!found) return undefined;
    const { sizeBytes, kind, hosts } = found;
    return { sizeBytes, isReadOnly: kind === 'snapshot' || hosts.length > 0 };
  }

  open({ kind, name }: NodeName): never {
    const found = this.#directory.find({ kind, name });
    const key = `${kind}/${name}`;
    if (!found) throw new VolumeTableError('not-found', `Open ${key}: there is none`);
    if (!this.#isServed(found)) {
      throw new VolumeTableError('reserved', `Open ${key}: its reactor has failed`);
    }
    throw new VolumeTableError('elsewhere', `Open ${key}: another thread has it`);
  }
}

/** The subsystems of all reactors. */
class PlacedSubsystems implements NvmeSubsystems {
  readonly #directory: NodeDirectory;
  readonly #isServed: (placed: PlacedNode) => boolean;
  readonly #hasClosedPool: () => boolean;

  constructor(
    directory: NodeDirectory,
    isServed: (placed: PlacedNode) => boolean,
    hasClosedPool: () => boolean,
  ) {
    this.#directory = directory;
    this.#isServed = isServed;
    this.#hasClosedPool = hasClosedPool;
  }

  isElsewhere(subsystemNqn: string): boolean {
    const found = this.#directory.findSubsystem(subsystemNqn);
    return found !== undefined && this.#isServed(found);
  }

  /** Only for what no reactor serves. A host is told to try again as long as that may change. */
  attach(subsystemNqn: string): NvmeRefusal {
    const isKnown = this.#directory.findSubsystem(subsystemNqn) !== undefined;
    return isKnown || this.#hasClosedPool() ? 'busy' : 'unknown';
  }

  visibleTo(hostNqn: string): readonly string[] {
    return this.#directory
      .list('volume')
      .filter(({ hosts }) => hosts.includes(hostNqn))
      .map(({ uuid }) => volumeNqnPrefix + uuid);
  }
}
