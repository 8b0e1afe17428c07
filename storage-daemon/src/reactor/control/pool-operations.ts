/** The calls on pools, and the watch over their health. */
import type { PoolDevice, ArgumentOf, OpenPool } from '../messages.ts';
import type { ControlDependencies } from './control-dependencies.ts';
import { viewPool } from '../pools/pool-view.ts';
import { PreparedPools } from '../pools/prepared-pools.ts';
import type { StoreEngine } from '../pools/store-engine.ts';

/** Calls on pools. */
export class PoolOperations {
  readonly #dependencies: ControlDependencies;
  readonly #prepared: PreparedPools;
  /** Pools that were reported as read-only. */
  readonly #reportedReadOnly = new Set<string>();

  constructor(engine: StoreEngine, dependencies: ControlDependencies) {
    this.#dependencies = dependencies;
    this.#prepared = new PreparedPools(engine, dependencies.environment);
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
    const { pools, notices, spaceProgress } = this.#dependencies;
    const devices = this.#prepared.take(argument.pool) ?? argument.devices;
    const serving = await pools.open(argument, devices);
    const object = `pool/${argument.pool}`;
    notices.event({ type: 'pool-opened', object, message: 'The pool serves.' });
    spaceProgress.watch(serving.store);
    return viewPool(serving);
  }

  async list(): Promise<readonly OpenPool[]> {
    this.checkHealth();
    return this.#dependencies.pools.serving.map(viewPool);
  }

  async close(): Promise<void> {
    await this.#dependencies.pools.close();
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
