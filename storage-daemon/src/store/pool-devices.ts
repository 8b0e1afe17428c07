/** The devices of a pool as one space of blocks: allocation groups by pbn, and the fixed area of the first device. */
import { assert } from '@varve/common/assert';

import type { BlockDevice, DeviceCompletion, DeviceError } from '../device/block-device.ts';
import type { PoolGeometry, SuperblockDevice } from '../format/superblock.ts';
import { blockSizeBytes, blocksToBytes } from '../units.ts';
import { StoreError } from './store-error.ts';

/** Finds the device and the place for a block. */
export class PoolDevices {
  readonly hasVolatileCache: boolean;
  readonly #geometry: PoolGeometry;
  readonly #table: readonly SuperblockDevice[];
  readonly #devices: readonly BlockDevice[];
  readonly #deallocateRefusers = new Set<BlockDevice>();
  #flushCount = 0;
  #isStopped = false;
  /** Writes and flushes under way. */
  #changeCount = 0;
  #idleWaiters: (() => void)[] = [];

  /** `devices` in the order of the superblock's table. */
  constructor(
    options: { geometry: PoolGeometry; table: readonly SuperblockDevice[] },
    dependencies: { devices: readonly BlockDevice[] },
  ) {
    assert(options.table.length === dependencies.devices.length, 'a device for each table entry');
    this.#geometry = options.geometry;
    this.#table = options.table;
    this.#devices = dependencies.devices;
    this.hasVolatileCache = this.#devices.some((device) => device.hasVolatileCache);
  }

  /** Groups of all devices. */
  get groupCount(): number {
    return this.#table.reduce((sum, device) => sum + device.groupCount, 0);
  }

  /** Flush requests so far. */
  get flushCount(): number {
    return this.#flushCount;
  }

  read(pbn: number, target: Uint8Array, done: DeviceCompletion): void {
    const { device, offsetBytes } = this.#locate(pbn, target.length);
    device.read(offsetBytes, target, done);
  }

  write(pbn: number, source: Uint8Array, fua: boolean, done: DeviceCompletion): void {
    const { device, offsetBytes } = this.#locate(pbn, source.length);
    const isDurable = fua && device.hasVolatileCache;
    this.#submit(done, (ended) => device.write(offsetBytes, source, isDurable, ended));
  }

  /** False for blocks of a device that cannot deallocate, or that has failed to. */
  canDeallocate(pbn: number): boolean {
    const { device } = this.#locate(pbn, blockSizeBytes);
    return device.deallocate !== undefined && !this.#deallocateRefusers.has(device);
  }

  /** Tells the device that it may forget these blocks. Who has failed once is not asked again. */
  deallocate(run: { readonly pbn: number; readonly count: number }, done: DeviceCompletion): void {
    const lengthBytes = blocksToBytes(run.count);
    const { device, offsetBytes } = this.#locate(run.pbn, lengthBytes);
    this.#submit(done, (ended) => {
      assert(device.deallocate !== undefined, `${device.name} cannot deallocate`);
      device.deallocate(offsetBytes, lengthBytes, (error) => {
        if (error) this.#deallocateRefusers.add(device);
        ended(error);
      });
    });
  }

  /**
   * As `write`, without FUA, for those who have an object of their own per request: `done` is given to the device as it
   * is, and calls `endWrite` first.
   */
  writeCounted(pbn: number, source: Uint8Array, done: DeviceCompletion): void {
    if (this.#isStopped) return;
    const { device, offsetBytes } = this.#locate(pbn, source.length);
    this.#changeCount++;
    device.write(offsetBytes, source, false, done);
  }

  /** A write of `writeCounted` has ended. */
  endWrite(): void {
    this.#changeCount--;
    if (this.#changeCount === 0) for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  /** Reads blocks of the first device's fixed area: cell roots and journals. */
  readFixed(block: number, target: Uint8Array, done: DeviceCompletion): void {
    this.#devices[0]!.read(blocksToBytes(block), target, done);
  }

  /** Writes blocks of the first device's fixed area, durable at completion. */
  writeFixed(block: number, source: Uint8Array, done: DeviceCompletion): void {
    const [device] = this.#devices;
    const fua = device!.hasVolatileCache;
    this.#submit(done, (ended) => device!.write(blocksToBytes(block), source, fua, ended));
  }

  /** Makes durable all writes that completed before this call, on all devices. */
  flush(done: DeviceCompletion): void {
    const cached = this.#devices.filter((device) => device.hasVolatileCache);
    assert(cached.length > 0, 'a flush without a volatile cache');
    this.#flushCount++;
    let left = cached.length;
    let failure: DeviceError | null = null;
    for (const device of cached) {
      const ended = (error: DeviceError | null) => {
        failure ??= error;
        if (--left === 0) done(failure);
      };
      this.#submit(ended, (each) => device.flush(each));
    }
  }

  /**
   * Submits no write and no flush any more; who asks for one is not answered. Resolves when those under way have
   * ended: then somebody else may open the devices.
   */
  stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#changeCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  #submit(done: DeviceCompletion, submit: (ended: DeviceCompletion) => void): void {
    if (this.#isStopped) return;
    this.#changeCount++;
    submit((error) => {
      this.#changeCount--;
      done(error);
      if (this.#changeCount === 0) for (const resolve of this.#idleWaiters.splice(0)) resolve();
    });
  }

  #locate(pbn: number, lengthBytes: number): { device: BlockDevice; offsetBytes: number } {
    const { groupBlocks } = this.#geometry;
    const group = Math.floor(pbn / groupBlocks);
    let index = 0;
    // The table is in order of groups, without gaps.
    while (index < this.#table.length - 1 && group >= this.#table[index + 1]!.firstGroup) index++;
    const entry = this.#table[index];
    const isInside = entry !== undefined && group < entry.firstGroup + entry.groupCount;
    // Messages are made only if they are needed: this is on the path of every request.
    if (!isInside) assert(false, `block ${pbn} is on no device`);
    const last = pbn + lengthBytes / blockSizeBytes - 1;
    if (Math.floor(last / groupBlocks) !== group) {
      assert(false, `blocks ${pbn}..${last} cross a group`);
    }
    const block = entry.groupStartBlock + (pbn - entry.firstGroup * groupBlocks);
    return { device: this.#devices[index]!, offsetBytes: blocksToBytes(block) };
  }
}

/** What a caller of the store sees of a device's failure. */
export function ioFailure(action: string, error: DeviceError): StoreError {
  return new StoreError('unavailable', `${action} failed: ${error.message}`, { cause: error });
}
