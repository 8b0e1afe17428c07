/** What was never written takes no space, and clients can see where that is. */
import assert from 'node:assert/strict';
import { restoredClaimManifest, snapshotManifest } from '../product/manifests.ts';
import { allocationMap, listExports, qemuIoOk, type MapExtent } from '../product/nbd-clients.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';

const gibibyte = 2 ** 30;
const mebibyte = 2 ** 20;

/** `nbdinfo --map` of a thin volume, of its clone, and after a discard. */
export const holesTest: EndToEndTest = {
  name: 'holes',
  summary: 'nbdinfo --map shows data where it was written and holes everywhere else',
  clusters: ['embedded', 'real'],
  programs: ['qemu-io', 'nbdinfo'],
  poolBytes: gibibyte,
  timeoutMs: 120_000,
  run: async (site) => {
    await site.createClaim('thin', '8Gi');
    const uri = await site.uriOf('thin');
    assert.deepEqual(await dataOf(uri), [], 'a new volume is one hole');

    await qemuIoOk(uri, ['write -P 1 0 64k', 'write -P 2 4G 1M', 'write -P 3 8388604k 4k']);
    const written = [
      [0, 64 * 1024],
      [4 * gibibyte, mebibyte],
      [8 * gibibyte - 4096, 4096],
    ];
    assert.deepEqual(await dataOf(uri), written, 'what was written is data');

    await site.kubectl.apply([snapshotManifest('thin-snapshot', 'thin')]);
    await site.kubectl.waitReady('thin-snapshot');
    await site.kubectl.apply([restoredClaimManifest('thin-restored', '8Gi', 'thin-snapshot')]);
    await site.kubectl.waitBound('thin-restored');
    const restoredUri = await site.uriOf('thin-restored');
    assert.deepEqual(await dataOf(restoredUri), written, 'a restored volume has the same holes');

    await qemuIoOk(uri, ['discard 4G 1M', 'read -P 0 4G 1M']);
    assert.deepEqual(await dataOf(uri), [written[0], written[2]], 'what is discarded is a hole');
    assert.deepEqual(await dataOf(restoredUri), written, 'the restored volume keeps it');

    const exports = await listExports(site.daemon.nbdSocket);
    const { volumes, snapshots } = await site.daemon.content();
    const expected = [
      ...volumes.map((volume) => `volume/${volume}`),
      ...snapshots.map((snapshot) => `snapshot/${snapshot}`),
    ];
    assert.deepEqual(exports.toSorted(), expected.toSorted(), 'nbdinfo --list shows all exports');
  },
};

/** Offset and size of each run of data, neighbours joined. The extents must cover the volume without a gap. */
async function dataOf(uri: string): Promise<number[][]> {
  const extents = await allocationMap(uri);
  const runs: number[][] = [];
  let endBytes = 0;
  for (const extent of extents) {
    assert.equal(extent.offsetBytes, endBytes, 'extents follow each other without a gap');
    endBytes += extent.sizeBytes;
    if (isData(extent)) append(runs, extent);
  }
  assert.equal(endBytes, 8 * gibibyte, 'extents cover the volume');
  return runs;
}

function isData(extent: MapExtent): boolean {
  if (extent.type === 'data') return true;
  assert.equal(extent.type, 'hole,zero', 'what is not data is a hole that reads as zeros');
  return false;
}

function append(runs: number[][], extent: MapExtent): void {
  const [offsetBytes = 0, sizeBytes = 0] = runs.at(-1) ?? [];
  if (runs.length > 0 && offsetBytes + sizeBytes === extent.offsetBytes) {
    runs[runs.length - 1] = [offsetBytes, sizeBytes + extent.sizeBytes];
  } else {
    runs.push([extent.offsetBytes, extent.sizeBytes]);
  }
}
