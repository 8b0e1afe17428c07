/**
 * Freed runs of a cell that the device is to be told of (R4). What comes here has left the quarantine: the record that
 * freed it, or a root without it, is durable, and all I/O of before has ended. From then on a run is in one place only:
 * here, in flight to the device, or available.
 */
import type { BlockRun } from './group-bitmap.ts';

/** What a queue takes. */
export interface DeallocateQueueOptions {
  readonly groupBlocks: number;
  /** Shorter runs are not worth a request. */
  readonly runBlocksMin: number;
  /** Longer runs are cut, so that no request keeps the device busy for long. */
  readonly runBlocksMax: number;
  /** Runs that wait; what comes on top stays untold. */
  readonly runsMax: number;
}

/** Runs that wait, oldest first. */
export class DeallocateQueue {
  readonly #options: DeallocateQueueOptions;
  readonly #accepts: (pbn: number) => boolean;
  readonly #onQueued: () => void;
  readonly #runs: BlockRun[] = [];
  #queuedBlocks = 0;
  #inFlightBlocks = 0;
  #idleWaiters: (() => void)[] = [];

  constructor(
    options: DeallocateQueueOptions,
    dependencies: {
      /** False for blocks of a device that cannot do it. */
      accepts: (pbn: number) => boolean;
      /** There is something to take. */
      onQueued: () => void;
    },
  ) {
    this.#options = options;
    this.#accepts = dependencies.accepts;
    this.#onQueued = dependencies.onQueued;
  }

  /** Blocks that wait. */
  get queuedBlocks(): number {
    return this.#queuedBlocks;
  }

  /** The run that waits longest. */
  get first(): BlockRun | undefined {
    return this.#runs[0];
  }

  /** Blocks that the device is being told of. */
  get inFlightBlocks(): number {
    return this.#inFlightBlocks;
  }

  /** Takes in the long runs among freed blocks; returns the other blocks. */
  accept(pbns: readonly number[]): number[] {
    if (pbns.length < this.#options.runBlocksMin) return [...pbns];
    const refused: number[] = [];
    for (const run of joinRuns(pbns, this.#options)) {
      const isTaken =
        run.count >= this.#options.runBlocksMin &&
        this.#runs.length < this.#options.runsMax &&
        this.#accepts(run.pbn);
      if (isTaken) {
        this.#runs.push(run);
        this.#queuedBlocks += run.count;
      } else for (let index = 0; index < run.count; index++) refused.push(run.pbn + index);
    }
    if (this.#runs.length > 0) this.#onQueued();
    return refused;
  }

  /** Takes out the oldest run: it is in flight now. */
  take(): BlockRun | undefined {
    const run = this.#runs.shift();
    if (!run) return undefined;
    this.#queuedBlocks -= run.count;
    this.#inFlightBlocks += run.count;
    return run;
  }

  /** The device has ended with a run. */
  ended(run: BlockRun): void {
    this.#inFlightBlocks -= run.count;
    if (this.#inFlightBlocks === 0) for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  /** Resolves when nothing is in flight. */
  idle(): Promise<void> {
    if (this.#inFlightBlocks === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Takes out all that wait: they are needed. */
  withdraw(): BlockRun[] {
    this.#queuedBlocks = 0;
    return this.#runs.splice(0);
  }
}

/** Blocks beside each other in one group, cut to the longest run allowed. */
function joinRuns(
  pbns: readonly number[],
  { groupBlocks, runBlocksMax }: DeallocateQueueOptions,
): BlockRun[] {
  const sorted = Uint32Array.from(pbns).sort();
  const runs: BlockRun[] = [];
  for (let first = 0; first < sorted.length;) {
    const pbn = sorted[first]!;
    const countMax = Math.min(runBlocksMax, groupBlocks - (pbn % groupBlocks));
    let count = 1;
    while (count < countMax && sorted[first + count] === pbn + count) count++;
    runs.push({ pbn, count });
    first += count;
  }
  return runs;
}
