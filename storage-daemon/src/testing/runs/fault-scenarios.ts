/**
 * Faults that random histories meet too seldom: an I/O error at every single request of a history, and pools that are
 * 0 to 64 blocks from full, where deletes must always succeed.
 */
import { History, usualWeights } from './history.ts';
import { judgeRecovery } from '../model/oracle.ts';
import { SeededRandom } from '../seeded-random.ts';
import type { SimImage } from '../sim-image.ts';
import type { StoreEngine } from './simulated-machine.ts';
import { expectHolds } from '../model/simulation-failure.ts';
import { answered, openBench, preparePool, type Bench, type SmallPool } from './small-pool.ts';

/** What a run of scenarios did. */
export interface FaultReport {
  operationCount: number;
  crashCount: number;
  failures: string[];
}

interface Scenario {
  readonly name: string;
  readonly run: (engine: StoreEngine, report: FaultReport) => Promise<void>;
}

/** Histories in which every request fails once. */
const errorHistories = 6;
const errorHistoryOperations = 14;
/** A history with background work makes at most so many requests. */
const requestsMax = 400;
/** Distances from a full pool, in blocks. */
const freeBlockCounts = [0, 1, 2, 3, 5, 8, 16, 32, 64] as const;
const fullPoolVariants = 4;

/** Runs the scenarios of this shard. */
export async function runFaultScenarios(
  options: { shard: { index: number; count: number }; failuresMax: number },
  engine: StoreEngine,
): Promise<FaultReport> {
  const report: FaultReport = { operationCount: 0, crashCount: 0, failures: [] };
  for (const [index, scenario] of listScenarios().entries()) {
    if (index % options.shard.count !== options.shard.index) continue;
    try {
      await scenario.run(engine, report);
    } catch (error) {
      report.failures.push(
        `${scenario.name}: ${error instanceof Error ? error.stack : String(error)}`,
      );
      if (report.failures.length >= options.failuresMax) break;
    }
  }
  return report;
}

function listScenarios(): Scenario[] {
  const scenarios: Scenario[] = [];
  for (let seed = 1; seed <= errorHistories; seed++) {
    scenarios.push({
      name: `I/O errors in history ${seed}`,
      run: (engine, report) => failEveryRequest(seed, engine, report),
    });
  }
  for (const freeBlocks of freeBlockCounts) {
    for (let variant = 0; variant < fullPoolVariants; variant++) {
      scenarios.push({
        name: `deletes ${freeBlocks} blocks from full, variant ${variant}`,
        run: (engine, report) => deleteWhenFull({ freeBlocks, variant }, engine, report),
      });
    }
  }
  return scenarios;
}

async function failEveryRequest(
  seed: number,
  engine: StoreEngine,
  report: FaultReport,
): Promise<void> {
  const hasVolatileCache = seed % 2 === 0;
  const pool = await preparePool({ hasVolatileCache }, engine);
  for (let failing = 0; failing < requestsMax; failing++) {
    let wasReached = false;
    const failRequest = (_kind: string, index: number) => {
      wasReached ||= index === failing;
      return index === failing;
    };
    const context = { seed, hasVolatileCache, pool, failRequest };
    try {
      report.operationCount += await runWithError(context, engine);
    } catch (error) {
      throw new Error(`request ${failing} failed`, { cause: error });
    }
    report.crashCount++;
    if (!wasReached) break;
  }
}

async function runWithError(
  context: {
    seed: number;
    hasVolatileCache: boolean;
    pool: SmallPool;
    failRequest: (kind: string, index: number) => boolean;
  },
  engine: StoreEngine,
): Promise<number> {
  const { seed, hasVolatileCache, pool, failRequest } = context;
  const model = pool.model.clone();
  const settled = await openBench({ hasVolatileCache }, engine, {
    images: [pool.image.clone()],
    model,
  });
  await settled.machine.drive(
    'judging the start',
    judgeRecovery(model, { ...settled, random: new SeededRandom(1) }),
  );
  const images = settled.machine.crash('kill');
  let operationCount = 0;
  let after: readonly SimImage[] = images;
  try {
    const options = { hasVolatileCache, seed, tolerance: { deviceErrors: true }, failRequest };
    const bench = await openBench(options, engine, { images, model });
    operationCount = await runHistory(bench, seed);
    after = bench.machine.crash(seed % 3 === 0 ? 'kill' : 'power');
  } catch (error) {
    // Recovery itself may meet the error: then the pool must open the next time.
    if ((error as Error).name !== 'StoreError') throw error;
  }
  const recovered = await openBench({ hasVolatileCache }, engine, { images: after, model });
  await recovered.machine.drive(
    'judging',
    judgeRecovery(model, { ...recovered, random: new SeededRandom(2) }),
  );
  recovered.machine.crash('kill');
  return operationCount;
}

async function runHistory(bench: Bench, seed: number): Promise<number> {
  const { client, model, machine } = bench;
  const history = new History(
    {
      weights: { ...usualWeights, verify: 0 },
      volumesMax: 4,
      snapshotsMax: 4,
      volumeBlocksMax: 40,
      hotBlocks: 8,
      rangeBlocksMax: 6,
      fuaChance: 0.3,
      longAttributesChance: 0.05,
    },
    { client, model, random: new SeededRandom(seed) },
  );
  const random = new SeededRandom(seed + 1000);
  for (
    let tries = 0;
    client.session.operationCount < errorHistoryOperations && tries < 200;
    tries++
  ) {
    history.issueOne();
    await machine.settle();
    if (random.chance(0.6)) await answered(bench);
  }
  await answered(bench);
  return client.session.operationCount;
}

/** Fills the pool, frees a few blocks, deletes everything in some order with a crash between, and fills it again. */
async function deleteWhenFull(
  { freeBlocks, variant }: { freeBlocks: number; variant: number },
  engine: StoreEngine,
  report: FaultReport,
): Promise<void> {
  const options = {
    hasVolatileCache: variant % 2 === 0,
    seed: variant + 1,
    tolerance: { noSpace: true },
  };
  const pool = await preparePool({ ...options, groupCount: 3 }, engine);
  const random = new SeededRandom(freeBlocks * 100 + variant);
  const { model } = pool;
  let bench = await openBench(options, engine, { images: [pool.image], model });
  const reopen = async () => {
    report.operationCount += bench.client.session.operationCount;
    report.crashCount++;
    const images = bench.machine.crash(random.pick(['power', 'kill'] as const));
    bench = await openBench(options, engine, { images, model });
    await bench.machine.drive('judging', judgeRecovery(model, { ...bench, random }));
  };
  await reopen();
  const firstFill = await fill(bench, random);
  await freeSome(bench, freeBlocks);
  for (let left = countNodes(bench); left > 0; left = countNodes(bench)) {
    const nodes = [...model.live('volume'), ...model.live('snapshot')];
    bench.client.deleteNode(random.pick(nodes));
    if (random.chance(0.3)) await bench.machine.step();
    else await answered(bench);
    if (random.chance(0.3)) await reopen();
    await answered(bench);
  }
  await bench.machine.drive('draining', bench.store.drainBackgroundWork());
  await bench.machine.drive('checkpoint', bench.store.checkpoint());
  const secondFill = await fill(bench, random);
  expectHolds(
    secondFill >= firstFill,
    () => `after deleting everything ${secondFill} blocks fit, before ${firstFill} did`,
  );
  await reopen();
  report.operationCount += bench.client.session.operationCount;
  bench.machine.crash('kill');
}

function countNodes({ model }: Bench): number {
  return model.live('volume').length + model.live('snapshot').length;
}

/** Writes until nothing fits any more; returns the number of blocks written. */
async function fill(bench: Bench, random: SeededRandom): Promise<number> {
  const { client, model } = bench;
  let written = 0;
  for (let volumeIndex = 0; client.session.noSpaceCount < 3 && volumeIndex < 40; volumeIndex++) {
    const name = `fill${volumeIndex}`;
    client.createVolume({ name, sizeBlocks: 64, attributes: '{}' });
    await answered(bench);
    const volume = model.find({ kind: 'volume', name });
    if (!volume) continue;
    for (let lbn = 0; lbn < volume.sizeBlocks && client.session.noSpaceCount < 3; lbn++) {
      const refusals = client.session.noSpaceCount;
      client.write(volume, { lbn, blockCount: 1 }, random.chance(0.1));
      await answered(bench);
      if (client.session.noSpaceCount === refusals) written++;
    }
  }
  expectHolds(
    client.session.noSpaceCount > 0,
    () => `the pool took ${written} blocks and is not full`,
  );
  client.session.noSpaceCount = 0;
  return written;
}

async function freeSome(bench: Bench, blockCount: number): Promise<void> {
  const { client, model, store, machine } = bench;
  const volume = model.find({ kind: 'volume', name: 'fill0' });
  if (volume && blockCount > 0) {
    client.discard(volume, { lbn: 0, blockCount: Math.min(blockCount, volume.sizeBlocks) });
    await answered(bench);
    client.flush(volume);
    await answered(bench);
  }
  await machine.drive('draining', store.drainBackgroundWork());
}
