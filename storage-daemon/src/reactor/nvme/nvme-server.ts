/**
 * NVMe/TCP of a reactor: listeners, connections, and the target that they share. Looks at all deadlines once a second,
 * and ends what a revoke or the daemon's end takes away.
 */
import { isIPv4, type Socket } from 'node:net';

import type { Info } from '@varve/contract/info';

import {
  nvmeConnectionsMax,
  nvmeDiscoveryIdleTimeoutMs,
  nvmeRingConnectionsMax,
  nvmeSweepIntervalMs,
  nvmeTcpKeepAliveMs,
} from '../../limits.ts';
import type { NvmeController } from '../../nvmf/controller/nvme-controller.ts';
import type { NvmeCounters } from '../../nvmf/nvme-counters.ts';
import { NvmeTarget } from '../../nvmf/nvme-target.ts';
import type { NodeName } from '../../store/store-api.ts';
import type { ReactorNotices } from '../channel.ts';
import type { AdoptedNvmeQueue, NvmeListenAddress } from '../messages.ts';
import type { HostFence } from '../host-access.ts';
import type { NvmeSubsystems, NvmeTransportAddress } from '../../nvmf/ports.ts';
import type { OpenPools } from '../pools/open-pools.ts';
import { adoptSocket } from '../sockets/socket-descriptor.ts';
import { type BegunQueue, type LeavingNvmeQueue, NvmeConnection } from './nvme-connection.ts';
import {
  formatNvmeUri,
  listenForNvme,
  nvmeSocketOptions,
  type NvmeListener,
} from './nvme-listener.ts';
import type { NbdMemory } from '../nbd-memory.ts';
import { type AdoptedSocket, createTransport, type NbdTransport } from '../nbd-transport.ts';
import { formatSubsystemNqn } from './volume-subsystems.ts';

/** What the server needs. */
export interface NvmeServerDependencies {
  readonly pools: Pick<OpenPools, 'find'>;
  readonly subsystems: NvmeSubsystems;
  /** Takes queues whose subsystem is elsewhere. */
  readonly handOver?: (queue: LeavingNvmeQueue) => void;
  /** Moves the bytes; Node's own sockets by default. */
  readonly transport?: NbdTransport | undefined;
  readonly log: ReactorNotices['log'];
  /** Monotonic milliseconds. */
  readonly clockMs: () => number;
  /** What hosts are told as firmware revision. */
  readonly version: string;
}

/** Silence of so many keep-alive times ends a controller: a reactor that was busy must not blame its hosts. */
const keepAliveTolerance = 2;

interface Liveness {
  activityCount: number;
  lastSeenMs: number;
}

/** The NVMe/TCP side of a reactor. */
export class NvmeServer implements HostFence {
  readonly #dependencies: NvmeServerDependencies;
  readonly #target: NvmeTarget;
  readonly #transport: NbdTransport;
  /** For connections that find no place on the ring. */
  readonly #plainTransport: NbdTransport;
  readonly #connections = new Set<NvmeConnection>();
  readonly #listeners: NvmeListener[] = [];
  readonly #liveness = new Map<NvmeController, Liveness>();
  readonly #sweepTimer: NodeJS.Timeout;
  #lastSweepMs: number;
  #isFull = false;
  #keepAliveTimeoutCount = 0;
  #slowHostCount = 0;
  #closed: Promise<void> | undefined;

  constructor(dependencies: NvmeServerDependencies) {
    this.#dependencies = dependencies;
    const { subsystems } = dependencies;
    this.#plainTransport = createTransport(undefined);
    this.#transport = dependencies.transport ?? this.#plainTransport;
    const { buffers } = this.#transport.memory;
    const options = { firmwareRevision: dependencies.version };
    this.#target = new NvmeTarget(options, { subsystems, buffers });
    this.#lastSweepMs = dependencies.clockMs();
    this.#sweepTimer = setInterval(
      () => this.sweep(dependencies.clockMs()),
      nvmeSweepIntervalMs,
    ).unref();
  }

  /** Open connections, of all queues. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Controllers, those that are ending included. */
  get controllerCount(): number {
    return this.#target.controllerCount;
  }

  /** Data of commands that are under way. */
  get dataBytes(): number {
    return this.#target.budget.usedBytes;
  }

  /** What has been counted since the start. */
  get counters(): NvmeCounters {
    const { tally, controllerCount, controllers } = this.#target;
    let discoveries = 0;
    for (const { identity } of controllers) if (identity.isDiscovery) discoveries++;
    return {
      controllers: controllerCount - discoveries,
      discoveries,
      connections: this.#connections.size,
      commands: { admin: tally.adminCommands, io: tally.ioCommands },
      statuses: tally.readStatuses(),
      dataRequests: tally.dataRequests,
      heldCommands: tally.heldCommands,
      headerDigestErrors: tally.headerDigestErrors,
      dataDigestErrors: tally.dataDigestErrors,
      protocolErrors: tally.protocolErrors,
      keepAliveTimeouts: this.#keepAliveTimeoutCount,
      slowHosts: this.#slowHostCount,
    };
  }

  /** Queues whose host did not prove itself, since the start. */
  get authenticationFailureCount(): number {
    return this.#target.authenticationFailureCount;
  }

  /** Where hosts connect. */
  get addresses(): readonly NvmeListenAddress[] {
    return this.#listeners.map(({ address }) => address);
  }

  /**
   * Listens; answers where. To be called when all pools are open: a host that connects looks for its namespace at once,
   * and gives a device up that it does not find.
   */
  async listen(addresses: readonly NvmeListenAddress[]): Promise<Info['exports']> {
    for (const address of addresses) {
      this.#listeners.push(await listenForNvme(address, (socket) => this.#accept(socket)));
    }
    return this.addresses.map((address) => ({
      protocol: 'nvme-tcp' as const,
      uri: formatNvmeUri(address),
    }));
  }

  /** Goes on with a queue whose connection another thread has accepted. */
  adopt({ fd, ...begun }: AdoptedNvmeQueue): void {
    const socket = adoptSocket(fd, nvmeSocketOptions);
    if (!socket) return;
    socket.setNoDelay(true);
    this.#accept(socket, begun);
  }

  async fence(volumeId: string, hostNqn: string): Promise<void> {
    this.#target.discoveryChanged();
    const found = this.#dependencies.pools.find({ kind: 'volume', name: volumeId });
    if (!found) return;
    const nqn = formatSubsystemNqn(found.summary.uuid);
    await this.#target.end(
      'access to the volume was revoked',
      ({ identity, host }) => identity.subsystemNqn === nqn && host.nqn === hostNqn,
    );
  }

  /** Tells hosts that a volume has another size. */
  volumeResized(node: NodeName): void {
    const found = this.#dependencies.pools.find(node);
    if (!found) return;
    const nqn = formatSubsystemNqn(found.summary.uuid);
    for (const controller of this.#target.controllers) {
      if (controller.identity.subsystemNqn === nqn) controller.namespaceChanged();
    }
  }

  /** Tells hosts that look for volumes to look again: a grant or a volume is new or gone. */
  accessChanged(): void {
    this.#target.discoveryChanged();
  }

  /**
   * Looks at all deadlines. After a sweep that came late, nobody is blamed: what hosts have sent meanwhile may still be
   * unread.
   */
  sweep(nowMs: number): void {
    const wasLate = nowMs - this.#lastSweepMs > 2 * nvmeSweepIntervalMs;
    this.#lastSweepMs = nowMs;
    for (const connection of this.#connections) {
      if (connection.checkPatience(nowMs)) this.#slowHostCount++;
    }
    const controllers = new Set(this.#target.controllers);
    for (const known of this.#liveness.keys()) {
      if (!controllers.has(known)) this.#liveness.delete(known);
    }
    for (const controller of controllers) this.#checkAlive(controller, nowMs, wasLate);
  }

  /** Stops listening and ends all controllers; resolves when nothing is under way. May be called twice. */
  close(): Promise<void> {
    this.#closed ??= this.#shutDown();
    return this.#closed;
  }

  #checkAlive(controller: NvmeController, nowMs: number, wasLate: boolean): void {
    const { activityCount, identity, keepAliveMs } = controller;
    const known = this.#liveness.get(controller);
    if (!known || wasLate || known.activityCount !== activityCount) {
      this.#liveness.set(controller, { activityCount, lastSeenMs: nowMs });
      return;
    }
    const idleTimeoutMs = identity.isDiscovery ? nvmeDiscoveryIdleTimeoutMs : Infinity;
    const timeoutMs = keepAliveMs > 0 ? keepAliveMs * keepAliveTolerance : idleTimeoutMs;
    if (nowMs - known.lastSeenMs <= timeoutMs || controller.isEnding) return;
    this.#dependencies.log('warn', 'NVMe host is silent, ending its controller', {
      host: controller.host.nqn,
      subsystem: identity.subsystemNqn,
      timeoutMs,
    });
    this.#keepAliveTimeoutCount++;
    controller.end('the host is silent');
  }

  #accept(socket: Socket, begun?: BegunQueue): void {
    const { log, handOver } = this.#dependencies;
    if (this.#connections.size >= nvmeConnectionsMax || this.#closed) {
      if (!this.#isFull) log('warn', 'NVMe connections refused', { nvmeConnectionsMax });
      this.#isFull = true;
      socket.destroy();
      return;
    }
    // Of a host that is gone without a word and has no keep-alive timeout, only TCP can tell.
    socket.setKeepAlive(true, nvmeTcpKeepAliveMs);
    const connection = new NvmeConnection({
      ...this.#adoptSocket(socket),
      localAddress: localAddressOf(socket),
      target: this.#target,
      log,
      begun,
      handOver,
    });
    this.#connections.add(connection);
    void this.#forgetWhenClosed(connection);
  }

  /** Rings have no memory for any number of connections. */
  #adoptSocket(socket: Socket): AdoptedSocket & { readonly memory: NbdMemory } {
    const isFew = this.#connections.size < nvmeRingConnectionsMax;
    const transport = isFew ? this.#transport : this.#plainTransport;
    return { ...transport.adopt(socket), memory: transport.memory };
  }

  async #forgetWhenClosed(connection: NvmeConnection): Promise<void> {
    await connection.closed;
    this.#connections.delete(connection);
    this.#isFull = false;
  }

  async #shutDown(): Promise<void> {
    clearInterval(this.#sweepTimer);
    const listenersClosed = Promise.all(this.#listeners.map((listener) => listener.close()));
    await this.#target.stop('the daemon stops');
    const connections = [...this.#connections];
    for (const connection of connections) connection.destroy();
    await Promise.all(connections.map(({ closed }) => closed));
    await listenersClosed;
  }
}

/** Where the host has reached us; an IPv4 address that came through an IPv6 socket is one nonetheless. */
function localAddressOf({ localAddress = '', localPort = 0 }: Socket): NvmeTransportAddress {
  const address = localAddress.replace(/^::ffff:(?=\d+\.)/, '');
  return { family: isIPv4(address) ? 4 : 6, address, port: localPort };
}
