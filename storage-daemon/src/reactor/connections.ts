/**
 * All NBD connections of a reactor: listens, accepts up to a bound, and ends them in order when the daemon
 * stops. Joins sockets with protocol cores, and those with volumes.
 */
import type { Socket } from 'node:net';

import type { Info } from '@varve/contract/info';

import { nbdConnectionsMax, nbdShutdownTimeoutMs } from '../limits.ts';
import type { ReactorNotices } from './channel.ts';
import type { AdoptedNbdClient, NbdListenAddress } from './messages.ts';
import { type BegunNegotiation, type LeavingNbdClient, NbdConnection } from './nbd-connection.ts';
import { listenForNbd, nbdSocketOptions, type NbdListener } from './nbd-listener.ts';
import { createTransport, type NbdTransport } from './nbd-transport.ts';
import type { ExportedVolumes } from './node-exports.ts';
import { adoptSocket } from './sockets/socket-descriptor.ts';

/** What the connections need. */
export interface ConnectionsDependencies {
  readonly volumes: ExportedVolumes;
  readonly log: ReactorNotices['log'];
  /** Moves the bytes; Node's own sockets by default. */
  readonly transport?: NbdTransport | undefined;
  /** Takes clients whose export is elsewhere; these must not be on a ring. */
  readonly handOver?: (client: LeavingNbdClient) => void;
}

/** The NBD connections of one reactor. */
export class Connections {
  readonly #log: ReactorNotices['log'];
  readonly #volumes: ExportedVolumes;
  readonly #handOver: ConnectionsDependencies['handOver'];
  readonly #connections = new Set<NbdConnection>();
  readonly #transport: NbdTransport;
  readonly #listeners: NbdListener[] = [];
  #isFull = false;
  #closed: Promise<void> | undefined;

  constructor({ volumes, log, transport, handOver }: ConnectionsDependencies) {
    this.#handOver = handOver;
    this.#transport = transport ?? createTransport(undefined);
    this.#log = log;
    this.#volumes = volumes;
  }

  /** Listens; answers where. Rejects with a ProblemError if an address cannot be had. */
  async listen(addresses: readonly NbdListenAddress[]): Promise<Info['exports']> {
    for (const address of addresses) {
      this.#listeners.push(await listenForNbd(address, (socket) => this.#accept(socket)));
    }
    return this.#listeners.map(({ uri }) => ({ protocol: 'nbd' as const, uri }));
  }

  /** Open connections now, whether they have chosen an export or not. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Goes on with a client that another thread has accepted. */
  adopt({ fd, ...begun }: AdoptedNbdClient): void {
    const socket = adoptSocket(fd, nbdSocketOptions);
    if (socket) this.#accept(socket, begun);
  }

  /** Stops listening, and ends connections after the requests that they have sent. May be called twice. */
  close(): Promise<void> {
    this.#closed ??= this.#shutDown();
    return this.#closed;
  }

  #accept(socket: Socket, begun?: BegunNegotiation): void {
    if (this.#closed) {
      socket.destroy();
      return;
    }
    if (this.#connections.size >= nbdConnectionsMax) {
      if (!this.#isFull) {
        this.#log('warn', 'NBD connections refused', { connectionsMax: nbdConnectionsMax });
      }
      this.#isFull = true;
      socket.destroy();
      return;
    }
    const connection = new NbdConnection({
      ...this.#transport.adopt(socket),
      memory: this.#transport.memory,
      volumes: this.#volumes,
      log: this.#log,
      begun,
      handOver: this.#handOver,
    });
    this.#connections.add(connection);
    void this.#forgetWhenClosed(connection);
  }

  async #forgetWhenClosed(connection: NbdConnection): Promise<void> {
    await connection.closed;
    this.#connections.delete(connection);
    this.#isFull = false;
  }

  async #shutDown(): Promise<void> {
    const listenersClosed = Promise.all(this.#listeners.map((listener) => listener.close()));
    const connections = [...this.#connections];
    const timer = setTimeout(() => {
      this.#log('warn', 'NBD clients did not take their last replies in time', {
        connections: this.#connections.size,
        timeoutMs: nbdShutdownTimeoutMs,
      });
      for (const connection of connections) connection.destroy();
    }, nbdShutdownTimeoutMs);
    for (const connection of connections) connection.shutDown();
    await Promise.all(connections.map(({ closed }) => closed));
    clearTimeout(timer);
    await listenersClosed;
  }
}
