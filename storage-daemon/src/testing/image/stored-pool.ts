/**
 * Pools that the real store has written to devices in memory: small, always the same, with whatever content a test puts
 * into them.
 */
import type { BlockDevice } from '../../device/block-device.ts';
import { formatStore } from '../../store/format-store.ts';
import { openStore } from '../../store/open-store.ts';
import type { GeometryOptions, Store } from '../../store/store-api.ts';
import type { StoreEnvironment } from '../../store/store-environment.ts';
import { blockSizeBytes } from '../../units.ts';

/** Geometry in which a few operations fill leaves, tables and lists. */
export const storedPoolGeometry: GeometryOptions = {
  cellCount: 1,
  allocationGroupBlocks: 256,
  journalRingBlocks: 16,
  tableFanOut: 4,
  leafClusters: 16,
  reserveBlocks: 64,
};

/** Nothing of it depends on time or chance. Timers never fire: a checkpoint is written when a test asks for one. */
export function fixedEnvironment(): StoreEnvironment {
  let uuidCount = 0;
  return {
    nowMs: () => 1_700_000_000_000,
    after: () => () => {},
    yieldTurn: () => new Promise((resolve) => setImmediate(resolve)),
    randomUuid: () => new Uint8Array(16).fill(++uuidCount),
    log: () => {},
  };
}

/** Formats the device and opens the pool. */
export async function createStoredPool(device: BlockDevice): Promise<Store> {
  const dependencies = { devices: [device], environment: fixedEnvironment() };
  const poolUuid = new Uint8Array(16).fill(0xab);
  await formatStore({ poolName: 'sample', poolUuid, geometry: storedPoolGeometry }, dependencies);
  return openStore({}, dependencies);
}

/** Writes blocks that are filled with a number each. */
export function writeFilled(
  store: Store,
  volume: string,
  blocks: Readonly<Record<number, number>>,
): Promise<void> {
  return withIo(store, { kind: 'volume', name: volume }, async (io) => {
    for (const [lbn, value] of Object.entries(blocks)) {
      const source = new Uint8Array(blockSizeBytes).fill(value);
      await answered((done) => io.write(Number(lbn), source, false, done));
    }
    await answered((done) => io.flush(done));
  });
}

/** The first byte of each block of a node, unmapped ones as 0. */
export async function readFills(
  store: Store,
  node: { kind: 'volume' | 'snapshot'; name: string },
): Promise<number[]> {
  const fills: number[] = [];
  await withIo(store, node, async (io) => {
    const target = new Uint8Array(blockSizeBytes);
    for (let lbn = 0; lbn < io.sizeBlocks; lbn++) {
      await answered((done) => io.read(lbn, target, done));
      fills.push(target[0]!);
    }
  });
  return fills;
}

async function withIo(
  store: Store,
  node: Parameters<Store['openIo']>[0],
  use: (io: ReturnType<Store['openIo']>) => Promise<void>,
): Promise<void> {
  const io = store.openIo(node);
  try {
    await use(io);
  } finally {
    await io.close();
  }
}

function answered(submit: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    submit((error) => (error ? reject(error) : resolve()));
  });
}
