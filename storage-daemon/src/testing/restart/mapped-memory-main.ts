/**
 * Measures the memory of maps: maps GIB gibibytes of a volume on a device that stores metadata and drops data, and
 * prints one line of JSON with the resident memory that they cost, scaled to a TiB:
 *
 *   node --expose-gc dist/testing/restart/mapped-memory-main.js GIB
 */
import type { BlockDevice, DeviceCompletion } from '../../device/block-device.ts';
import { createReactorEnvironment } from '../../reactor/control/reactor-environment.ts';
import { formatStore } from '../../store/format-store.ts';
import { openStore } from '../../store/open-store.ts';
import type { NodeIo } from '../../store/store-api.ts';
import { blockSizeBytes } from '../../units.ts';

const gibibyteBytes = 2 ** 30;
const mebibyteBytes = 2 ** 20;
/** All data that is written: what does not look like it is metadata. */
const dataByte = 0xd7;
const writeBlocks = 1024;
/** Of the pool, for each byte that is mapped. */
const poolShare = 1.25;

/** Keeps blocks that are not data. */
class MetadataDevice implements BlockDevice {
  readonly name = 'metadata';
  readonly hasVolatileCache = false;
  readonly sizeBytes: number;
  readonly #blocks = new Map<number, Uint8Array>();

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
  }

  /** Memory of the device itself. */
  get keptBytes(): number {
    return this.#blocks.size * blockSizeBytes;
  }

  read(offsetBytes: number, target: Uint8Array, done: DeviceCompletion): void {
    for (let start = 0; start < target.length; start += blockSizeBytes) {
      const block = this.#blocks.get((offsetBytes + start) / blockSizeBytes);
      if (block) target.set(block, start);
      else target.fill(dataByte, start, start + blockSizeBytes);
    }
    setImmediate(done, null);
  }

  write(offsetBytes: number, source: Uint8Array, _fua: boolean, done: DeviceCompletion): void {
    const isData = source[0] === dataByte && source.at(-1) === dataByte;
    for (let start = 0; start < source.length; start += blockSizeBytes) {
      const block = (offsetBytes + start) / blockSizeBytes;
      if (isData) this.#blocks.delete(block);
      else this.#blocks.set(block, source.slice(start, start + blockSizeBytes));
    }
    setImmediate(done, null);
  }

  flush(done: DeviceCompletion): void {
    setImmediate(done, null);
  }

  deallocate(_offsetBytes: number, _lengthBytes: number, done: DeviceCompletion): void {
    setImmediate(done, null);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function write(io: NodeIo, lbn: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    io.write(lbn, bytes, false, (error) => (error ? reject(error) : resolve()));
  });
}

/** Resident memory after a collection, without what the device keeps. */
function usedBytes(device: MetadataDevice): number {
  for (let round = 0; round < 3; round++) globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external - device.keptBytes;
}

const mappedBytes = Number(process.argv[2] ?? 64) * gibibyteBytes;
const device = new MetadataDevice(Math.ceil(mappedBytes * poolShare));
const environment = createReactorEnvironment({ event: () => undefined, log: () => undefined });
const poolUuid = new Uint8Array(16).fill(1);
const geometry = { cellCount: 1 };
const dependencies = { devices: [device], environment };
await formatStore({ poolName: 'mapped', poolUuid, geometry }, dependencies);
const store = await openStore({ mapMemoryBytes: mappedBytes }, dependencies);
const sizeBlocks = mappedBytes / blockSizeBytes;
await store.createVolume({ name: 'v', uuid: poolUuid, sizeBlocks, attributes: '{}' });
const io = store.openIo({ kind: 'volume', name: 'v' });
const bytes = new Uint8Array(writeBlocks * blockSizeBytes).fill(dataByte);
const beforeBytes = usedBytes(device);
for (let lbn = 0; lbn < sizeBlocks; lbn += writeBlocks) await write(io, lbn, bytes);
await store.checkpoint();
const memoryBytes = usedBytes(device) - beforeBytes;
const perTebibyte = 2 ** 40 / mappedBytes / mebibyteBytes;
console.log(
  JSON.stringify({
    mappedGib: mappedBytes / gibibyteBytes,
    residentMib: Math.round(memoryBytes / mebibyteBytes),
    residentMibPerTib: Math.round(memoryBytes * perTebibyte),
    mapPagesMibPerTib: Math.round(store.mapMemory().residentBytes * perTebibyte),
  }),
);
store.destroy();
process.exit(0);
