/**
 * Pools that several reactors serve together. One reactor takes hold of the devices; then each opens its cells on
 * devices that share that hold, while all wait for each other (`RecoveryBarrier`).
 */
import { GroupOwners } from '../../allocator/group-owners.ts';
import type { ArgumentOf, PoolIdentity, SharedPool } from '../messages.ts';
import { throwDeviceProblem } from './device-problem.ts';
import { checkIdentity, type OpenPools, type ServingPool } from './open-pools.ts';
import { RecoveryBarrier } from './recovery-barrier.ts';
import type { PoolBlockDevice, StoreEngine } from './store-engine.ts';

/** The parts that this reactor serves, and what it holds for all. */
export class PoolParts {
  readonly #engine: StoreEngine;
  readonly #pools: OpenPools;
  /** Devices that are held and not opened for a part yet. */
  readonly #held = new Map<string, readonly PoolBlockDevice[]>();

  constructor(engine: StoreEngine, pools: OpenPools) {
    this.#engine = engine;
    this.#pools = pools;
  }

  /** Takes hold of the devices, unless they are held already. */
  async hold(
    identity: PoolIdentity,
    devices: readonly PoolBlockDevice[] | readonly string[],
  ): Promise<SharedPool> {
    const held: PoolBlockDevice[] = [];
    try {
      for (const each of devices) {
        held.push(typeof each === 'string' ? this.#engine.openDevice(each) : each);
      }
      await checkIdentity(identity, held);
      const { cellCount, groupCount } = await this.#engine.readPoolShape(held);
      this.#held.set(identity.pool, held);
      return {
        cellCount,
        devices: held.map(({ opened }) => opened),
        owners: new GroupOwners(groupCount).memory,
        recovery: new RecoveryBarrier().memory,
      };
    } catch (error) {
      await Promise.all(held.map((device) => device.close()));
      return throwDeviceProblem(error, undefined);
    }
  }

  /** Opens cells, on the devices that this reactor holds or on those of the one that does. */
  async open(argument: ArgumentOf<'openPart'>): Promise<ServingPool> {
    const { pool, shared, cells, partCount } = argument;
    const barrier = new RecoveryBarrier(shared.recovery);
    try {
      const devices = this.#held.get(pool) ?? this.#share(shared);
      this.#held.delete(pool);
      return await this.#pools.open(argument, devices, {
        fraction: cells.length / shared.cellCount,
        share: {
          cells,
          ownersOf: () => new GroupOwners(shared.owners),
          whenAllRecovered: (hole) => barrier.arrive(partCount, hole),
        },
      });
    } catch (error) {
      barrier.fail();
      throw error;
    }
  }

  /** Gives back what is held or open of a pool. */
  async drop({ pool, reason }: ArgumentOf<'dropPool'>): Promise<undefined> {
    await this.#giveBack(pool);
    await this.#pools.drop(pool, reason);
    return undefined;
  }

  /** Gives all held devices back. */
  async close(): Promise<void> {
    for (const pool of this.#held.keys()) await this.#giveBack(pool);
  }

  async #giveBack(pool: string): Promise<void> {
    const held = this.#held.get(pool) ?? [];
    this.#held.delete(pool);
    await Promise.all(held.map((device) => device.close()));
  }

  #share({ devices }: SharedPool): readonly PoolBlockDevice[] {
    const shared: PoolBlockDevice[] = [];
    try {
      for (const each of devices) shared.push(this.#engine.shareDevice(each));
      return shared;
    } catch (error) {
      for (const device of shared) void device.close();
      return throwDeviceProblem(error, undefined);
    }
  }
}
