/**
 * Makes a pool: zeroes what a former life left where recovery looks (J4), writes the first roots, and the superblocks
 * last.
 */
import { GroupOwners } from '../allocator/group-owners.ts';
import { IoTracker } from '../allocator/io-tracker.ts';
import type { BlockDevice, DeviceError } from '../device/block-device.ts';
import {
  cellRootBlock,
  checkGeometry,
  journalBlockOf,
  layOutDevices,
  superblockBlocks,
} from '../format/pool-layout.ts';
import { rootCopies } from '../format/cell-root.ts';
import { encodeSuperblock, poolDevicesMax, type Superblock } from '../format/superblock.ts';
import { CorruptionError } from '../format/corruption-error.ts';
import { blockSizeBytes, blocksToBytes } from '../units.ts';
import { createEmptyCell } from './cell-loader.ts';
import { Checkpointer } from './checkpoint/checkpointer.ts';
import { createPageReader } from './checkpoint/page-reads.ts';
import { PoolDevices, ioFailure } from './pool-devices.ts';
import { chooseGeometry, reserveGroups } from './pool-geometry.ts';
import type { FormatStore } from './store-api.ts';
import { StoreError } from './store-error.ts';

/** Sequence of the first journal block. */
const firstSequence = 1;

/** Formats the devices as one pool. The caller has proven that they may be overwritten. */
export const formatStore: FormatStore = async (options, { devices, environment }) => {
  const superblock = describePool(options, { devices, environment });
  const { geometry } = superblock;
  const pool = new PoolDevices({ geometry, table: superblock.devices }, { devices });
  // A superblock is the promise that the rest is there: the old one goes first, the new one comes last.
  await writeSuperblocks(devices, undefined);
  await flushAll(pool);
  for (let cell = 0; cell < geometry.cellCount; cell++) await clearCell(superblock, cell, pool);
  await flushAll(pool);
  const owners = new GroupOwners(pool.groupCount);
  for (let cell = 0; cell < geometry.cellCount; cell++) {
    await writeFirstRoot(superblock, cell, { pool, owners });
  }
  await writeSuperblocks(devices, superblock);
  await flushAll(pool);
};

function describePool(
  options: Parameters<FormatStore>[0],
  { devices, environment }: Parameters<FormatStore>[1],
): Superblock {
  if (devices.length < 1 || devices.length > poolDevicesMax) {
    const reason = `${devices.length} devices: 1 to ${poolDevicesMax} are allowed`;
    throw new StoreError('out-of-range', `Formatting pool "${options.poolName}" failed: ${reason}`);
  }
  const sized = devices.map((device) => ({
    uuid: environment.randomUuid(),
    sizeBlocks: Math.floor(device.sizeBytes / blockSizeBytes),
  }));
  const sizeBlocks = sized.reduce((sum, device) => sum + device.sizeBlocks, 0);
  const geometry = chooseGeometry(sizeBlocks, options.geometry);
  const table = layOutDevices(geometry, sized);
  try {
    checkGeometry(geometry, table);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    const message =
      `Formatting pool "${options.poolName}" failed: ${sizeBlocks * blockSizeBytes} bytes cannot be a pool: ` +
      `${error.message} (a block has ${blockSizeBytes} bytes)`;
    throw new StoreError('out-of-range', message, { cause: error });
  }
  const groupCount = table.reduce((sum, device) => sum + device.groupCount, 0);
  const groupsNeeded = geometry.cellCount * reserveGroups(geometry);
  if (groupCount < groupsNeeded) {
    throw new StoreError(
      'out-of-range',
      `Formatting pool "${options.poolName}" failed: ${sizeBlocks * blockSizeBytes} bytes hold ` +
        `${groupCount} allocation groups, ${groupsNeeded} are needed`,
    );
  }
  return {
    poolUuid: options.poolUuid,
    poolName: options.poolName,
    generation: 1,
    deviceIndex: 0,
    geometry,
    createdMs: environment.nowMs(),
    devices: table,
    isReadOnly: false,
  };
}

async function writeSuperblocks(
  devices: readonly BlockDevice[],
  superblock: Superblock | undefined,
): Promise<void> {
  for (const [deviceIndex, device] of devices.entries()) {
    const sizeBlocks = Math.floor(device.sizeBytes / blockSizeBytes);
    for (const [copyNumber, block] of superblockBlocks(sizeBlocks).entries()) {
      const page = new Uint8Array(blockSizeBytes);
      if (superblock) encodeSuperblock({ ...superblock, deviceIndex }, copyNumber, page);
      await wait(`Writing the superblock of ${device.name}`, (done) =>
        device.write(blocksToBytes(block), page, device.hasVolatileCache, done),
      );
    }
  }
}

/** Zeroes the roots and the first block of the ring: a stale chain has no beginning. */
async function clearCell(superblock: Superblock, cell: number, pool: PoolDevices): Promise<void> {
  const { ringBlocks } = superblock.geometry;
  const blocks = [journalBlockOf(superblock.geometry, cell, firstSequence % ringBlocks)];
  for (let generation = 0; generation < 2; generation++) {
    for (let copy = 0; copy < rootCopies; copy++) {
      blocks.push(cellRootBlock(cell, generation, copy));
    }
  }
  for (const block of blocks) {
    await wait(`Clearing block ${block}`, (done) =>
      pool.writeFixed(block, new Uint8Array(blockSizeBytes), done),
    );
  }
}

async function writeFirstRoot(
  superblock: Superblock,
  cell: number,
  { pool, owners }: { pool: PoolDevices; owners: GroupOwners },
): Promise<void> {
  const { geometry, poolUuid } = superblock;
  const tracker = new IoTracker();
  const readPage = createPageReader(cell, { devices: pool, tracker });
  const loaded = createEmptyCell({ cell, geometry, mapPagesMax: 0 }, { owners, tracker, readPage });
  // The reserve lies in groups that the cell owns from the beginning.
  for (let count = 0; count < reserveGroups(geometry); count++) {
    loaded.state.apply({ op: 'groupGet', group: owners.claimAny(cell)! });
  }
  const checkpointer = new Checkpointer(
    { poolUuid, rootGeneration: 0 },
    { ...loaded, devices: pool },
  );
  await checkpointer.run({
    openGeneration: 0,
    start: { slot: firstSequence % geometry.ringBlocks, sequence: firstSequence, prevCrc: 0 },
  });
}

async function flushAll(pool: PoolDevices): Promise<void> {
  if (pool.hasVolatileCache) await wait('Flushing the devices', (done) => pool.flush(done));
}

function wait(
  action: string,
  submit: (done: (error: DeviceError | null) => void) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    submit((error) => (error ? reject(ioFailure(action, error)) : resolve()));
  });
}
