/** A pool of many volumes and snapshots, for measuring how long opening takes. */
import type { NodeIo, Store } from '../../store/store-api.ts';
import { blockSizeBytes } from '../../units.ts';
import { SeededRandom } from '../seeded-random.ts';

/** What to make. */
export interface LargePoolPlan {
  readonly volumeCount: number;
  /** Of each volume, with some writes before each. */
  readonly snapshotsPerVolume: number;
  readonly volumeBlocks: number;
  /** Blocks at random places that are written before each snapshot, and once more at the end. */
  readonly writesPerSnapshot: number;
}

/** Volumes worked on at once. */
const volumesAtOnce = 64;

/** The name of a volume of the pool. */
export function largePoolVolume(index: number): string {
  return `volume-${index}`;
}

/**
 * Makes volumes and snapshots. What is written last is flushed and not followed by a checkpoint: opening has to replay
 * it.
 */
export async function fillLargePool(store: Store, plan: LargePoolPlan): Promise<void> {
  const random = new SeededRandom(1);
  const ios: NodeIo[] = [];
  await forEachVolume(plan, async (index) => {
    const name = largePoolVolume(index);
    const uuid = uuidOf(index, 0);
    await store.createVolume({ name, uuid, sizeBlocks: plan.volumeBlocks, attributes: '{}' });
    ios[index] = store.openIo({ kind: 'volume', name });
  });
  for (let round = 1; round <= plan.snapshotsPerVolume; round++) {
    await forEachVolume(plan, async (index) => {
      await writeSome(ios[index]!, plan, random);
      const volume = largePoolVolume(index);
      const name = `${volume}-snapshot-${round}`;
      const uuid = uuidOf(index, round);
      await store.createSnapshot({ name, uuid, volume, attributes: '{}' });
    });
  }
  await store.checkpoint();
  await forEachVolume(plan, async (index) => {
    await writeSome(ios[index]!, plan, random);
    await answered((done) => ios[index]!.flush(done));
  });
}

async function writeSome(io: NodeIo, plan: LargePoolPlan, random: SeededRandom): Promise<void> {
  const block = new Uint8Array(blockSizeBytes).fill(1 + random.below(255));
  const writes = Array.from({ length: plan.writesPerSnapshot }, () => {
    const lbn = random.below(plan.volumeBlocks);
    return answered((done) => io.write(lbn, block, false, done));
  });
  await Promise.all(writes);
}

/** Reads one block of the first volume: the first I/O after opening. */
export async function readFirstBlock(store: Store): Promise<void> {
  const io = store.openIo({ kind: 'volume', name: largePoolVolume(0) });
  await answered((done) => io.read(0, new Uint8Array(blockSizeBytes), done));
}

function answered(submit: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    submit((error) => (error ? reject(error) : resolve()));
  });
}

async function forEachVolume(
  { volumeCount }: LargePoolPlan,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < volumeCount) await work(next++);
  };
  await Promise.all(Array.from({ length: volumesAtOnce }, worker));
}

function uuidOf(index: number, round: number): Uint8Array {
  const uuid = new Uint8Array(16);
  new DataView(uuid.buffer).setUint32(0, index);
  new DataView(uuid.buffer).setUint32(4, round);
  return uuid;
}
