/**
 * The pools of a reactor: which are open, which are being made, which could not be opened.
 *
 * - A pool that is known but not open hides its objects. So while there is one, "not found" is not known to
 *   be true: lookups that find nothing answer `unavailable`, never `not-found`, and a DELETE does not claim
 *   that the object is gone.
 * - Ids are unique over all open pools: a pool whose objects collide with those of another is not opened.
 */
import { ProblemError } from '@varve/contract/problem';

import type { NodeKind, NodeName, NodeSummary, PoolShare, Store } from '../../store/store-api.ts';
import type { StoreEnvironment } from '../../store/store-environment.ts';
import type { VolumeLimits } from '../../volume/io-limiter.ts';
import type { NodeFinder, NodeSource } from '../../volume/volume-table.ts';
import { decodeVolumeAttributes, hostsOf } from '../control/object-attributes.ts';
import type { PoolIdentity } from '../messages.ts';
import { throwDeviceProblem } from './device-problem.ts';
import { readPoolOf } from './device-signature.ts';
import type { PoolBlockDevice, StoreEngine } from './store-engine.ts';

/** A pool that serves. */
export interface ServingPool {
  readonly store: Store;
  readonly devices: readonly PoolBlockDevice[];
}

/** A node and the open pool that holds it. */
export interface FoundNode {
  readonly store: Store;
  readonly summary: NodeSummary;
}

/** The cells of a pool that this reactor is to serve, while others serve the rest. */
export interface PoolPart {
  readonly share: PoolShare;
  /** Of all cells. */
  readonly fraction: number;
}

/** All pools of a reactor. */
export class OpenPools {
  readonly #engine: StoreEngine;
  readonly #environment: StoreEnvironment;
  readonly #serving = new Map<string, ServingPool>();
  /** Known pools that could not be opened, with the reason. */
  readonly #closed = new Map<string, string>();

  /** For the maps of each pool that is opened from now on; undefined for the store's default. */
  mapMemoryBytes: number | undefined;
  /** Rate at which devices of such a pool are told of freed blocks; 0: never. */
  deallocateBytesPerSecond = 0;

  constructor(engine: StoreEngine, environment: StoreEnvironment) {
    this.#engine = engine;
    this.#environment = environment;
  }

  /** Pools that serve, in order of name. */
  get serving(): readonly ServingPool[] {
    return [...this.#serving.keys()].sort().map((name) => this.#serving.get(name)!);
  }

  /**
   * Opens a formatted pool, or a part of it, on devices that are already held, or opens these first. Opening an open
   * pool does nothing.
   */
  async open(
    identity: PoolIdentity,
    devices: readonly PoolBlockDevice[] | readonly string[],
    part?: PoolPart,
  ): Promise<ServingPool> {
    const known = this.#serving.get(identity.pool);
    if (known) return known;
    const held: PoolBlockDevice[] = [];
    try {
      for (const each of devices) {
        held.push(typeof each === 'string' ? this.#engine.openDevice(each) : each);
      }
      await checkIdentity(identity, held);
      const environment = this.#environment;
      const { mapMemoryBytes } = this;
      const bytesPerSecond = Math.ceil(this.deallocateBytesPerSecond * (part?.fraction ?? 1));
      const options = {
        ...(mapMemoryBytes !== undefined && { mapMemoryBytes }),
        ...(bytesPerSecond > 0 && { deallocate: { bytesPerSecond } }),
      };
      const dependencies = { devices: held, environment, share: part?.share };
      const store = await this.#engine.openStore(options, dependencies);
      // No turn passes from here to the entry: pools that open at the same time see each other.
      this.#refuseDouble(identity.pool, store);
      const serving = { store, devices: held };
      this.#serving.set(identity.pool, serving);
      this.#closed.delete(identity.pool);
      return serving;
    } catch (error) {
      await Promise.all(held.map((device) => device.close()));
      this.#closed.set(identity.pool, (error as Error).message);
      return throwDeviceProblem(error, undefined);
    }
  }

  /**
   * The open pool of this name. @throws ProblemError `unavailable` if it is known but closed, else
   * `not-found`.
   */
  require(pool: string, action: string): Store {
    const serving = this.#serving.get(pool);
    if (serving) return serving.store;
    const reason = this.#closed.get(pool);
    if (reason === undefined) {
      throw new ProblemError('not-found', `${action} failed: there is no pool "${pool}"`, {
        field: 'pool',
      });
    }
    throw closedPool(action, pool, reason);
  }

  find(node: NodeName): FoundNode | undefined {
    for (const { store } of this.#serving.values()) {
      const summary = store.find(node);
      if (summary) return { store, summary };
    }
    return undefined;
  }

  /** Like `find`, but nothing found is a failure. */
  requireNode(node: NodeName, action: string, field?: string): FoundNode {
    const found = this.find(node);
    if (found) return found;
    this.requireAll(action);
    throw new ProblemError(
      'not-found',
      `${action} failed: there is no ${node.kind} "${node.name}"`,
      { field },
    );
  }

  /**
   * Judges whether what was not found does not exist. @throws ProblemError `unavailable` while a known pool
   * is closed.
   */
  requireAll(action: string): void {
    for (const [pool, reason] of this.#closed) throw closedPool(action, pool, reason);
  }

  list(kind: NodeKind): readonly FoundNode[] {
    const found = [...this.#serving.values()].flatMap(({ store }) =>
      store.list(kind).map((summary) => ({ store, summary })),
    );
    // Each store's list is in order already.
    return this.#serving.size > 1 ? found.sort(byName) : found;
  }

  /** The nodes as the table of open volumes needs them. */
  asNodeFinder(): NodeFinder {
    return {
      find: (node): NodeSource | undefined => {
        const found = this.find(node);
        if (!found) return undefined;
        const { store, summary } = found;
        return {
          sizeBlocks: summary.sizeBlocks,
          openIo: () => store.openIo(node),
          readLimits: () => limitsOf(summary),
          isHeld: () => summary.kind === 'volume' && hostsOf(summary).length > 0,
        };
      },
      list: () => [...this.list('volume'), ...this.list('snapshot')].map(({ summary }) => summary),
    };
  }

  /** Ends a pool without a checkpoint. It is known and closed for this reason; without one, others serve it. */
  async drop(pool: string, reason: string | undefined): Promise<void> {
    if (reason === undefined) this.#closed.delete(pool);
    else this.#closed.set(pool, reason);
    const serving = this.#serving.get(pool);
    this.#serving.delete(pool);
    serving?.store.destroy();
    await Promise.all(serving?.devices.map((device) => device.close()) ?? []);
  }

  /** Checkpoints and closes all pools and gives their devices back. */
  async close(): Promise<void> {
    const serving = [...this.#serving.values()];
    this.#serving.clear();
    await Promise.all(
      serving.map(async ({ store, devices }) => {
        await store.close();
        await Promise.all(devices.map((device) => device.close()));
      }),
    );
  }

  /** Ids are unique over all open pools, so that a name never means two things. */
  #refuseDouble(pool: string, store: Store): void {
    if (this.#serving.size === 0) return;
    const nodes = [...store.list('volume'), ...store.list('snapshot')];
    const double = nodes.find((node) => this.find(node));
    if (!double) return;
    store.destroy();
    throw new ProblemError(
      'failed-precondition',
      `Opening pool "${pool}" failed: it holds a ${double.kind} "${double.name}", and so does another pool`,
      { blocker: `${double.kind}/${double.name}` },
    );
  }
}

/** Refuses another pool's devices before anything is written to them: opening writes. */
export async function checkIdentity(
  { pool, poolUuid }: PoolIdentity,
  devices: readonly PoolBlockDevice[],
): Promise<void> {
  for (const device of devices) {
    const found = await readPoolOf(device);
    if (found === undefined || (found.name === pool && found.uuid === poolUuid)) continue;
    throw new ProblemError(
      'failed-precondition',
      `Opening pool "${pool}" failed: device "${device.name}" holds pool "${found.name}" with uuid ` +
        `${found.uuid} instead of ${poolUuid}`,
    );
  }
}

/** Snapshots have no limits of their own. */
function limitsOf({ kind, attributes }: NodeSummary): VolumeLimits {
  return kind === 'volume' ? decodeVolumeAttributes(attributes).limits : {};
}

function closedPool(action: string, pool: string, reason: string): ProblemError {
  return new ProblemError(
    'unavailable',
    `${action} failed: pool "${pool}" is not open, so what it holds is not known: ${reason}`,
    { blocker: `pool/${pool}` },
  );
}

function byName(a: FoundNode, b: FoundNode): number {
  return a.summary.name < b.summary.name ? -1 : a.summary.name > b.summary.name ? 1 : 0;
}
