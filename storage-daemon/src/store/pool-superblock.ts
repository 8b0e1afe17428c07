/** Finds out from the superblocks which pool some devices are, and in which order they belong. */
import type { BlockDevice } from '../device/block-device.ts';
import { checkGeometry, superblockBlocks } from '../format/pool-layout.ts';
import { decodeSuperblock, type Superblock } from '../format/superblock.ts';
import { CorruptionError } from '../format/corruption-error.ts';
import { blockSizeBytes, blocksToBytes } from '../units.ts';
import { ioFailure } from './pool-devices.ts';
import { StoreError } from './store-error.ts';

/** A pool and its devices, in the order of the device table. */
export interface IdentifiedPool {
  readonly superblock: Superblock;
  readonly devices: readonly BlockDevice[];
}

/** How a pool is divided, for those who open it in parts. */
export interface PoolShape {
  readonly cellCount: number;
  /** Allocation groups of all devices. */
  readonly groupCount: number;
}

/** Reads and compares the superblocks. @throws StoreError `data-loss` or `failed-precondition` */
export async function identifyPool(devices: readonly BlockDevice[]): Promise<IdentifiedPool> {
  const found = await Promise.all(
    devices.map(async (device) => ({ device, superblock: await readSuperblock(device) })),
  );
  const [first] = found;
  if (!first)
    throw new StoreError('failed-precondition', 'Opening a pool failed: no device is named');
  const { superblock } = first;
  const expected = superblock.devices.length;
  const ordered: BlockDevice[] = [];
  for (const each of found) {
    if (!isSamePool(each.superblock, superblock)) {
      throw refuse(
        superblock,
        `${each.device.name} belongs to another pool than ${first.device.name}`,
      );
    }
    if (ordered[each.superblock.deviceIndex]) {
      throw refuse(superblock, `${each.device.name} is named twice`);
    }
    ordered[each.superblock.deviceIndex] = each.device;
  }
  if (found.length !== expected) {
    throw refuse(superblock, `it has ${expected} devices, ${found.length} are named`);
  }
  for (const [index, device] of ordered.entries()) {
    const { sizeBlocks } = superblock.devices[index]!;
    if (device.sizeBytes < blocksToBytes(sizeBlocks)) {
      throw refuse(superblock, `${device.name} is smaller than when the pool was made`);
    }
  }
  try {
    checkGeometry(superblock.geometry, superblock.devices);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    throw new StoreError('data-loss', `Opening the pool failed: ${error.message}`, {
      cause: error,
    });
  }
  return { superblock, devices: ordered };
}

/** Reads how a pool is divided. @throws StoreError `data-loss` or `failed-precondition` */
export async function readPoolShape(devices: readonly BlockDevice[]): Promise<PoolShape> {
  const { superblock } = await identifyPool(devices);
  const groupCount = superblock.devices.reduce((sum, device) => sum + device.groupCount, 0);
  return { cellCount: superblock.geometry.cellCount, groupCount };
}

function refuse(superblock: Superblock, reason: string): StoreError {
  return new StoreError(
    'failed-precondition',
    `Opening pool "${superblock.poolName}" failed: ${reason}`,
  );
}

function isSamePool(one: Superblock, other: Superblock): boolean {
  return one.poolUuid.every((byte, index) => byte === other.poolUuid[index]);
}

/** The newest valid copy of a device's superblock. */
async function readSuperblock(device: BlockDevice): Promise<Superblock> {
  const sizeBlocks = Math.floor(device.sizeBytes / blockSizeBytes);
  let newest: Superblock | undefined;
  let reason = 'it is too small';
  for (const [copyNumber, block] of superblockBlocks(sizeBlocks).entries()) {
    if (block < 0 || block >= sizeBlocks) continue;
    const page = new Uint8Array(blockSizeBytes);
    const failure = await new Promise<StoreError | undefined>((resolve) => {
      device.read(blocksToBytes(block), page, (error) => {
        resolve(error ? ioFailure(`Reading the superblock of ${device.name}`, error) : undefined);
      });
    });
    if (failure) throw failure;
    try {
      const superblock = decodeSuperblock(page, copyNumber);
      if (!newest || superblock.generation > newest.generation) newest = superblock;
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      reason = error.message;
    }
  }
  if (newest) return newest;
  throw new StoreError(
    'data-loss',
    `Opening ${device.name} failed: no superblock is valid (${reason})`,
  );
}
