/**
 * A small pool with shrunk geometry that exhaustive runs start from: a volume `a` with own, shared and unmapped
 * blocks, its snapshot `s`, and `c`, a clone of `s` with blocks of its own.
 */
import type { GeometryOptions, Store } from '../../store/store-api.ts';
import { SeededRandom } from '../seeded-random.ts';
import type { SimDeviceOptions } from '../sim-device.ts';
import type { SimImage } from '../sim-image.ts';
import type { ClientTolerance } from './client-session.ts';
import { SimulatedClient } from './simulated-client.ts';
import { SimulatedMachine, blankImages, type StoreEngine } from './simulated-machine.ts';
import { expectHolds } from '../model/simulation-failure.ts';
import { StoreModel } from '../model/store-model.ts';

/** Geometry in which a few operations meet every boundary. */
const smallGeometry: GeometryOptions = {
  cellCount: 1,
  allocationGroupBlocks: 256,
  journalRingBlocks: 16,
  tableFanOut: 4,
  leafClusters: 2,
};
const openOptions = { journalTimerMs: 1, checkpointIntervalMs: 30_000 } as const;
/** Blocks before the first allocation group. */
const fixedAreaBlocks = 1536;
/** Steps after which an answer is taken for lost. */
const stepsMax = 100_000;

/** Image and model of a pool that is not open. */
export interface SmallPool {
  readonly image: SimImage;
  readonly model: StoreModel;
}

/** An open pool with its clients. */
export interface Bench {
  readonly machine: SimulatedMachine;
  readonly store: Store;
  readonly client: SimulatedClient;
  readonly model: StoreModel;
}

/** How a bench's device behaves. */
export interface BenchOptions {
  readonly hasVolatileCache: boolean;
  readonly seed?: number;
  readonly stallChance?: number;
  readonly tolerance?: Partial<ClientTolerance>;
  readonly failRequest?: SimDeviceOptions['failRequest'];
}

/** Opens the pool on these images. */
export async function openBench(
  options: BenchOptions,
  engine: StoreEngine,
  { images, model }: { images: readonly SimImage[]; model: StoreModel },
): Promise<Bench> {
  const machine = createMachine(options, images);
  const store = await machine.drive('recovery', machine.open(engine, openOptions));
  const client = new SimulatedClient(
    {
      tolerance: { noSpace: false, deviceErrors: false, ...options.tolerance },
      trace: () => {},
    },
    { store, model, random: new SeededRandom(2) },
  );
  return { machine, store, client, model };
}

/** Formats and fills a pool, and closes it. */
export async function preparePool(
  options: BenchOptions & { groupCount?: number },
  engine: StoreEngine,
): Promise<SmallPool> {
  const model = new StoreModel(1);
  const sizeBlocks = fixedAreaBlocks + (options.groupCount ?? 4) * 256;
  const formatting = createMachine(options, blankImages([sizeBlocks]));
  await formatting.format(engine, model.poolNumber, smallGeometry);
  const bench = await openBench(options, engine, { images: formatting.crash('power'), model });
  const { client, machine, store } = bench;
  const node = (kind: 'volume' | 'snapshot', name: string) => model.find({ kind, name })!;
  const steps: (() => void)[] = [
    () => client.createVolume({ name: 'a', sizeBlocks: 40, attributes: '{"of":"a"}' }),
    () => client.write(node('volume', 'a'), { lbn: 0, blockCount: 6 }, false),
    () => client.createSnapshot(node('volume', 'a'), { name: 's', attributes: '{"of":"s"}' }),
    () => client.write(node('volume', 'a'), { lbn: 0, blockCount: 2 }, false),
    () =>
      client.createClone(node('snapshot', 's'), { name: 'c', sizeBlocks: 40, attributes: '{}' }),
    () => client.write(node('volume', 'c'), { lbn: 1, blockCount: 2 }, false),
    () => client.flush(node('volume', 'a')),
    () => client.flush(node('volume', 'c')),
  ];
  for (const step of steps) {
    step();
    await answered(bench);
  }
  await machine.drive('closing', client.session.closeAll());
  await machine.drive('closing', store.close());
  const [image] = machine.crash('power');
  return { image: image!, model };
}

function createMachine(options: BenchOptions, images: readonly SimImage[]): SimulatedMachine {
  return new SimulatedMachine(
    {
      hasVolatileCache: options.hasVolatileCache,
      tearsBlocks: false,
      stallChance: options.stallChance ?? 0,
      trace: () => {},
      bootIndex: 0,
      ...(options.failRequest && { failRequest: options.failRequest }),
    },
    { images, random: new SeededRandom(options.seed ?? 1) },
  );
}

/** Runs until every operation has its answer. */
export async function answered({ machine, client }: Bench, onStep?: () => void): Promise<void> {
  await machine.settle();
  for (let steps = 0; client.session.pendingCount > 0; steps++) {
    const ran = await machine.step();
    client.session.checkFailure();
    onStep?.();
    expectHolds(
      client.session.pendingCount === 0 || (ran && steps < stepsMax),
      () => `never answered: ${client.session.describePending()}`,
    );
  }
}
