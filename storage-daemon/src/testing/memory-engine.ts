/**
 * An engine whose stores live in memory, on real devices: these are opened, locked, probed, and carry a
 * real superblock, so that everything about pools can be tested; volumes are forgotten when the store
 * closes.
 */
import type { BlockDevice, DeviceError } from '../device/block-device.ts';
import { openFileDevice } from '../device/file-device.ts';
import { decodeSuperblock, encodeSuperblock, type Superblock } from '../format/superblock.ts';
import type { StoreEngine } from '../reactor/pools/store-engine.ts';
import type { FormatStore, OpenStore } from '../store/store-api.ts';
import { StoreError } from '../store/store-error.ts';
import { blockSizeBytes, bytesToBlocks } from '../units.ts';
import { MemoryStore } from './memory-store.ts';

const poolBytesMin = 256 * 1024 * 1024;

/** The engine for tests of the layers above the store. */
export const memoryEngine: StoreEngine = {
  ioEngine: 'memory',
  ioEngineReason: 'a test',
  openDevice: openFileDevice,
  formatStore,
  openStore,
};

async function formatStore(
  { poolName, poolUuid }: Parameters<FormatStore>[0],
  { devices, environment }: Parameters<FormatStore>[1],
): Promise<void> {
  const sizeBytes = sumSizes(devices);
  if (sizeBytes < poolBytesMin) {
    throw new StoreError(
      'out-of-range',
      `Format pool "${poolName}" of ${sizeBytes} bytes: at least ${poolBytesMin} are needed`,
    );
  }
  const superblock = {
    poolName,
    poolUuid,
    generation: 1,
    createdMs: environment.nowMs(),
    isReadOnly: false,
    geometry: {
      groupBlocks: 4096,
      ringBlocks: 1024,
      cellCount: 1,
      tableFanOut: 256,
      leafClusters: 256,
      reserveBlocks: 1024,
    },
    devices: devices.map((device) => ({
      uuid: environment.randomUuid(),
      sizeBlocks: bytesToBlocks(device.sizeBytes),
      firstGroup: 0,
      groupCount: 0,
      groupStartBlock: 0,
    })),
  };
  for (const [deviceIndex, device] of devices.entries()) {
    await writeSuperblock(device, { ...superblock, deviceIndex });
  }
}

async function openStore(
  _: Parameters<OpenStore>[0],
  { devices }: Parameters<OpenStore>[1],
): Promise<MemoryStore> {
  const page = new Uint8Array(blockSizeBytes);
  await settled((done) => devices[0]!.read(0, page, done));
  const { poolName, poolUuid } = decodeSuperblock(page, 0);
  return new MemoryStore({ poolName, poolUuid, sizeBlocks: bytesToBlocks(sumSizes(devices)) });
}

function sumSizes(devices: readonly BlockDevice[]): number {
  return devices.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

async function writeSuperblock(device: BlockDevice, superblock: Superblock): Promise<void> {
  const page = new Uint8Array(blockSizeBytes);
  encodeSuperblock(superblock, 0, page);
  await settled((done) => device.write(0, page, true, done));
}

function settled(submit: (done: (error: DeviceError | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    submit((error) => (error === null ? resolve() : reject(error)));
  });
}
