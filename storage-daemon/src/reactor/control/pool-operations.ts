/** The calls on pools, and the watch over their health. */
import type { ServingPool } from '../pools/open-pools.ts';
import type { PoolDevice, ArgumentOf, OpenPool, ReplyOf, SharedPool } from '../messages.ts';
import type { ControlDependencies } from './control-dependencies.ts';
import { viewPool } from '../pools/pool-view.ts';
import { recordNode } from '../node-records.ts';
import { PoolParts } from '../pools/pool-parts.ts';
import { PreparedPools } from '../pools/prepared-pools.ts';
import type { StoreEngine } from '../pools/store-engine.ts';

/** Calls on pools. */
export class PoolOperations {
  readonly #dependencies: ControlDependencies;
  readonly #prepared: PreparedPools;
  readonly #parts: PoolParts;
  /** Pools that were reported as read-only. */
  readonly #reportedReadOnly = new Set<string>();

  constructor(engine: StoreEngine, dependencies: ControlDependencies) {
    this.#dependencies = dependencies;
    this.#prepared = new PreparedPools(engine, dependencies.environment);
    this.#parts = new PoolParts(engine, dependencies.pools);
  }

  async prepare(
    argument: ArgumentOf<'preparePool'>,
  ): Promise<{ readonly devices: readonly PoolDevice[] }> {
    return { devices: await this.#prepared.prepare(argument, argument.devices) };
  }

  async release({ pool }: ArgumentOf<'releasePool'>): Promise<undefined> {
    await this.#prepared.release(pool);
  }

  async format(argument: ArgumentOf<'formatPool'>): Promise<undefined> {
    await this.#prepared.format(argument);
    const message = 'Formatted.';
    const object = `pool/${argument.pool}`;
    this.#dependencies.notices.event({ type: 'pool-formatted', object, message });
  }

  /** Opens it on the devices that its format left held, or opens them anew. */
  async open(argument: ArgumentOf<'openPool'>): Promise<OpenPool> {
    const devices = this.#prepared.take(argument.pool) ?? argument.devices;
    const serving = await this.#dependencies.pools.open(argument, devices);
    const { notices } = this.#dependencies;
    const object = `pool/${argument.pool}`;
    notices.event({ type: 'pool-opened', object, message: 'The pool serves.' });
    return this.#serve(serving);
  }

  /** As `open`, for several reactors. */
  hold(argument: ArgumentOf<'holdPool'>): Promise<SharedPool> {
    const devices = this.#prepared.take(argument.pool) ?? argument.devices;
    return this.#parts.hold(argument, devices);
  }

  async openPart(argument: ArgumentOf<'openPart'>): Promise<ReplyOf<'openPart'>> {
    const serving = await this.#parts.open(argument);
    const { store } = serving;
    const nodes = [...store.list('volume'), ...store.list('snapshot')];
    const records = nodes.map((summary) => recordNode({ store, summary }));
    return { view: this.#serve(serving), nodes: records };
  }

  drop(argument: ArgumentOf<'dropPool'>): Promise<undefined> {
    return this.#parts.drop(argument);
  }

  #serve(serving: ServingPool): OpenPool {
    this.#dependencies.spaceProgress.watch(serving.store);
    return viewPool(serving);
  }

  async list(): Promise<readonly OpenPool[]> {
    this.checkHealth();
    return this.#dependencies.pools.serving.map(viewPool);
  }

  async close(): Promise<void> {
    await this.#dependencies.pools.close();
    await this.#parts.close();
    await this.#prepared.close();
  }

  /** A store turns read-only by itself (a journal hole, a failed write): reports that once. */
  checkHealth(): void {
    const { pools, notices } = this.#dependencies;
    for (const { store } of pools.serving) {
      const { poolName: pool, readOnlyReason: reason } = store;
      if (reason === undefined) this.#reportedReadOnly.delete(pool);
      else if (!this.#reportedReadOnly.has(pool)) {
        this.#reportedReadOnly.add(pool);
        notices.event({ type: 'pool-read-only', object: `pool/${pool}`, message: reason });
        notices.log('error', 'pool is read-only', { pool, reason });
      }
    }
  }
}
