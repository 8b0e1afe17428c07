/**
 * Tells the devices of a pool which freed runs they may forget (R4), behind everything else: one request at a time, at
 * a bounded rate. It is advice: what does not fit into a queue, or what somebody needs first, stays untold.
 */
import type { CellAllocator } from '../../allocator/cell-allocator.ts';
import { DeallocateQueue } from '../../allocator/deallocate-queue.ts';
import type { DeviceError } from '../../device/block-device.ts';
import { blocksToBytes, clusterSizeBlocks } from '../../units.ts';
import type { PoolDevices } from '../pool-devices.ts';
import type { DeallocateOptions } from '../store-api.ts';
import type { CancelTimer, StoreEnvironment } from '../store-environment.ts';

/** Runs below 64 KiB are not worth a request: they are soon written again. */
const defaultRunBlocksMin = clusterSizeBlocks;
/** 16 MiB: what a drive does in about a millisecond. */
const runBlocksMax = 4096;
/** Of each cell: with the shortest runs half a gibibyte waits, with the longest 128 GiB. */
const queuedRunsMax = 8192;
/** Requests follow each other until they owe a pause of this length: timers are no finer. */
const pauseMinMs = 5;

interface ServedCell {
  readonly allocator: CellAllocator;
  readonly queue: DeallocateQueue;
}

/** Deallocates for the cells of a pool, in turns. */
export class Deallocator {
  readonly #options: DeallocateOptions;
  readonly #devices: PoolDevices;
  readonly #environment: StoreEnvironment;
  readonly #cells: ServedCell[] = [];
  #nextCell = 0;
  #isBusy = false;
  #isStopped = false;
  #owedMs = 0;
  #cancelPause: CancelTimer | undefined;
  /** Blocks that devices were told of so far. */
  deallocatedBlocks = 0;
  /** Requests that failed so far. */
  failures = 0;

  constructor(
    options: DeallocateOptions,
    dependencies: { devices: PoolDevices; environment: StoreEnvironment },
  ) {
    this.#options = options;
    this.#devices = dependencies.devices;
    this.#environment = dependencies.environment;
  }

  /** Blocks that wait to be told of. */
  get queuedBlocks(): number {
    return this.#cells.reduce((sum, { queue }) => sum + queue.queuedBlocks, 0);
  }

  /** Serves a cell: its allocator hands long freed runs over from now on. */
  serve(allocator: CellAllocator): void {
    const queue = new DeallocateQueue(
      {
        groupBlocks: allocator.groupBlocks,
        runBlocksMin: this.#options.runBlocksMin ?? defaultRunBlocksMin,
        runBlocksMax,
        runsMax: queuedRunsMax,
      },
      {
        accepts: (pbn) => !this.#isStopped && this.#devices.canDeallocate(pbn),
        onQueued: () => this.#wake(),
      },
    );
    allocator.deallocation = queue;
    this.#cells.push({ allocator, queue });
  }

  /** Ends with the request under way. What waits stays untold. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelPause?.();
  }

  #wake(): void {
    if (this.#isBusy || this.#isStopped) return;
    this.#isBusy = true;
    void this.#environment.yieldTurn().then(() => this.#next());
  }

  #next(): void {
    const cell = this.#nextServed();
    const run = cell?.queue.take();
    if (!cell || !run) {
      this.#isBusy = false;
      return;
    }
    this.#devices.deallocate(run, (error) => {
      cell.allocator.endDeallocation(run);
      this.#count(run.count, error);
      this.#pace(run.count);
    });
  }

  /**
   * The cell whose turn it is, with a run that its device takes: one that deletes a lot does not keep others waiting.
   * Runs of a device that has refused since they were queued are given back, however many they are.
   */
  #nextServed(): ServedCell | undefined {
    if (this.#isStopped) return undefined;
    for (let step = 0; step < this.#cells.length; step++) {
      const cell = this.#cells[(this.#nextCell + step) % this.#cells.length]!;
      this.#giveBackRefused(cell);
      if (cell.queue.queuedBlocks === 0) continue;
      this.#nextCell += step + 1;
      return cell;
    }
    return undefined;
  }

  #giveBackRefused({ allocator, queue }: ServedCell): void {
    for (;;) {
      const { first } = queue;
      if (!first || this.#devices.canDeallocate(first.pbn)) return;
      queue.take();
      allocator.endDeallocation(first);
    }
  }

  #count(blocks: number, error: DeviceError | null): void {
    if (!error) {
      this.deallocatedBlocks += blocks;
      return;
    }
    this.failures++;
    // The devices remember it: this comes once per device and opening.
    const level = error.kind === 'unsupported' ? 'info' : 'warn';
    this.#environment.log(level, 'the device is not told of freed blocks any more', {
      device: error.deviceName,
      reason: error.message,
    });
  }

  #pace(blocks: number): void {
    this.#owedMs += (blocksToBytes(blocks) / this.#options.bytesPerSecond) * 1000;
    if (this.#owedMs < pauseMinMs) {
      void this.#environment.yieldTurn().then(() => this.#next());
      return;
    }
    this.#cancelPause = this.#environment.after(this.#owedMs, () => this.#next());
    this.#owedMs = 0;
  }
}
