/**
 * The daemon on raw NVMe namespaces, with a Linux kernel between the two, and the power cut again and again: each
 * time the disks' caches are lost, the offline checker finds nothing, and what was promised is there.
 */
import assert from 'node:assert/strict';
import { waitUntil } from '../../process/wait-until.ts';
import { NodeWorkload } from '../node-workload.ts';
import { namespacePaths, StorageNode } from '../storage-node.ts';
import type { VmBench, VmTest } from '../vm-test.ts';

const cuts = 4;
/** Requests answered before a cut, at least and at most. */
const answersMin = 100;
const answersMax = 400;
const seconds = (elapsedMs: number): string => `${(elapsedMs / 1000).toFixed(1)} s`;

function storageNodeTest(lbaBytes: 512 | 4096): VmTest {
  return {
    name: `vm-storage-node-${lbaBytes}`,
    summary: `a pool on two NVMe namespaces of ${lbaBytes}-byte blocks keeps its promises over ${cuts} power cuts`,
    programs: [],
    timeoutMs: 900_000,
    run: async (bench) => run(bench, lbaBytes),
  };
}

/** The judge judged: disks that lie about flushes must be noticed, or the tests above prove nothing. */
const lyingDisksTest: VmTest = {
  name: 'vm-lying-disks',
  summary: 'what disks lose although it was flushed is noticed after a power cut',
  programs: [],
  timeoutMs: 600_000,
  run: expectLossNoticed,
};

/** With blocks of 4,096 and of 512 bytes, and with disks that break their promise. */
export const storageNodeTests: readonly VmTest[] = [
  storageNodeTest(4096),
  storageNodeTest(512),
  lyingDisksTest,
];

async function prepare(
  bench: VmBench,
  lbaBytes: 512 | 4096,
): Promise<{ readonly node: StorageNode; readonly workload: NodeWorkload }> {
  const { image, productImage, directory, random } = bench;
  const node = await StorageNode.create({ image, productImage, directory, sectorBytes: lbaBytes });
  bench.atEnd(async () => node.destroy());
  bench.explainWith(async () => node.explain());
  const bootMs = await node.boot();
  await expectNamespaces(node, lbaBytes);
  const startMs = await node.startDaemon();
  bench.note(`guest up in ${seconds(bootMs)}, daemon ready in ${seconds(startMs)} more`);
  await format(node, bench);
  const workload = new NodeWorkload(node, random);
  await workload.prepare();
  return { node, workload };
}

async function run(bench: VmBench, lbaBytes: 512 | 4096): Promise<void> {
  const { random } = bench;
  const { node, workload } = await prepare(bench, lbaBytes);
  for (let round = 1; round <= cuts; round++) {
    const lost = await workload.runUntilCut(random.between(answersMin, answersMax), async () =>
      node.cutPower(random),
    );
    await node.expectCleanPool();
    await node.boot();
    const readyMs = await node.startDaemon();
    const readBytes = await workload.verify();
    bench.note(
      `cut ${round}: ${lost}; checker clean, ready after ${seconds(readyMs)}, ${readBytes / 2 ** 20} MiB verified`,
    );
  }
  bench.note(`the namespaces saw ${node.describeDisks()} (since the last start of the disks)`);
  await workload.cleanUp();
  await node.stopDaemon();
  await node.machine.shutDown();
  await node.expectCleanPool();
}

async function expectNamespaces(node: StorageNode, lbaBytes: number): Promise<void> {
  for (const path of namespacePaths) {
    const size = await node.machine.run(`blockdev --getss ${path}`);
    assert.equal(Number(size), lbaBytes, `${path} has blocks of ${lbaBytes} bytes`);
    const cache = await node.machine.run(`cat /sys/block/${path.slice(5)}/queue/write_cache`);
    assert.equal(cache.trim(), 'write back', `${path} says that its cache is volatile`);
  }
}

/** A namespace with a file system is refused, and formatted only when that is quoted. */
async function format(node: StorageNode, bench: VmBench): Promise<void> {
  const [first, second] = namespacePaths;
  await node.machine.run(`mkfs.xfs -q -K ${first}`, 120_000);
  const uuid = (await node.machine.run(`blkid -p -s UUID -o value ${first}`)).trim();
  const put = async (force?: { readonly type: string; readonly uuid: string }[]): Promise<void> => {
    const devices = [{ path: first, ...(force === undefined ? {} : { force }) }, { path: second }];
    await node.client.putPool('pool', { devices }, { timeoutMs: 120_000 });
  };
  await assert.rejects(put(), (error: Error) => {
    bench.note(`a namespace with xfs is refused: ${error.message}`);
    return error.message.includes('xfs') && error.message.includes(uuid);
  });
  await put([{ type: 'xfs', uuid }]);
  const { devices } = await node.client.getPool('pool');
  for (const device of devices) {
    assert.equal(device.kind, 'block', `${device.path} is a block device`);
    assert.equal(device.hasVolatileCache, true, `${device.path} has a volatile cache`);
  }
  await waitUntil(
    'the pool to be writable',
    async () => {
      const { conditions } = await node.client.getPool('pool');
      return conditions.every((condition) => condition.status === 'True') ? true : undefined;
    },
    { timeoutMs: 30_000 },
  );
}

/** What is lost is all of one time, so the pool itself is sound: only what was promised tells. */
async function expectLossNoticed(bench: VmBench): Promise<void> {
  const { node, workload } = await prepare(bench, 4096);
  node.beginLying();
  await workload.runUntilCut(answersMin, async () => node.cutPower(bench.random));
  await node.expectCleanPool();
  await node.boot();
  await node.startDaemon();
  await assert.rejects(workload.verify(), (error: Error) => {
    bench.note(`noticed: ${error.message}`);
    return /\b(is|has) lost\b/.test(error.message);
  });
}
