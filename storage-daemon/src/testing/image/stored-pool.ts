/**
 * Pools that the real store has written to devices in memory: small, always the same, with whatever content a test
 * puts into them.
 */
import type { BlockDevice } from '../../device/block-device.ts';
import { formatStore } from '../../store/format-store.ts';
import { openStore } from '../../store/open-store.ts';
import type { GeometryOptions, NodeName, Store } from '../../store/store-api.ts';
import { type StoreEnvironment, whenWordChanges } from '../../store/store-environment.ts';
import { blockSizeBytes } from '../../units.ts';

/** Geometry in which a few operations fill leaves, tables and lists. */
export const storedPoolGeometry: GeometryOptions = {
  cellCount: 1,
  allocationGroupBlocks: 256,
  journalRingBlocks: 64,
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
    whenChanged: whenWordChanges,
    randomUuid: () => new Uint8Array(16).fill(++uuidCount),
    log: () => {},
  };
}

/** Blocks of a device for such a pool. */
export const storedPoolBlocks = 2304;

/** Formats the device and opens the pool. */
export async function createStoredPool(device: BlockDevice): Promise<Store> {
  const dependencies = { devices: [device], environment: fixedEnvironment() };
  const poolUuid = new Uint8Array(16).fill(0xab);
  await formatStore({ poolName: 'sample', poolUuid, geometry: storedPoolGeometry }, dependencies);
  return openStore({}, dependencies);
}

/** What users see of a pool. */
export interface PoolContent {
  readonly volumes: readonly NodeContent[];
  readonly snapshots: readonly NodeContent[];
}

interface NodeContent {
  readonly name: string;
  readonly sizeBlocks: number;
  readonly attributes: string;
  readonly parentSnapshot: string | undefined;
  readonly referencedBlocks: number;
  readonly uniqueBlocks: number;
  /** The first byte of each block that is not zero. */
  readonly fills: Readonly<Record<number, number>>;
}

/** Everything that users can see. */
export async function readContent(store: Store): Promise<PoolContent> {
  const read = async (kind: 'volume' | 'snapshot'): Promise<NodeContent[]> => {
    const nodes: NodeContent[] = [];
    for (const node of store.list(kind)) {
      const { name, sizeBlocks, attributes, parentSnapshot, referencedBlocks } = node;
      const { uniqueBlocks } = await store.nodeSpace(node);
      const fills = await readFills(store, node);
      nodes.push({
        name,
        sizeBlocks,
        attributes,
        parentSnapshot,
        referencedBlocks,
        uniqueBlocks,
        fills,
      });
    }
    return nodes;
  };
  return { volumes: await read('volume'), snapshots: await read('snapshot') };
}

/**
 * Volumes, snapshots and clones; a snapshot that waits for its children; leaves with extensions and maps of two
 * levels; what a merged snapshot left to be freed. All of it is in a checkpoint.
 */
export async function fillPool(store: Store): Promise<void> {
  const uuid = new Uint8Array(16).fill(1);
  const create = { uuid, attributes: '{}' };
  await store.createVolume({ ...create, name: 'a', sizeBlocks: 1100 });
  await writeFilled(store, 'a', { 0: 1, 1: 2, 2: 3, 16: 4, 32: 5, 48: 6, 64: 7, 80: 8, 96: 9 });
  await writeFilled(store, 'a', { 112: 10, 128: 11, 300: 12, 1050: 13 });
  await store.createSnapshot({ ...create, name: 's1', volume: 'a' });
  await writeFilled(store, 'a', { 0: 21, 128: 22, 1050: 23 });
  await store.createSnapshot({ ...create, name: 's2', volume: 'a' });
  await writeFilled(store, 'a', { 1: 31 });
  await store.createClone({
    ...create,
    name: 'k',
    sizeBlocks: 1200,
    source: { kind: 'snapshot', name: 's1' },
  });
  await writeFilled(store, 'k', { 2: 41, 1150: 42 });
  await store.setAttributes({ kind: 'volume', name: 'a' }, '{"labels":{"app":"db"}}');
  await store.deleteNode({ kind: 'snapshot', name: 's1' });
  await store.createVolume({ ...create, name: 'b', sizeBlocks: 64 });
  await writeFilled(store, 'b', { 0: 51, 63: 52 });
  await store.createSnapshot({ ...create, name: 'sb', volume: 'b' });
  await writeFilled(store, 'b', { 0: 53 });
  await store.deleteNode({ kind: 'snapshot', name: 'sb' });
  await store.checkpoint();
}

/** Changes of every kind, which the journal alone has as long as no checkpoint follows. */
export async function changePool(store: Store): Promise<void> {
  const uuid = new Uint8Array(16).fill(2);
  const create = { uuid, attributes: '{}' };
  await writeFilled(store, 'a', { 2: 61, 1051: 62 });
  await store.createSnapshot({ ...create, name: 's3', volume: 'a' });
  await store.resize('a', 1300);
  await writeFilled(store, 'a', { 1299: 63 });
  await withIo(store, { kind: 'volume', name: 'k' }, async (io) => {
    await answered((done) => io.discard(0, 20, done));
    await answered((done) => io.flush(done));
  });
  await store.revert('a', 's2', '{"reverts":["r1"]}');
  await store.createClone({
    ...create,
    name: 'w',
    sizeBlocks: 1100,
    source: { kind: 'snapshot', name: 's3' },
  });
  await writeFilled(store, 'w', { 0: 71, 700: 72 });
  await store.createClone({
    ...create,
    name: 'c',
    sizeBlocks: 64,
    source: { kind: 'volume', name: 'b' },
  });
  await store.createVolume({ ...create, name: 'd', sizeBlocks: 16 });
  await store.setAttributes({ kind: 'volume', name: 'd' }, '{"lock":1}');
  await store.deleteNode({ kind: 'volume', name: 'w' });
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

async function readFills(store: Store, node: NodeName): Promise<Record<number, number>> {
  const fills: Record<number, number> = {};
  await withIo(store, node, async (io) => {
    const target = new Uint8Array(io.sizeBlocks * blockSizeBytes);
    await answered((done) => io.read(0, target, done));
    for (let lbn = 0; lbn < io.sizeBlocks; lbn++) {
      const first = target[lbn * blockSizeBytes]!;
      if (first !== 0) fills[lbn] = first;
    }
  });
  return fills;
}

async function withIo(
  store: Store,
  node: NodeName,
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
