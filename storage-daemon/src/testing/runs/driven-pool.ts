/** A pool on a simulated device for tests that tell one story: each call is driven until it has its answer. */
import type {
  GeometryOptions,
  NodeIo,
  NodeKind,
  OpenOptions,
  Store,
} from '../../store/store-api.ts';
import { blockSizeBytes } from '../../units.ts';
import {
  SimulatedMachine,
  blankImages,
  type MachineOptions,
  type StoreEngine,
} from './simulated-machine.ts';
import { SeededRandom } from '../seeded-random.ts';
import type { SimImage } from '../sim-image.ts';

/** Geometry in which short stories meet every boundary. */
export const storyGeometry: GeometryOptions = {
  cellCount: 1,
  allocationGroupBlocks: 256,
  journalRingBlocks: 16,
  tableFanOut: 16,
  leafClusters: 2,
  reserveBlocks: 64,
};
/** Nothing is written by a timer. */
const quiet: OpenOptions = {
  journalTimerMs: Infinity,
  checkpointIntervalMs: Infinity,
  heal: { intervalMs: Infinity },
};
/** Blocks before the first allocation group, and behind the last. */
const fixedAreaBlocks = 1536;

/** A formatted device that is not open. */
export async function formatImages(
  engine: StoreEngine,
  groupCount: number,
  geometry: GeometryOptions = storyGeometry,
): Promise<SimImage[]> {
  const images = blankImages([fixedAreaBlocks + groupCount * 256]);
  const machine = createMachine(images, {});
  await machine.format(engine, 1, geometry);
  return machine.crash('power');
}

/** A machine that does the same each time; another seed completes requests in another order. */
export function createMachine(
  images: readonly SimImage[],
  options: Partial<MachineOptions> & { readonly seed?: number },
): SimulatedMachine {
  return new SimulatedMachine(
    {
      hasVolatileCache: true,
      tearsBlocks: false,
      stallChance: 0,
      trace: () => {},
      bootIndex: 0,
      ...options,
    },
    { images, random: new SeededRandom(options.seed ?? 1) },
  );
}

/** An open pool. */
export class DrivenPool {
  readonly machine: SimulatedMachine;
  readonly store: Store;

  private constructor(machine: SimulatedMachine, store: Store) {
    this.machine = machine;
    this.store = store;
  }

  static async open(
    engine: StoreEngine,
    images: readonly SimImage[],
    options: { open?: OpenOptions; machine?: Parameters<typeof createMachine>[1] } = {},
  ): Promise<DrivenPool> {
    const machine = createMachine(images, options.machine ?? {});
    const opening = machine.open(engine, { ...quiet, ...options.open });
    return new DrivenPool(machine, await machine.drive('opening', opening));
  }

  async createVolume(name: string, sizeBlocks = 64): Promise<NodeIo> {
    const fields = { name, sizeBlocks, uuid: new Uint8Array(16), attributes: '{}' };
    await this.machine.drive('creating', this.store.createVolume(fields));
    return this.openIo('volume', name);
  }

  async snapshot(volume: string, name: string): Promise<void> {
    const fields = { name, volume, uuid: new Uint8Array(16), attributes: '{}' };
    await this.machine.drive('cutting', this.store.createSnapshot(fields));
  }

  openIo(kind: NodeKind, name: string): NodeIo {
    return this.store.openIo({ kind, name });
  }

  write(io: NodeIo, lbn: number, blockCount = 1): Promise<void> {
    const source = new Uint8Array(blockCount * blockSizeBytes).fill(1 + (lbn % 200));
    return this.io((done) => io.write(lbn, source, false, done));
  }

  flush(io: NodeIo): Promise<void> {
    return this.io((done) => io.flush(done));
  }

  io(submit: (done: (error: Error | null) => void) => void): Promise<void> {
    const answered = new Promise<void>((resolve, reject) => {
      submit((error) => (error ? reject(error) : resolve()));
    });
    return this.machine.drive('i/o', answered);
  }
}
