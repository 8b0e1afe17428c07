/** A claim is put back to a snapshot, with a safety snapshot first; then all is deleted. */
import {
  persistentVolumeClaims,
  volumeReverts,
  volumeSnapshots,
} from '@varve/operator/kube/resource';
import { claimManifest, snapshotManifest } from '../../product/manifests.ts';
import { untilNothingIsLeft } from '../life-cycle.ts';
import type { OperatorSite } from '../operator-site.ts';
import type { Scenario } from './scenario.ts';

/** A revert from its creation, before its claim is bound, to the deletion of all that it left. */
export const revertLife: Scenario = {
  name: 'revert-life',
  steps: [
    {
      what: 'a claim, its snapshot and a revert to that are created',
      act: async (site) => {
        await site.create(
          {
            apiVersion: 'varve.dev/v1alpha1',
            kind: 'VolumeRevert',
            metadata: { name: 'back' },
            spec: { persistentVolumeClaimName: 'source', volumeSnapshotName: 'snapshot' },
          },
          claimManifest('source', '32Mi'),
          snapshotManifest('snapshot', 'source'),
        );
      },
      settle: async (site) => {
        await site.until(
          'the revert is done',
          () =>
            site.find(volumeReverts, 'back')?.status?.conditions?.[0]?.status === 'True' &&
            site.find(persistentVolumeClaims, 'source')?.metadata.finalizers?.length === 1,
        );
      },
      check: expectOneRevert,
    },
    {
      what: 'all is deleted',
      act: async (site) => {
        await site.delete(volumeReverts, 'back');
        await site.delete(persistentVolumeClaims, 'source');
        for (const { metadata } of site.list(volumeSnapshots))
          await site.delete(volumeSnapshots, metadata.name);
      },
      settle: untilNothingIsLeft,
    },
  ],
};

/** The daemon has done this one, once, and holds the claim, the snapshot and the safety snapshot. */
async function expectOneRevert(site: OperatorSite): Promise<void> {
  const claim = site.find(persistentVolumeClaims, 'source');
  const { reverts } = await site.daemonClient.getVolume(`pvc-${claim?.metadata.uid}`);
  const expected = `revert-${site.find(volumeReverts, 'back')?.metadata.uid}`;
  const held = await site.heldByDaemon();
  if (reverts.join() !== expected || held.length !== 3) {
    throw new Error(`the daemon has done reverts ${reverts.join()} and holds ${held.join()}`);
  }
}
