/**
 * The pools that this daemon knows, whether they are open or not. It joins the state file (which devices
 * make up which pool) with the reactor (what is open), makes new pools in the order that a crash cannot
 * harm, and opens closed ones again and again.
 */
import { randomUUID } from 'node:crypto';

import { backoffMs } from '@varve/common/backoff';
import { type Clock, waitFor } from '@varve/common/clock';
import { KeyedMutex } from '@varve/common/keyed-mutex';
import type { Logger } from '@varve/common/logger';
import type { Pool, PutPool } from '@varve/contract/pool';
import { isProblemError, ProblemError } from '@varve/contract/problem';

import type { ReactorCalls } from '../reactor/channel.ts';
import type { Creation, OpenPool, PoolDevice } from '../reactor/messages.ts';
import type { EventHub } from './event-hub.ts';
import type { KnownPool, StateFile } from './state-file.ts';

/** A closed pool is tried again soon at first (a device that comes late), then about once a minute. */
const reopenBackoff = { firstMs: 1000, longestMs: 60_000, jitter: 0.2 } as const;

/** What the pools work with. */
export interface KnownPoolsDependencies {
  readonly channel: ReactorCalls;
  readonly stateFile: StateFile;
  readonly events: EventHub;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** All pools of the daemon. */
export class KnownPools {
  readonly #dependencies: KnownPoolsDependencies;
  /** One key: pools are made and opened one at a time, so that two never take hold of one device. */
  readonly #mutex = new KeyedMutex();
  /** Why each pool that is not open is not. */
  readonly #closed = new Map<string, string>();
  readonly #stop = new AbortController();
  #reopening: Promise<void> | undefined;
  #hasStarted = false;

  constructor(dependencies: KnownPoolsDependencies) {
    this.#dependencies = dependencies;
  }

  /** False until every known pool was opened or failed to. */
  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** Formatted pools that are not open, with the reason. */
  get closed(): ReadonlyMap<string, string> {
    return this.#closed;
  }

  /** Opens all pools; the ones that fail are tried again in the background. */
  async start(): Promise<void> {
    const { stateFile } = this.#dependencies;
    const formatted = Object.entries(stateFile.pools).filter(
      ([, { state }]) => state === 'formatted',
    );
    await Promise.all(formatted.map(([pool]) => this.#tryOpen(pool)));
    this.#hasStarted = true;
  }

  /** Ends background work. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#reopening;
  }

  async list(): Promise<readonly Pool[]> {
    const open = await this.#dependencies.channel.call('listPools', undefined);
    const byName = new Map(open.map((each) => [each.pool, each]));
    return Object.keys(this.#dependencies.stateFile.pools)
      .sort()
      .map((pool) => this.#view(pool, byName.get(pool)));
  }

  async get(pool: string): Promise<Pool> {
    const found = (await this.list()).find(({ id }) => id === pool);
    if (found) return found;
    throw new ProblemError('not-found', `Reading pool "${pool}" failed: there is none`);
  }

  /** Formats devices as a pool and opens it, or finds that this was done. */
  put(pool: string, body: PutPool): Promise<Creation<Pool>> {
    return this.#mutex.runExclusive(['pools'], () => this.#put(pool, body));
  }

  async #put(pool: string, body: PutPool): Promise<Creation<Pool>> {
    const action = `Formatting pool "${pool}"`;
    const { stateFile } = this.#dependencies;
    const known = stateFile.pools[pool];
    if (known?.state === 'formatted') {
      compareDevices(action, known, body);
      const object = this.#view(pool, await this.#open(pool));
      return { isNew: false, object };
    }
    this.#refuseUsedDevices(action, pool, body);
    await this.#format(pool, body, known?.uuid ?? randomUUID());
    return { isNew: true, object: this.#view(pool, await this.#open(pool)) };
  }

  async #format(pool: string, body: PutPool, poolUuid: string): Promise<void> {
    const { channel, stateFile } = this.#dependencies;
    const identity = { pool, poolUuid };
    const { devices } = await channel.call('preparePool', { ...identity, devices: body.devices });
    const known: KnownPool = {
      uuid: poolUuid,
      state: 'formatting',
      devices: devices.map(({ path, kind }) => ({ path, kind })),
      labels: body.labels,
    };
    try {
      stateFile.setPool(pool, known);
      await channel.call('formatPool', identity);
      stateFile.setPool(pool, { ...known, state: 'formatted' });
    } catch (error) {
      await channel.call('releasePool', identity);
      // Sizes that do not fit are refused before anything is written. After any other failure a device may
      // carry part of the pool, which only this entry proves to be without value.
      if (isProblemError(error) && error.kind === 'out-of-range')
        stateFile.setPool(pool, undefined);
      throw error;
    }
  }

  /**
   * Opens a formatted pool; answers what it is now if it is open. @throws ProblemError why it cannot be
   * opened.
   */
  async #open(pool: string): Promise<OpenPool> {
    const { channel, stateFile, events } = this.#dependencies;
    const { uuid, devices } = stateFile.pools[pool]!;
    const paths = devices.map(({ path }) => path);
    try {
      const opened = await channel.call('openPool', { pool, poolUuid: uuid, devices: paths });
      this.#closed.delete(pool);
      return opened;
    } catch (error) {
      const reason = (error as Error).message;
      if (this.#closed.get(pool) !== reason) {
        events.publish({ type: 'pool-failed', object: `pool/${pool}`, message: reason });
      }
      this.#closed.set(pool, reason);
      this.#reopening ??= this.#reopenClosed();
      throw error;
    }
  }

  async #tryOpen(pool: string): Promise<void> {
    try {
      await this.#open(pool);
    } catch (error) {
      if (!isProblemError(error)) throw error;
    }
  }

  /** Runs while there are closed pools. */
  async #reopenClosed(): Promise<void> {
    const { clock, logger } = this.#dependencies;
    const { signal } = this.#stop;
    for (let failures = 1; this.#closed.size > 0; failures++) {
      logger.warn({ pools: Object.fromEntries(this.#closed) }, 'pools are closed');
      await waitFor(clock, backoffMs(reopenBackoff, failures), signal);
      if (signal.aborted) return;
      for (const pool of this.#closed.keys()) {
        await this.#mutex.runExclusive(['pools'], () => this.#tryOpen(pool));
      }
    }
    this.#reopening = undefined;
  }

  #refuseUsedDevices(action: string, pool: string, body: PutPool): void {
    const seen = new Set<string>();
    for (const [index, { path }] of body.devices.entries()) {
      const field = `devices.${index}.path`;
      if (seen.has(path)) {
        throw new ProblemError('invalid-argument', `${action} failed: "${path}" is named twice`, {
          field,
        });
      }
      seen.add(path);
      for (const [other, known] of Object.entries(this.#dependencies.stateFile.pools)) {
        if (other === pool || !known.devices.some((device) => device.path === path)) continue;
        throw new ProblemError('in-use', `${action} failed: "${path}" is in pool "${other}"`, {
          field,
          blocker: `pool/${other}`,
        });
      }
    }
  }

  #view(pool: string, open: OpenPool | undefined): Pool {
    const known = this.#dependencies.stateFile.pools[pool]!;
    if (open) {
      const { pool: id, ...rest } = open;
      return { id, labels: known.labels, ...rest };
    }
    const reason =
      known.state === 'formatting'
        ? { reason: 'FormatInterrupted', message: 'Its format did not end: repeat the PUT.' }
        : { reason: 'NotOpen', message: this.#closed.get(pool) ?? 'It is being opened.' };
    return viewClosedPool(pool, known, reason);
  }
}

function compareDevices(action: string, known: KnownPool, body: PutPool): void {
  const before = JSON.stringify(known.devices.map(({ path }) => path));
  const now = JSON.stringify(body.devices.map(({ path }) => path));
  if (before === now) return;
  throw new ProblemError(
    'already-exists',
    `${action} failed: it exists and was created with devices ${before}, not ${now}`,
    { field: 'devices' },
  );
}

function viewClosedPool(
  id: string,
  { uuid, labels, devices }: KnownPool,
  why: { readonly reason: string; readonly message: string },
): Pool {
  const closed = (type: 'Open' | 'Writable') => ({ type, status: 'False' as const, ...why });
  return {
    id,
    uuid,
    labels,
    devices: devices satisfies readonly PoolDevice[],
    conditions: [closed('Open'), closed('Writable')],
    cells: 0,
    sizeBytes: 0,
    allocatedBytes: 0,
    freeBytes: 0,
    referencedBytes: 0,
    metadataBytes: 0,
    reservedBytes: 0,
    pendingFreeBytes: 0,
    provisionedBytes: 0,
    volumes: 0,
    snapshots: 0,
  };
}
