/**
 * A machine that runs the store on simulated devices: it boots from the images that the last crash left, runs one
 * step at a time, and dies when told to.
 */
import type { DeviceError } from '../../device/block-device.ts';
import type {
  FormatStore,
  GeometryOptions,
  OpenOptions,
  OpenStore,
  Store,
} from '../../store/store-api.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { SeededScheduler, drainMicrotasks } from '../seeded-scheduler.ts';
import { SimDevice, type CrashKind, type SimDeviceOptions } from '../sim-device.ts';
import { SimImage } from '../sim-image.ts';
import { SimulationFailure } from '../model/simulation-failure.ts';
import { ReactorLane } from './reactors/reactor-lane.ts';
import { openOnReactors } from './reactors/reactor-pool.ts';

/** The code under test. */
export interface StoreEngine {
  readonly formatStore: FormatStore;
  readonly openStore: OpenStore;
  /** Checks a pool that is not open; returns what is wrong with it. */
  readonly checkPool: (
    devices: readonly SimDevice[],
    options?: { readonly isAfterCrash?: boolean },
  ) => Promise<readonly string[]>;
}

/** How the devices behave, whatever they hold. */
export interface MachineOptions {
  readonly hasVolatileCache: boolean;
  readonly tearsBlocks: boolean;
  readonly stallChance: number;
  readonly stallMs?: number;
  readonly trace: (line: string) => void;
  readonly failRequest?: SimDeviceOptions['failRequest'];
  readonly rotsPage?: SimDeviceOptions['rotsPage'];
  readonly observe?: SimDeviceOptions['observe'];
}

/** Steps after which something that must end is taken for stuck. */
const stepsMax = 400_000;

/** Virtual start of a run; each incarnation begins an hour later. */
const firstBootMs = 1_700_000_000_000;
const bootIntervalMs = 3_600_000;

/** One incarnation. */
export class SimulatedMachine {
  readonly scheduler: SeededScheduler;
  readonly devices: readonly SimDevice[];
  /** Errors of background work that nobody waited for. */
  readonly strayErrors: unknown[] = [];
  readonly #random: SeededRandom;

  constructor(
    options: MachineOptions & { bootIndex: number },
    dependencies: { images: readonly SimImage[]; random: SeededRandom },
  ) {
    const { random, images } = dependencies;
    this.#random = random;
    const { trace } = options;
    this.scheduler = new SeededScheduler(random.fork(), {
      startMs: firstBootMs + options.bootIndex * bootIntervalMs,
      log: (level, message, fields) => trace(`log ${level}: ${message} ${JSON.stringify(fields)}`),
    });
    this.devices = images.map(
      (image, index) =>
        new SimDevice(
          {
            name: `disk${index}`,
            hasVolatileCache: options.hasVolatileCache,
            tearsBlocks: options.tearsBlocks,
            stallChance: options.stallChance,
            ...(options.stallMs !== undefined && { stallMs: options.stallMs }),
            ...(options.failRequest && { failRequest: options.failRequest }),
            ...(options.rotsPage && { rotsPage: options.rotsPage }),
            ...(options.observe && { observe: options.observe }),
          },
          { image, scheduler: this.scheduler, random: random.fork() },
        ),
    );
  }

  /** Lets everything run that follows at once from what was just asked for. */
  settle(): Promise<void> {
    return drainMicrotasks();
  }

  /** Runs one event and all that follows from it at once; false if nothing is waiting. */
  async step(): Promise<boolean> {
    const ran = this.scheduler.step();
    await drainMicrotasks();
    return ran;
  }

  /** Runs until the promise is settled. */
  async drive<T>(what: string, promise: Promise<T>): Promise<T> {
    const outcome = { isSettled: false };
    const settle = () => {
      outcome.isSettled = true;
    };
    promise.then(settle, settle);
    await drainMicrotasks();
    for (let steps = 0; !outcome.isSettled; steps++) {
      const ran = await this.step();
      if (!outcome.isSettled && (!ran || steps > stepsMax)) {
        throw new SimulationFailure(`${what}: never ended (${ran ? 'busy' : 'nothing to run'})`);
      }
    }
    return promise;
  }

  format(engine: StoreEngine, poolNumber: number, geometry: GeometryOptions): Promise<void> {
    const poolUuid = new Uint8Array(16).fill(poolNumber & 0xff);
    return this.drive(
      'format',
      engine.formatStore(
        { poolName: `pool${poolNumber}`, poolUuid, geometry },
        { devices: this.devices, environment: this.scheduler.environment },
      ),
    );
  }

  /** Opens the pool on one reactor that serves all of it, or on several, if it has a cell for each. */
  open(
    engine: StoreEngine,
    options: OpenOptions,
    reactors: { readonly count: number; readonly cellCount: number } = { count: 1, cellCount: 1 },
  ): Promise<Store> {
    const count = Math.min(reactors.count, reactors.cellCount);
    if (count > 1) {
      const { scheduler, devices } = this;
      const createLane = () => new ReactorLane({ scheduler, devices, random: this.#random.fork() });
      const lanes = Array.from({ length: count }, createLane);
      return openOnReactors(engine.openStore, { ...options, cellCount: reactors.cellCount }, lanes);
    }
    return engine.openStore(options, {
      devices: this.devices,
      environment: this.scheduler.environment,
    });
  }

  /** Ends the incarnation at once; returns what the next one finds. */
  crash(kind: CrashKind): SimImage[] {
    this.scheduler.stop();
    return this.devices.map((device) => device.crash(kind));
  }
}

/** True for an error that a device was told to give. */
export function isInjected(error: unknown): boolean {
  let cause = error as { kind?: unknown; cause?: unknown } | undefined;
  while (cause) {
    if ((cause as DeviceError).kind === 'io') return true;
    cause = cause.cause as typeof cause;
  }
  return false;
}

/** Blank devices. */
export function blankImages(sizesBlocks: readonly number[]): SimImage[] {
  return sizesBlocks.map((sizeBlocks) => new SimImage(sizeBlocks));
}
