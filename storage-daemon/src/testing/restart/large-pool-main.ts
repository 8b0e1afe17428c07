/**
 * Makes a large pool in a file and dies as by kill -9, or opens it and says how long that took:
 *
 *   node dist/testing/restart/large-pool-main.js make FILE GIB VOLUMES SNAPSHOTS_PER_VOLUME
 *   node dist/testing/restart/large-pool-main.js open FILE
 *
 * `open` prints one line of JSON: milliseconds from the start of the process and from the start of opening to the
 * first I/O's answer, CPU milliseconds of the process until then, what was read, and memory.
 */
import { closeSync, ftruncateSync, openSync } from 'node:fs';

import { createReactorEnvironment } from '../../reactor/control/reactor-environment.ts';
import { blockStoreEngine } from '../../reactor/pools/block-store-engine.ts';
import { fillLargePool, readFirstBlock } from './large-pool.ts';

const gibibyteBytes = 2 ** 30;
const volumeBlocks = 2 ** 18;
const writesPerSnapshot = 8;

const environment = createReactorEnvironment({
  event: () => undefined,
  log: (level, message, fields) => {
    if (level !== 'info') console.error(message, fields);
  },
});

async function make(file: string, sizeBytes: number, counts: readonly number[]): Promise<never> {
  const fd = openSync(file, 'w', 0o600);
  ftruncateSync(fd, sizeBytes);
  closeSync(fd);
  const devices = [blockStoreEngine.openDevice(file)];
  const poolUuid = new Uint8Array(16).fill(1);
  const format = { poolName: 'large', poolUuid, geometry: {} };
  await blockStoreEngine.formatStore(format, { devices, environment });
  const store = await blockStoreEngine.openStore({}, { devices, environment });
  const [volumeCount = 1000, snapshotsPerVolume = 10] = counts;
  await fillLargePool(store, { volumeCount, snapshotsPerVolume, volumeBlocks, writesPerSnapshot });
  console.log(
    `made ${volumeCount} volumes with ${snapshotsPerVolume} snapshots each in ${file}, not closed`,
  );
  process.kill(process.pid, 'SIGKILL');
  return new Promise(() => {});
}

async function open(file: string): Promise<void> {
  const startMs = performance.now();
  const devices = [blockStoreEngine.openDevice(file)];
  const store = await blockStoreEngine.openStore({}, { devices, environment });
  const openedMs = performance.now();
  await readFirstBlock(store);
  const endMs = performance.now();
  const { user, system } = process.cpuUsage();
  const memory = process.memoryUsage();
  const report = {
    sinceProcessStartMs: endMs,
    openMs: openedMs - startMs,
    toFirstIoMs: endMs - startMs,
    cpuMs: (user + system) / 1000,
    cells: store.cellCount,
    volumes: store.list('volume').length,
    snapshots: store.list('snapshot').length,
    heapMib: memory.heapUsed / 2 ** 20,
    rssMib: memory.rss / 2 ** 20,
    mapResidentMib: store.mapMemory().residentBytes / 2 ** 20,
  };
  const rounded = Object.entries(report).map(([key, value]) => [key, Math.round(value)]);
  console.log(JSON.stringify(Object.fromEntries(rounded)));
  store.destroy();
  process.exit(0);
}

const [mode, file, gib, ...counts] = process.argv.slice(2);
if (mode === 'make' && file !== undefined) {
  await make(file, Number(gib ?? 64) * gibibyteBytes, counts.map(Number));
} else if (mode === 'open' && file !== undefined) await open(file);
else {
  console.error('usage: large-pool-main make FILE GIB VOLUMES SNAPSHOTS_PER_VOLUME | open FILE');
  process.exit(2);
}
