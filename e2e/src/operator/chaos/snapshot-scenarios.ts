/** A claim, a snapshot of it, a restore and a clone: created in a hostile order, and deleted in every order. */
import {
  persistentVolumeClaims,
  persistentVolumes,
  volumeSnapshotContents,
  volumeSnapshots,
  type Resource,
} from '@varve/operator/kube/resource';
import { claimManifest, restoredClaimManifest, snapshotManifest } from '../../product/manifests.ts';
import {
  createAll,
  deleteAll,
  expectedAtDaemon,
  untilAllIsThere,
  untilNothingIsLeft,
} from '../life-cycle.ts';
import type { OperatorSite } from '../operator-site.ts';
import type { Scenario, Step } from './scenario.ts';

/** Everything at once, all that waits for another first; then deleted while nobody waits for anything. */
export const snapshotLife: Scenario = {
  name: 'snapshot-life',
  steps: [
    {
      what: 'a claim, its snapshot, a restore and a clone are created',
      act: createAll,
      settle: untilAllIsThere,
      check: async (site) => expectSame(await site.heldByDaemon(), expectedAtDaemon(site)),
    },
    { what: 'all is deleted', act: deleteAll, settle: untilNothingIsLeft },
  ],
};

const objects: readonly (readonly [Resource, string])[] = [
  [persistentVolumeClaims, 'source'],
  [volumeSnapshots, 'snapshot'],
  [persistentVolumeClaims, 'restored'],
];

const orders: readonly (readonly number[])[] = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];

const created: Step = {
  what: 'a claim, its snapshot and a restore are created',
  act: async (site) => {
    await site.create(
      claimManifest('source', '32Mi'),
      snapshotManifest('snapshot', 'source'),
      restoredClaimManifest('restored', '32Mi', 'snapshot'),
    );
  },
  settle: async (site) => untilAllIsThere(site, 2),
};

/** The deletion orders, deletions during the creation, and a snapshot that outlives its object. */
export const snapshotLives: readonly Scenario[] = [
  ...orders.map((order): Scenario => {
    const ordered = order.flatMap((index) => objects.slice(index, index + 1));
    return {
      name: `delete-${ordered.map(([, name]) => name).join('-')}`,
      steps: [created, ...ordered.map(([resource, name]) => deleted(resource, name))],
    };
  }),
  {
    name: 'delete-while-created',
    steps: [
      {
        what: 'all is created and at once deleted',
        act: async (site) => {
          await site.create(claimManifest('source', '32Mi'));
          await site.create(snapshotManifest('snapshot', 'source'));
          await site.create(restoredClaimManifest('restored', '32Mi', 'snapshot'));
          for (const [resource, name] of objects) await site.delete(resource, name);
        },
        settle: untilNothingIsLeft,
      },
    ],
  },
  {
    name: 'retain-then-delete',
    steps: [
      created,
      deleted(persistentVolumeClaims, 'restored'),
      {
        what: 'the content is retained, and its snapshot deleted',
        act: async (site) => {
          await setPolicy(site, 'Retain');
          await site.delete(volumeSnapshots, 'snapshot');
        },
        settle: async (site) => untilGone(site, volumeSnapshots, 'snapshot'),
      },
      {
        what: 'the retained content is deleted',
        act: async (site) => {
          await setPolicy(site, 'Delete');
          const [content] = site.list(volumeSnapshotContents);
          await site.delete(volumeSnapshotContents, content?.metadata.name ?? '');
        },
        settle: async (site) =>
          site.until('the content goes', () => site.list(volumeSnapshotContents).length === 0),
      },
      deleted(persistentVolumeClaims, 'source'),
    ],
  },
];

function deleted(resource: Resource, name: string): Step {
  return {
    what: `${resource.kind} ${name} is deleted`,
    act: async (site) => site.delete(resource, name),
    settle: async (site) => untilGone(site, resource, name),
  };
}

async function untilGone(site: OperatorSite, resource: Resource, name: string): Promise<void> {
  await site.until(`${name} is gone, and the volume of every claim that is`, () => {
    const volumes = site.list(persistentVolumes);
    return (
      site.find(resource, name) === undefined &&
      volumes.length === site.list(persistentVolumeClaims).length
    );
  });
}

async function setPolicy(site: OperatorSite, deletionPolicy: string): Promise<void> {
  for (const { metadata } of site.list(volumeSnapshotContents)) {
    const patch = { type: 'merge', body: { spec: { deletionPolicy } } } as const;
    await site.client.patch(volumeSnapshotContents, { name: metadata.name }, patch);
  }
}

function expectSame(found: readonly string[], expected: readonly string[]): void {
  if (found.join() === expected.join()) return;
  throw new Error(`the daemon holds ${found.join(', ')} instead of ${expected.join(', ')}`);
}
