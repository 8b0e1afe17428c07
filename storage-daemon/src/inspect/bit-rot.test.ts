/**
 * Rot in a pool that the store has written: whatever happens to a block that holds live metadata, the checker says so, and
 * the store refuses or serves the right content, never something else. Random choices come from a fixed seed.
 */
import { beforeAll, describe, expect, test } from '@jest/globals';

import type { DeviceCompletion } from '../device/block-device.ts';
import { openStore } from '../store/open-store.ts';
import {
  changePool,
  createStoredPool,
  fillPool,
  fixedEnvironment,
  type PoolContent,
  readContent,
  storedPoolBlocks,
} from '../testing/image/stored-pool.ts';
import { MemoryDevice } from '../testing/image/memory-device.ts';
import { SeededRandom } from '../testing/seeded-random.ts';
import { SimImage } from '../testing/sim-image.ts';
import { blockSizeBytes } from '../units.ts';
import { checkPool } from './check-pool.ts';

const rootBlocks = { even: [512, 768], odd: [513, 769] } as const;
const ring = { start: 1024, end: 1088 } as const;
const groupStart = 1280;
const lastSuperblock = storedPoolBlocks - 256;
/** For thousands of checks on a busy machine. */
const timeoutMs = 300_000;
/** Bytes of a block that are flipped, one at a time: 1 %. */
const flipsPerBlock = 41;

interface StoredImage {
  readonly image: SimImage;
  /** The same pool some time before. */
  readonly older: SimImage;
  readonly content: PoolContent;
}

/** How the pool was left: with a checkpoint, or as a crash would. */
async function storePool(end: 'closed' | 'crashed'): Promise<StoredImage> {
  const image = new SimImage(storedPoolBlocks);
  const store = await createStoredPool(new MemoryDevice('disk', image));
  await fillPool(store);
  const older = image.clone();
  await changePool(store);
  const content = await readContent(store);
  if (end === 'closed') await store.close();
  else store.destroy();
  return { image, older, content };
}

/** Blocks that the checker reads because the pool's state depends on them. */
async function liveBlocksOf(image: SimImage): Promise<number[]> {
  const read = new Set<number>();
  class RecordingDevice extends MemoryDevice {
    override read(offsetBytes: number, target: Uint8Array, done: DeviceCompletion): void {
      const first = offsetBytes / blockSizeBytes;
      for (let index = 0; index < target.length / blockSizeBytes; index++) read.add(first + index);
      super.read(offsetBytes, target, done);
    }
  }
  expect(await checkPool([new RecordingDevice('disk', image)])).toEqual([]);
  const olderRoot = newestRootSlot(image) === 'odd' ? rootBlocks.even : rootBlocks.odd;
  for (const block of olderRoot) read.delete(block);
  for (let block = ring.start; block < ring.end; block++) read.delete(block);
  return [...read].sort((a, b) => a - b);
}

function newestRootSlot(image: SimImage): 'even' | 'odd' {
  const generationOf = (block: number) => {
    const page = image.read(block)!;
    return new DataView(page.buffer, page.byteOffset).getUint32(40, true);
  };
  return generationOf(rootBlocks.odd[0]) > generationOf(rootBlocks.even[0]) ? 'odd' : 'even';
}

/** A copy in which one block differs. */
function damaged(image: SimImage, block: number, page: Uint8Array): MemoryDevice {
  const copy = image.clone();
  copy.writeDurable(block, page);
  return new MemoryDevice('disk', copy);
}

function flipped(page: Uint8Array, offsetBytes: number, bit: number): Uint8Array {
  const copy = new Uint8Array(page);
  copy[offsetBytes]! ^= 1 << bit;
  return copy;
}

/** Each way in which a whole block can be wrong. */
function damagesOf(
  { image, older }: StoredImage,
  block: number,
  random: SeededRandom,
): [name: string, page: Uint8Array][] {
  const page = image.read(block)!;
  const flip = flipped(page, random.below(blockSizeBytes), random.below(8));
  const damages: [string, Uint8Array][] = [
    ['a flipped bit', flip],
    ['zeros', new Uint8Array(blockSizeBytes)],
    ['ones', new Uint8Array(blockSizeBytes).fill(0xff)],
  ];
  const former = older.read(block);
  if (former && Buffer.compare(former, page) !== 0) damages.push(['its former content', former]);
  const swapped = image.read(block === 0 ? 256 : block - 1);
  if (swapped && Buffer.compare(swapped, page) !== 0) damages.push(["its neighbour's", swapped]);
  return damages;
}

/** What opening and reading everything gives: content, or the kind of the refusal. */
async function openAndRead(device: MemoryDevice): Promise<PoolContent | string> {
  try {
    const store = await openStore({}, { devices: [device], environment: fixedEnvironment() });
    try {
      return await readContent(store);
    } finally {
      store.destroy();
    }
  } catch (error) {
    if ((error as Error).name !== 'StoreError') throw error;
    return (error as { kind: string }).kind;
  }
}

describe('a pool that was closed', () => {
  let pool: StoredImage;
  let live: number[];

  beforeAll(async () => {
    pool = await storePool('closed');
    live = await liveBlocksOf(pool.image);
  });

  test('has live metadata of every kind', () => {
    expect(live.filter((block) => block >= groupStart).length).toBeGreaterThan(30);
    const roots = rootBlocks[newestRootSlot(pool.image)];
    expect(live.filter((block) => block < groupStart)).toEqual([0, 256, ...roots]);
    expect(live).toContain(lastSuperblock);
  });

  test(
    'is never clean with a flipped bit in live metadata',
    async () => {
      const random = new SeededRandom(1);
      const unnoticed: string[] = [];
      for (const block of live) {
        for (let flip = 0; flip < flipsPerBlock; flip++) {
          const [offset, bit] = [random.below(blockSizeBytes), random.below(8)];
          const page = flipped(pool.image.read(block)!, offset, bit);
          const findings = await checkPool([damaged(pool.image, block, page)]);
          if (findings.length === 0) unnoticed.push(`block ${block}, byte ${offset}, bit ${bit}`);
        }
      }
      expect(unnoticed).toEqual([]);
    },
    timeoutMs,
  );

  test('is never clean with a block that was lost, rolled back or misdirected', async () => {
    const random = new SeededRandom(2);
    const unnoticed: string[] = [];
    for (const block of live) {
      for (const [name, page] of damagesOf(pool, block, random)) {
        const findings = await checkPool([damaged(pool.image, block, page)]);
        if (findings.length === 0) unnoticed.push(`block ${block}: ${name}`);
      }
    }
    expect(unnoticed).toEqual([]);
  });

  test('is opened with its content or not at all', async () => {
    const random = new SeededRandom(3);
    const outcomes = { served: 0, refused: 0 };
    for (const block of live) {
      for (const [name, page] of damagesOf(pool, block, random)) {
        const found = await openAndRead(damaged(pool.image, block, page));
        if (typeof found === 'string') {
          expect([block, name, found]).toEqual([block, name, 'data-loss']);
          outcomes.refused++;
        } else {
          expect([block, name, found]).toEqual([block, name, pool.content]);
          outcomes.served++;
        }
      }
    }
    // Copies of superblock and root are served from the other copy, and pages that nobody has asked for yet.
    expect(outcomes.served).toBeGreaterThan(10);
    expect(outcomes.refused).toBeGreaterThan(50);
  });

  test('does not suffer from rot in blocks that hold nothing any more', async () => {
    const random = new SeededRandom(4);
    const stale = pool.image.writtenBlocks().filter((block) => !live.includes(block));
    expect(stale.length).toBeGreaterThan(30);
    for (const block of stale) {
      const page = flipped(pool.image.read(block)!, random.below(blockSizeBytes), random.below(8));
      expect([block, await checkPool([damaged(pool.image, block, page)])]).toEqual([block, []]);
    }
  });
});

describe('a pool that crashed', () => {
  let pool: StoredImage;
  /** Blocks of the journal that recovery replays, in order. */
  let chain: number[];

  beforeAll(async () => {
    pool = await storePool('crashed');
    chain = [];
    for (let block = ring.start; block < ring.end; block++) {
      const page = pool.image.read(block);
      const before = pool.older.read(block);
      if (page && (!before || Buffer.compare(page, before) !== 0)) chain.push(block);
    }
  });

  test('is opened with everything that was acknowledged', async () => {
    expect(chain.length).toBeGreaterThan(8);
    expect(await openAndRead(new MemoryDevice('disk', pool.image))).toEqual(pool.content);
  });

  test('is read-only with a hole in its journal, and the checker sees it', async () => {
    const random = new SeededRandom(5);
    for (const block of chain.slice(0, -1)) {
      for (const [name, page] of damagesOf(pool, block, random)) {
        const device = damaged(pool.image, block, page);
        const findings = (await checkPool([device])).join('\n');
        expect([block, name, findings]).toEqual([
          block,
          name,
          expect.stringMatching(/journal hole: block \d+ cannot be read/),
        ]);
        const store = await openStore({}, { devices: [device], environment: fixedEnvironment() });
        expect([block, name, store.readOnlyReason]).toEqual([
          block,
          name,
          expect.stringMatching(/journal/),
        ]);
        store.destroy();
      }
    }
  });

  test('lacks the last record only, if the block of it never reached the disk', async () => {
    const last = chain.at(-1)!;
    const device = damaged(pool.image, last, new Uint8Array(blockSizeBytes));
    const found = await openAndRead(device);
    expect(found).not.toEqual(pool.content);
    expect(pool.content.volumes.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd', 'k']);
    const names = (found as PoolContent).volumes.map(({ name }) => name);
    expect(names).toEqual(['a', 'b', 'c', 'd', 'k', 'w']);
  });

  test('is opened with its content or not at all, whatever metadata the last checkpoint has lost', async () => {
    const random = new SeededRandom(6);
    const outcomes = { served: 0, refused: 0 };
    const pages = pool.image.writtenBlocks().filter((block) => block >= groupStart);
    for (const block of pages) {
      const isData = new Set(pool.image.read(block)).size === 1;
      if (isData) continue;
      for (const [name, page] of damagesOf(pool, block, random)) {
        const found = await openAndRead(damaged(pool.image, block, page));
        if (typeof found === 'string') {
          expect([block, name, found]).toEqual([block, name, 'data-loss']);
          outcomes.refused++;
        } else {
          expect([block, name, found]).toEqual([block, name, pool.content]);
          outcomes.served++;
        }
      }
    }
    expect(outcomes.served).toBeGreaterThan(20);
    expect(outcomes.refused).toBeGreaterThan(50);
  });
});
