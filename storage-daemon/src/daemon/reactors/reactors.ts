/**
 * The reactors of the daemon, be they one or several. One serves everything by itself, its listeners included. Several
 * share the cells of all pools: then calls go through a router, and connections through a front.
 */
import type { Logger } from '@varve/common/logger';
import type { Info } from '@varve/contract/info';
import { isProblemError } from '@varve/contract/problem';

import type { ReactorCalls } from '../../reactor/channel.ts';
import type {
  ArgumentOf,
  EventRecord,
  IoEngineName,
  IoEngineSetting,
  NbdListenAddress,
  NvmeListenAddress,
  ReactorCounters,
  ReplyOf,
} from '../../reactor/messages.ts';
import type { EventHub } from '../event-hub.ts';
import { type ReactorThread, startReactorThread } from '../reactor-thread.ts';
import { ConnectionFront } from './connection-front.ts';
import { sumNumbers } from './merge-replies.ts';
import { NodeDirectory } from './node-directory.ts';
import { PoolOpener } from './pool-opener.ts';
import { describeFailure, ReactorFleet } from './reactor-fleet.ts';
import { ReactorRouter } from './reactor-router.ts';

/** How many reactors, and of what kind. */
export interface ReactorsOptions {
  readonly count: number;
  readonly ioEngine: IoEngineSetting;
  /** The module that a reactor's thread runs. */
  readonly entry: URL;
}

/** What reactors report to. */
export interface ReactorsDependencies {
  readonly events: EventHub;
  readonly logger: Logger;
  /** Called when a reactor has ended by itself and none is left: only a bug of ours can cause that. */
  readonly onCrash: (error: unknown) => void;
  /** A pool is known and not open. */
  readonly hasClosedPool: () => boolean;
}

/** All of them, as one. */
export class Reactors implements ReactorCalls {
  readonly fleet: ReactorFleet;
  readonly #threads: readonly ReactorThread[];
  readonly #directory = new NodeDirectory();
  readonly #calls: ReactorCalls;
  readonly #front: ConnectionFront | undefined;
  readonly #dependencies: ReactorsDependencies;
  #started: readonly ReplyOf<'start'>[] = [];

  constructor({ count, ioEngine, entry }: ReactorsOptions, dependencies: ReactorsDependencies) {
    this.#dependencies = dependencies;
    const { logger, hasClosedPool } = dependencies;
    const isOneOfMany = count > 1;
    this.#threads = Array.from({ length: count }, (_, index) =>
      startReactorThread(
        entry,
        { ioEngine, isOneOfMany },
        {
          logger,
          event: (event) => this.#publish(index, event),
          node: (node, record) => this.#directory.update(index, node, record),
          onCrash: (error) => this.#crashed(index, error),
        },
      ),
    );
    const directory = this.#directory;
    this.fleet = new ReactorFleet(this.#threads.map(({ channel }) => channel));
    const { fleet } = this;
    this.#calls = isOneOfMany
      ? new ReactorRouter({
          fleet,
          directory,
          opener: new PoolOpener({ fleet, directory, logger }),
        })
      : this.#threads[0]!.channel;
    this.#front = isOneOfMany
      ? new ConnectionFront({ fleet, directory, logger, hasClosedPool })
      : undefined;
  }

  get pendingCount(): number {
    return this.#calls.pendingCount;
  }

  /** How each does its I/O, once they are started. */
  get ioEngines(): readonly IoEngineName[] {
    return this.#started.map(({ ioEngine }) => ioEngine);
  }

  /** Why the daemon is not ready, as far as reactors are concerned. */
  get failures(): readonly string[] {
    return this.fleet.reactors.filter(({ hasFailed }) => hasFailed).map(describeFailure);
  }

  /** What `/v1/info` says. `pools` are all that there are, for a reactor that serves them alone. */
  describe(pools: readonly string[]): Info['reactors'] {
    return this.#started.map(({ ioEngine, ioEngineReason }, index) => ({
      index,
      ioEngine,
      ioEngineReason,
      pools: this.#front ? [...this.fleet.reactors[index]!.parts.keys()].sort() : [...pools],
    }));
  }

  call: ReactorCalls['call'] = (operation, argument) => this.#calls.call(operation, argument);

  /** Starts all, and listens for NBD clients; answers where. */
  async start(
    settings: Omit<ArgumentOf<'start'>, 'nbd'>,
    nbd: readonly NbdListenAddress[],
  ): Promise<Info['exports']> {
    const argument = { ...settings, nbd: this.#front ? [] : nbd };
    this.#started = await Promise.all(
      this.#threads.map(({ channel }) => channel.call('start', argument)),
    );
    return this.#front ? this.#front.listenForNbd(nbd) : this.#started[0]!.exports;
  }

  /** Listens for NVMe/TCP hosts; answers where. */
  listenForNvme(addresses: readonly NvmeListenAddress[]): Promise<Info['exports']> {
    return this.#front
      ? this.#front.listenForNvme(addresses)
      : this.#threads[0]!.channel.call('listenForNvme', { addresses });
  }

  /** Numbers for metrics: those of the front belong to no reactor. */
  async readCounters(): Promise<ReactorCounters> {
    const counters = await this.#calls.call('readCounters', undefined);
    if (!this.#front) return counters;
    const { connectionCount, nvmeCounters } = this.#front;
    return {
      ...counters,
      connections: counters.connections + connectionCount,
      nvme: sumNumbers([counters.nvme, nvmeCounters]),
    };
  }

  /** Ends connections, closes all pools, ends the threads. */
  async shutDown(): Promise<void> {
    await this.#front?.close();
    await Promise.all(this.#threads.map(shutDownThread));
    await Promise.all(this.#threads.map((thread) => thread.end()));
  }

  #publish(index: number, event: EventRecord): void {
    const { events } = this.#dependencies;
    const pool = event.object.startsWith('pool/') ? event.object.slice('pool/'.length) : '';
    const part = this.fleet.reactors[index]!.parts.get(pool);
    if (part && event.type === 'pool-read-only') part.isReadOnly = true;
    // Each reactor counts its own cells: what is told is the whole pool.
    if (part && event.type === 'space-progress') void this.#publishProgress(pool);
    else events.publish(event);
  }

  async #publishProgress(pool: string): Promise<void> {
    try {
      const pools = await this.#calls.call('listPools', undefined);
      const found = pools.find((each) => each.pool === pool);
      if (!found) return;
      const { pendingFreeBytes, freeBytes } = found;
      this.#dependencies.events.publish({
        type: 'space-progress',
        object: `pool/${pool}`,
        message: `${pendingFreeBytes} bytes are still to be freed.`,
        fields: { pendingFreeBytes, freeBytes },
      });
    } catch (error) {
      // A reactor is too busy, or has ended: the next report tells.
      if (!isProblemError(error)) throw error;
    }
  }

  #crashed(index: number, error: unknown): void {
    const { logger, events, onCrash } = this.#dependencies;
    const { fleet } = this;
    fleet.fail(index);
    if (fleet.running.length === 0) {
      onCrash(error);
      return;
    }
    const failed = fleet.reactors[index]!;
    const pools = [...failed.parts.keys()];
    logger.fatal({ err: error, reactor: index, pools }, 'an invariant is broken: a reactor ends');
    const message = describeFailure(failed);
    for (const pool of pools) {
      events.publish({ type: 'pool-failed', object: `pool/${pool}`, message });
    }
  }
}

/** After a crash the channel answers `unavailable`: then there is nothing left to shut down. */
async function shutDownThread({ channel }: ReactorThread): Promise<void> {
  try {
    await channel.call('shutdown', undefined);
  } catch (error) {
    if (!isProblemError(error)) throw error;
  }
}
