/**
 * One of several simulated reactors: what its devices, timers and turns deliver arrives in a lane of its own, which now
 * and then falls asleep (its thread was not scheduled, or collects garbage) while the others go on.
 */
import type { BlockDevice, DeviceCompletion } from '../../../device/block-device.ts';
import type { StoreEnvironment } from '../../../store/store-environment.ts';
import type { SeededRandom } from '../../seeded-random.ts';
import type { SeededScheduler } from '../../seeded-scheduler.ts';

/** Probability that a reactor falls asleep at an event. */
const sleepChance = 0.01;
const sleepMsMax = 20;

/** A reactor's view of the machine. */
export class ReactorLane {
  readonly devices: readonly BlockDevice[];
  readonly environment: StoreEnvironment;
  readonly #scheduler: SeededScheduler;
  readonly #random: SeededRandom;
  #isAsleep = false;
  #missed: (() => void)[] = [];

  constructor(dependencies: {
    scheduler: SeededScheduler;
    devices: readonly BlockDevice[];
    random: SeededRandom;
  }) {
    this.#scheduler = dependencies.scheduler;
    this.#random = dependencies.random;
    const { environment } = dependencies.scheduler;
    this.environment = {
      ...environment,
      after: (delayMs, task) => environment.after(delayMs, () => this.#deliver(task)),
      yieldTurn: () => environment.yieldTurn().then(() => this.#arrival()),
      whenChanged: (words, index, value) =>
        environment.whenChanged(words, index, value).then(() => this.#arrival()),
    };
    this.devices = dependencies.devices.map((device) => this.#wrap(device));
  }

  #wrap(device: BlockDevice): BlockDevice {
    const inLane =
      (done: DeviceCompletion): DeviceCompletion =>
      (error) =>
        this.#deliver(() => done(error));
    return {
      name: device.name,
      sizeBytes: device.sizeBytes,
      hasVolatileCache: device.hasVolatileCache,
      read: (offsetBytes, target, done) => device.read(offsetBytes, target, inLane(done)),
      write: (offsetBytes, source, fua, done) =>
        device.write(offsetBytes, source, fua, inLane(done)),
      flush: (done) => device.flush(inLane(done)),
      deallocate: (offsetBytes, lengthBytes, done) =>
        device.deallocate?.(offsetBytes, lengthBytes, inLane(done)),
      close: () => device.close(),
    };
  }

  #arrival(): Promise<void> {
    return new Promise((resolve) => this.#deliver(resolve));
  }

  #deliver(event: () => void): void {
    if (!this.#isAsleep && this.#random.chance(sleepChance)) this.#fallAsleep();
    if (this.#isAsleep) this.#missed.push(event);
    else event();
  }

  #fallAsleep(): void {
    this.#isAsleep = true;
    this.#scheduler.after(this.#random.below(sleepMsMax * 100) / 100, () => {
      this.#isAsleep = false;
      for (const event of this.#missed.splice(0)) this.#scheduler.enqueue(event);
    });
  }
}
