/**
 * Reads the blocks of a pool that is not open. Knows the superblock and nothing of what the pages mean.
 */
import type { BlockDevice } from '../../device/block-device.ts';
import { crc32c } from '../../format/checksum.ts';
import { checkFormat } from '../../format/corruption-error.ts';
import type { PoolGeometry, Superblock } from '../../format/superblock.ts';
import { blockSizeBytes } from '../../units.ts';

/** Pages kept in memory (16 MiB): a table and the pages below it while they are compared with a neighbour's. */
const cachedPagesMax = 4096;
/** Reads under way at once while pages are fetched ahead: what one NVMe queue answers without waiting. */
const readsAheadMax = 32;

/** Where a page lies and which checksum it must have. */
export interface PageAddress {
  readonly pbn: number;
  readonly crc: number;
}

/** Reads `count` blocks of a device. */
export function readBlocks(device: BlockDevice, block: number, count = 1): Promise<Uint8Array> {
  const target = new Uint8Array(count * blockSizeBytes);
  return new Promise((resolve, reject) => {
    device.read(block * blockSizeBytes, target, (error) => {
      if (error) reject(error);
      else resolve(target);
    });
  });
}

/** A pool's devices, in the order of its device table. */
export class PoolReader {
  readonly superblock: Superblock;
  readonly geometry: PoolGeometry;
  readonly groupCount: number;
  readonly #devices: readonly BlockDevice[];
  readonly #cache = new Map<number, Uint8Array>();

  constructor(superblock: Superblock, devices: readonly BlockDevice[]) {
    this.superblock = superblock;
    this.geometry = superblock.geometry;
    this.groupCount = superblock.devices.reduce((sum, device) => sum + device.groupCount, 0);
    this.#devices = devices;
  }

  /** Names of the devices, in order. */
  get deviceNames(): string[] {
    return this.#devices.map(({ name }) => name);
  }

  /** Blocks of the first device's fixed area: roots and journals. */
  readFixed(block: number, count = 1): Promise<Uint8Array> {
    return readBlocks(this.#devices[0]!, block, count);
  }

  /**
   * The page at this address.
   *
   * @throws CorruptionError `range` for a block outside of the pool, `checksum` for another page than the pointer names
   */
  async readPage({ pbn, crc }: PageAddress): Promise<Uint8Array> {
    const page = await this.readBlock(pbn);
    const found = crc32c(page);
    checkFormat(
      found === crc,
      'checksum',
      () => `block ${pbn} has the checksum ${hex(found)}, its pointer says ${hex(crc)}`,
      0,
    );
    return page;
  }

  /** The block with this number, whatever it holds. */
  async readBlock(pbn: number): Promise<Uint8Array> {
    const cached = this.#cache.get(pbn);
    if (cached) {
      this.#cache.delete(pbn);
      this.#cache.set(pbn, cached);
      return cached;
    }
    const group = Math.floor(pbn / this.geometry.groupBlocks);
    const index = this.superblock.devices.findLastIndex(({ firstGroup }) => firstGroup <= group);
    const device = this.superblock.devices[index];
    const isInside = device !== undefined && group < device.firstGroup + device.groupCount;
    checkFormat(isInside, 'range', () => `block ${pbn} is outside of the pool`, 0);
    const block = device.groupStartBlock + pbn - device.firstGroup * this.geometry.groupBlocks;
    const page = await readBlocks(this.#devices[index]!, block);
    this.#cache.set(pbn, page);
    if (this.#cache.size > cachedPagesMax) {
      const [oldest] = this.#cache.keys();
      this.#cache.delete(oldest!);
    }
    return page;
  }

  /** Fetches pages that are needed next. What cannot be read is left for the one who needs it. */
  async fetchAhead(pbns: readonly number[]): Promise<void> {
    const missing = pbns.filter((pbn) => pbn !== 0 && !this.#cache.has(pbn));
    for (let start = 0; start < missing.length; start += readsAheadMax) {
      const part = missing.slice(start, start + readsAheadMax);
      await Promise.allSettled(part.map((pbn) => this.readBlock(pbn)));
    }
  }
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
