/** While the storage daemon is away, kubectl says what waits and why; when it is back, everything goes on by itself. */
import assert from 'node:assert/strict';
import { waitUntil } from '../process/wait-until.ts';
import { claimManifest, restoredClaimManifest, snapshotManifest } from '../product/manifests.ts';
import type { Site } from '../product/site.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';

const gibibyte = 2 ** 30;
const explainTimeoutMs = 60_000;

/** A daemon that is killed, and comes back later. */
export const daemonOutageTest: EndToEndTest = {
  name: 'daemon-outage',
  summary: 'claims and snapshots wait for a daemon that is away, say so, and then go on',
  clusters: ['embedded', 'real'],
  programs: ['qemu-io'],
  poolBytes: gibibyte,
  timeoutMs: 240_000,
  run: async (site) => {
    const { kubectl } = site;
    await site.createClaim('before', '64Mi');
    await site.fill('before', 0x31, '0 4M');
    await site.daemon.kill();
    await kubectl.wait(`storagedaemon/${site.daemon.name}`, 'condition=Ready=False');
    await expectExplained(site, `storagedaemon/${site.daemon.name}`, /unreachable|unavailable/i);

    await kubectl.apply([
      snapshotManifest('waiting-snapshot', 'before'),
      claimManifest('waiting', '64Mi'),
      restoredClaimManifest('waiting-restored', '64Mi', 'waiting-snapshot'),
    ]);
    await expectExplained(site, 'volumesnapshot/waiting-snapshot', /Warning|unavailable/);
    await expectExplained(site, 'pvc/waiting', /ProvisioningFailed/);
    await expectExplained(site, 'pvc/waiting-restored', /ProvisioningFailed/);

    await site.daemon.start();
    await kubectl.wait(`storagedaemon/${site.daemon.name}`, 'condition=Ready=True');
    await kubectl.waitReady('waiting-snapshot', 120);
    await kubectl.waitBound('waiting', 120);
    await kubectl.waitBound('waiting-restored', 120);
    await site.expectFilled('waiting-restored', 0x31, '0 4M');
    const { volumes, snapshots } = await site.daemon.content();
    assert.deepEqual([volumes.length, snapshots.length], [3, 1], 'nothing was made twice');
  },
};

/** Demands that `kubectl describe` says why, and notes the line that does. */
async function expectExplained(site: Site, target: string, reason: RegExp): Promise<void> {
  const line = await waitUntil(
    `kubectl describe ${target} to say why`,
    async () => {
      const text = await site.kubectl.run(['describe', target]);
      return text
        .split('\n')
        .filter((each) => reason.test(each))
        .at(-1);
    },
    { timeoutMs: explainTimeoutMs, intervalMs: 300 },
  );
  site.note(`${target}: ${line.trim().replaceAll(/ {2,}/g, '  ')}`);
}
