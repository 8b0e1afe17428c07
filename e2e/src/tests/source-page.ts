/** The page that the product was asked for from: its three manifests, as they stand. */
import assert from 'node:assert/strict';
import { sourcePage } from '../product/manifests.ts';
import { contentDigest } from '../product/nbd-clients.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';
import type { Site } from '../product/site.ts';

const gibibyte = 2 ** 30;

/**
 * Snapshot, restore and pod of the page; the restored volume holds exactly the bytes of the instant of the
 * snapshot.
 */
export const sourcePageTest: EndToEndTest = {
  name: 'source-page',
  summary: "the page's three manifests work unmodified, and kubectl explains what happened",
  clusters: ['embedded', 'real'],
  programs: ['qemu-io', 'nbdcopy'],
  poolBytes: 2 * gibibyte,
  timeoutMs: 180_000,
  run: async (site) => {
    const { kubectl } = site;
    await site.createClaim(sourcePage.sourceClaim, '256Mi');
    await site.fill(sourcePage.sourceClaim, 0x51, '0 8M');
    await site.fill(sourcePage.sourceClaim, 0x52, '200M 64k');
    const digestAtSnapshot = await contentDigest(await site.uriOf(sourcePage.sourceClaim));

    await kubectl.applyFile(sourcePage.snapshot.file);
    await kubectl.waitReady(sourcePage.snapshot.name);
    await expectListedAsReady(site);

    await site.fill(sourcePage.sourceClaim, 0x53, '4M 8M');
    await kubectl.applyFile(sourcePage.restoredClaim.file);
    await kubectl.waitBound(sourcePage.restoredClaim.name);
    const digestRestored = await contentDigest(await site.uriOf(sourcePage.restoredClaim.name));
    assert.equal(digestRestored, digestAtSnapshot, 'the restored bytes are those of the snapshot');
    await site.expectFilled(sourcePage.sourceClaim, 0x53, '4M 8M');

    await kubectl.applyFile(sourcePage.pod.file);
    await kubectl.wait(`pod/${sourcePage.pod.name}`, 'jsonpath={.status.phase}=Pending');
    await expectDescriptionsExplain(site);
  },
};

async function expectListedAsReady(site: Site): Promise<void> {
  const { uid } = (await site.kubectl.get('volumesnapshot', sourcePage.snapshot.name)).metadata;
  const listing = await site.kubectl.run(['get', 'volumesnapshot']);
  for (const line of listing.trimEnd().split('\n')) site.note(line);
  const [header = '', row = ''] = listing.trimEnd().split('\n');
  for (const column of ['READYTOUSE', 'SOURCEPVC', 'RESTORESIZE', 'SNAPSHOTCLASS']) {
    assert.ok(header.includes(column), `kubectl get volumesnapshot has a column ${column}`);
  }
  const cells = row.split(/\s+/);
  for (const cell of [
    sourcePage.snapshot.name,
    'true',
    sourcePage.sourceClaim,
    '256Mi',
    sourcePage.snapshotClass,
    `snapcontent-${uid}`,
  ]) {
    assert.ok(cells.includes(cell), `kubectl get volumesnapshot shows ${cell}: ${row}`);
  }
}

async function expectDescriptionsExplain(site: Site): Promise<void> {
  const explanations: readonly (readonly [string, readonly string[]])[] = [
    [
      `volumesnapshot/${sourcePage.snapshot.name}`,
      ['Ready To Use: true', 'Restore Size: 256Mi', 'CreatingSnapshot', 'SnapshotReady'],
    ],
    [`pvc/${sourcePage.restoredClaim.name}`, ['Bound', '256Mi', 'ProvisioningSucceeded']],
    [`storagedaemon/${site.daemon.name}`, ['Conditions:', 'Ready', site.daemon.controlSocket]],
  ];
  for (const [target, words] of explanations) {
    // kubectl lines its columns up with as many spaces as it takes.
    const text = (await site.kubectl.run(['describe', target])).replaceAll(/ +/g, ' ');
    for (const word of words) {
      assert.ok(text.includes(word), `kubectl describe ${target} says "${word}":\n${text}`);
    }
  }
}
