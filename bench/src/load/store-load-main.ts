/**
 * The store without a socket, as a program: a pool on a file, a filled volume, and a loop that keeps a number of
 * requests under way. It reads one load per line, `randread|randwrite <block bytes> <queue depth> <milliseconds>`,
 * and answers each with the requests per second.
 */
import { createInterface } from 'node:readline';

import { assert } from '@varve/common/assert';
import { createReactorEnvironment } from '@varve/storage-daemon/reactor/control/reactor-environment';
import { chooseIoEngine } from '@varve/storage-daemon/reactor/io-engine';
import { createBlockStoreEngine } from '@varve/storage-daemon/reactor/pools/block-store-engine';
import type { NodeIo } from '@varve/storage-daemon/store/store-api';

const blockBytes = 4096;
const fillBytes = 1024 * 1024;
const uuid = new Uint8Array(16).fill(1);

async function openFilledVolume(poolFile: string, sizeBytes: number): Promise<NodeIo> {
  const log = (level: string, message: string): void => {
    if (level === 'error') console.error(message);
  };
  const environment = createReactorEnvironment({ event: () => undefined, log });
  const engine = createBlockStoreEngine(chooseIoEngine('auto'), log);
  const devices = [engine.openDevice(poolFile)];
  const format = { poolName: 'bench', poolUuid: uuid, geometry: {} };
  await engine.formatStore(format, { devices, environment });
  const store = await engine.openStore({}, { devices, environment });
  const sizeBlocks = sizeBytes / blockBytes;
  await store.createVolume({ name: 'volume', uuid, sizeBlocks, attributes: '{}' });
  const io = store.openIo({ kind: 'volume', name: 'volume' });
  const bytes = Buffer.alloc(fillBytes, 7);
  for (let lbn = 0; lbn < sizeBlocks; lbn += fillBytes / blockBytes) {
    await new Promise<void>((resolve) => {
      io.write(lbn, bytes, false, () => resolve());
    });
  }
  return io;
}

/** Keeps `queueDepth` requests at random blocks under way for a time; answers how many completed per second. */
function run(
  io: NodeIo,
  load: { isWrite: boolean; queueDepth: number; ms: number },
): Promise<number> {
  return new Promise((resolve) => {
    const startMs = performance.now();
    const endMs = startMs + load.ms;
    let completed = 0;
    let isOver = false;
    let underWay = load.queueDepth;
    for (let index = 0; index < load.queueDepth; index++) {
      const buffer = Buffer.alloc(blockBytes, index);
      const done = (error: unknown): void => {
        assert(error === null, `the store failed: ${String(error)}`);
        completed++;
        // The clock is asked now and then: it is not what is measured.
        if (completed % 64 === 0) isOver = performance.now() >= endMs;
        if (!isOver) next();
        else if (--underWay === 0) resolve((completed / (performance.now() - startMs)) * 1000);
      };
      const next = (): void => {
        const lbn = Math.floor(Math.random() * io.sizeBlocks);
        if (load.isWrite) io.write(lbn, buffer, false, done);
        else io.read(lbn, buffer, done);
      };
      next();
    }
  });
}

const [poolFile, sizeBytes] = process.argv.slice(2);
const io = await openFilledVolume(poolFile!, Number(sizeBytes));
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const [rw, , queueDepth, ms] = line.split(' ');
  const load = { isWrite: rw === 'randwrite', queueDepth: Number(queueDepth), ms: Number(ms) };
  console.log(await run(io, load));
}
process.exit(0);
