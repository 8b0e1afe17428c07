/**
 * Pools between "these devices" and "formatted". The devices are held exclusively from the look at them
 * until the pool serves, so what was proven of them stays true. The main thread writes its state file
 * between the steps:
 *
 *   prepare -> (state file: formatting) -> format -> (state file: formatted) -> open
 *
 * A pool takes no volume before it is open, so one that is not yet `formatted` in the state file may always
 * be formatted again.
 */
import { assert } from '@varve/common/assert';
import type { FoundSignature, PutPoolDevice } from '@varve/contract/pool';
import { ProblemError } from '@varve/contract/problem';

import type { StoreEnvironment } from '../../store/store-environment.ts';
import type { PoolDevice, PoolIdentity } from '../messages.ts';
import { ensureSparseFile, removeFile } from './device-files.ts';
import { throwDeviceProblem } from './device-problem.ts';
import { readDeviceContent, type DeviceContent } from './device-signature.ts';
import type { PoolBlockDevice, StoreEngine } from './store-engine.ts';
import { parseUuid } from '../uuid-text.ts';
import { wipeDevice } from './wipe-device.ts';

interface PreparedPool {
  readonly devices: readonly PoolBlockDevice[];
  /** Files that the preparation made: nothing of value is in them yet. */
  readonly createdPaths: readonly string[];
}

/** Pools that are being made. */
export class PreparedPools {
  readonly #engine: StoreEngine;
  readonly #environment: StoreEnvironment;
  readonly #prepared = new Map<string, PreparedPool>();

  constructor(engine: StoreEngine, environment: StoreEnvironment) {
    this.#engine = engine;
    this.#environment = environment;
  }

  /** Takes hold of all devices and proves that each may be overwritten; on a failure all are given back. */
  async prepare(
    identity: PoolIdentity,
    devices: readonly PutPoolDevice[],
  ): Promise<readonly PoolDevice[]> {
    await this.release(identity.pool);
    const held: PoolBlockDevice[] = [];
    const createdPaths: string[] = [];
    try {
      for (const [index, wanted] of devices.entries()) {
        const field = `devices.${index}`;
        if (this.#createFile(wanted, field)) createdPaths.push(wanted.path);
        const device = this.#openDevice(wanted.path, field);
        held.push(device);
        judgeContent(await readDeviceContent(device), { identity, wanted, field });
      }
    } catch (error) {
      await giveBack({ devices: held, createdPaths });
      throw error;
    }
    this.#prepared.set(identity.pool, { devices: held, createdPaths });
    return held.map(describeDevice);
  }

  /** Gives the devices back, unchanged. Does nothing if there is no such preparation. */
  async release(pool: string): Promise<void> {
    const prepared = this.#prepared.get(pool);
    this.#prepared.delete(pool);
    if (prepared) await giveBack(prepared);
  }

  /** Formats; the devices stay held for `take`. */
  async format(identity: PoolIdentity & { readonly reactorCount?: number }): Promise<void> {
    const prepared = this.#prepared.get(identity.pool);
    assert(prepared !== undefined, `pool ${identity.pool} is formatted without preparation`);
    const { devices } = prepared;
    try {
      for (const device of devices) await wipeDevice(device);
      await this.#engine.formatStore(
        {
          poolName: identity.pool,
          poolUuid: parseUuid(identity.poolUuid),
          geometry: { reactorCount: identity.reactorCount ?? 1 },
        },
        { devices, environment: this.#environment },
      );
    } catch (error) {
      throwDeviceProblem(error, undefined);
    }
  }

  /** The held devices of a pool, which are the caller's from now on; undefined if none are held. */
  take(pool: string): readonly PoolBlockDevice[] | undefined {
    const prepared = this.#prepared.get(pool);
    this.#prepared.delete(pool);
    return prepared?.devices;
  }

  /** Gives all held devices back. */
  async close(): Promise<void> {
    for (const pool of this.#prepared.keys()) await this.release(pool);
  }

  #createFile(wanted: PutPoolDevice, field: string): boolean {
    if (wanted.sizeBytes === undefined) return false;
    return ensureSparseFile(wanted.path, wanted.sizeBytes, `${field}.sizeBytes`);
  }

  #openDevice(path: string, field: string): PoolBlockDevice {
    try {
      return this.#engine.openDevice(path);
    } catch (error) {
      return throwDeviceProblem(error, `${field}.path`);
    }
  }
}

/** The contract's view of a device. */
export function describeDevice(device: PoolBlockDevice): PoolDevice {
  return {
    path: device.name,
    kind: device.probe.kind,
    sizeBytes: device.sizeBytes,
    hasVolatileCache: device.hasVolatileCache,
  };
}

async function giveBack({ devices, createdPaths }: PreparedPool): Promise<void> {
  await Promise.all(devices.map((device) => device.close()));
  for (const path of createdPaths) removeFile(path);
}

/** Decides whether what is on a device may be overwritten; a refusal names it. */
function judgeContent(
  content: DeviceContent,
  context: {
    readonly identity: PoolIdentity;
    readonly wanted: PutPoolDevice;
    readonly field: string;
  },
): void {
  const { identity, wanted, field } = context;
  const action = `Formatting device "${wanted.path}" failed`;
  if (content.pool !== undefined && content.pool.uuid !== identity.poolUuid) {
    const { name, uuid } = content.pool;
    throw new ProblemError(
      'failed-precondition',
      `${action}: it belongs to Varve pool "${name}" (uuid ${uuid}); ` +
        'a pool is never overwritten, wipe the device first if its data is not needed',
      { field: `${field}.path`, blocker: `Varve pool "${name}" ${uuid}` },
    );
  }
  const quoted = wanted.force ?? [];
  const unquoted = content.signatures.filter(
    (found) =>
      // What an interrupted format of this very pool left.
      !(found.type === 'varve' && found.uuid === identity.poolUuid) &&
      !quoted.some((each) => each.type === found.type && each.uuid === found.uuid),
  );
  if (unquoted.length === 0) return;
  const found = content.signatures.map(describeSignature).join(' and ');
  throw new ProblemError(
    'failed-precondition',
    `${action}: it carries ${found}; to overwrite that, quote it: "force": ${JSON.stringify(content.signatures)}`,
    { field: quoted.length > 0 ? `${field}.force` : `${field}.path`, blocker: found },
  );
}

function describeSignature({ type, uuid }: FoundSignature): string {
  return uuid === undefined ? type : `${type} (uuid ${uuid})`;
}
