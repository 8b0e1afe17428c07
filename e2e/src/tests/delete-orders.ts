/** Snapshots own their blocks: whatever is deleted first, the rest stays whole, and at the end nothing is left. */
import { restoredClaimManifest, snapshotManifest } from '../product/manifests.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';
import type { Site } from '../product/site.ts';

const gibibyte = 2 ** 30;

type Role = 'source' | 'snapshot' | 'restored';

const orders: readonly (readonly [Role, Role, Role])[] = [
  ['source', 'snapshot', 'restored'],
  ['source', 'restored', 'snapshot'],
  ['snapshot', 'source', 'restored'],
  ['snapshot', 'restored', 'source'],
  ['restored', 'source', 'snapshot'],
  ['restored', 'snapshot', 'source'],
];

/** All six orders of deleting the source claim, its snapshot, and the claim restored from it. */
export const deleteOrdersTest: EndToEndTest = {
  name: 'delete-orders',
  summary: 'source, snapshot and restored claim, deleted in all six orders, free all space',
  clusters: ['embedded', 'real'],
  programs: ['qemu-io'],
  poolBytes: 2 * gibibyte,
  timeoutMs: 300_000,
  run: async (site) => {
    for (const [index, order] of orders.entries()) {
      await deleteInOrder(site, order, `case${index + 1}`);
      await site.expectNothingLeft();
      site.note(`${order.join(', ')}: all space free, daemon empty`);
    }
  },
};

async function deleteInOrder(site: Site, order: readonly Role[], prefix: string): Promise<void> {
  const source = `${prefix}-source`;
  const snapshot = `${prefix}-snapshot`;
  const restored = `${prefix}-restored`;
  await site.createClaim(source, '64Mi');
  await site.fill(source, 0x61, '0 16M');
  await site.kubectl.apply([snapshotManifest(snapshot, source)]);
  await site.kubectl.waitReady(snapshot);
  await site.fill(source, 0x62, '8M 16M');
  await site.kubectl.apply([restoredClaimManifest(restored, '64Mi', snapshot)]);
  await site.kubectl.waitBound(restored);
  await site.fill(restored, 0x63, '0 1M');

  const alive = new Set<Role>(order);
  for (const role of order) {
    if (role === 'snapshot') await site.kubectl.delete('volumesnapshot', snapshot);
    else await site.kubectl.delete('pvc', role === 'source' ? source : restored);
    alive.delete(role);
    if (alive.has('source')) {
      await site.expectFilled(source, 0x61, '0 8M');
      await site.expectFilled(source, 0x62, '8M 16M');
    }
    if (alive.has('restored')) {
      await site.expectFilled(restored, 0x63, '0 1M');
      await site.expectFilled(restored, 0x61, '1M 15M');
    }
  }
}
