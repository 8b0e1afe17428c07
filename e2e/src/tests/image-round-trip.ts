/** A whole disk image goes into a volume and comes back from a snapshot, moved by qemu-img. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../process/run-command.ts';
import { restoredClaimManifest, snapshotManifest } from '../product/manifests.ts';
import { compareImages, convertIntoVolume, exportUri, qemuIoOk } from '../product/nbd-clients.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';
import type { Site } from '../product/site.ts';

const gibibyte = 2 ** 30;
const overwriteCount = 64;

/** A 1 GiB image of random bytes: converted in, snapshotted, overwritten, restored, compared. */
export const imageRoundTripTest: EndToEndTest = {
  name: 'image-round-trip',
  summary: 'a 1 GiB random image comes back identical from a snapshot after overwrites',
  clusters: ['embedded', 'real'],
  programs: ['qemu-img', 'qemu-io'],
  poolBytes: 4 * gibibyte,
  timeoutMs: 600_000,
  run: async (site) => {
    const image = join(site.directory, 'original.raw');
    await runCommand('bash', ['-c', 'head -c 1073741824 /dev/urandom > "$1"', 'bash', image], {
      timeoutMs: 120_000,
    });
    await site.createClaim('image', '1Gi');
    const uri = await site.uriOf('image');
    const startMs = performance.now();
    await convertIntoVolume(image, uri);
    const seconds = (performance.now() - startMs) / 1000;
    site.note(`qemu-img convert wrote 1 GiB in ${seconds.toFixed(1)} s`);

    await site.kubectl.apply([snapshotManifest('image-snapshot', 'image')]);
    await site.kubectl.waitReady('image-snapshot');
    await qemuIoOk(uri, overwrites(site));

    await site.kubectl.apply([restoredClaimManifest('image-restored', '1Gi', 'image-snapshot')]);
    await site.kubectl.waitBound('image-restored');
    await expectIdentical(image, await site.uriOf('image-restored'));
    const { uid } = (await site.kubectl.get('volumesnapshot', 'image-snapshot')).metadata;
    await expectIdentical(image, exportUri(site.daemon.nbdSocket, `snapshot/snapshot-${uid}`));

    const source = await compareImages(image, uri);
    assert.equal(source.code, 1, `the overwritten volume differs: ${source.stdout}`);
    rmSync(image);
  },
};

/** Writes at random places, of random length, not aligned to anything. */
function overwrites(site: Site): readonly string[] {
  const writes = Array.from({ length: overwriteCount }, () => {
    const lengthBytes = site.random.between(1, 256 * 1024);
    const offsetBytes = site.random.below(gibibyte - lengthBytes);
    return `write -P ${site.random.below(256)} ${offsetBytes} ${lengthBytes}`;
  });
  return [...writes, 'discard 512M 4M', 'write -z 640M 4M', 'flush'];
}

async function expectIdentical(image: string, uri: string): Promise<void> {
  const compared = await compareImages(image, uri);
  assert.equal(compared.code, 0, `${uri} is identical to the image: ${compared.stdout}`);
}
