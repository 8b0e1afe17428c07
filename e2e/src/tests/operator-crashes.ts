/**
 * The operator is killed at random points while it works off fifty snapshots and fifty restores, and again
 * while all of it is deleted. It holds no state of its own, so whatever the moment: all converge, the daemon
 * holds exactly one object for each, and nothing is stuck.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from '../process/wait-until.ts';
import type { KubernetesObject } from '../product/kubectl.ts';
import { restoredClaimManifest, snapshotManifest } from '../product/manifests.ts';
import type { Site } from '../product/site.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';

const gibibyte = 2 ** 30;
const objectCount = 50;
const sourceClaim = 'source';
const convergeTimeoutMs = 180_000;
/** How long an operator lives: from before its first list is read to some hundred calls later. */
const lifeMsMax = 1500;
/** So many deaths at least, also if the work is done earlier. */
const killsMin = 8;

/** SIGKILL of the operator during 50 snapshots, 50 restores and their deletion. */
export const operatorCrashesTest: EndToEndTest = {
  name: 'operator-crashes',
  summary: `${objectCount} snapshots and as many restores converge though the operator is killed at random`,
  clusters: ['embedded', 'real'],
  programs: ['qemu-io'],
  poolBytes: 2 * gibibyte,
  timeoutMs: 900_000,
  run: async (site) => {
    await site.createClaim(sourceClaim, '64Mi');
    await site.fill(sourceClaim, 0x31, '0 1M');

    await createAll(site);
    const killsWhileCreating = await killUntil(site, async () => isAllCreated(site));
    await waitUntil('all snapshots ready and all claims bound', () => demandAllCreated(site), {
      timeoutMs: convergeTimeoutMs,
      intervalMs: 500,
    });
    await expectOneForEach(site);
    for (const index of [1, objectCount]) {
      await site.expectFilled(restoredName(index), 0x31, '0 1M');
    }

    await deleteAll(site);
    const killsWhileDeleting = await killUntil(site, async () => isAllDeleted(site));
    site.note(
      `killed ${killsWhileCreating} times while creating and ${killsWhileDeleting} times while deleting; ` +
        'no duplicate, no orphan, no stuck finalizer',
    );
  },
};

function snapshotName(index: number): string {
  return `snapshot-${index}`;
}

function restoredName(index: number): string {
  return `restored-${index}`;
}

const indices = Array.from({ length: objectCount }, (_, index) => index + 1);

async function createAll(site: Site): Promise<void> {
  await site.kubectl.apply(
    indices.flatMap((index) => [
      snapshotManifest(snapshotName(index), sourceClaim),
      restoredClaimManifest(restoredName(index), '64Mi', snapshotName(index)),
    ]),
  );
}

async function deleteAll(site: Site): Promise<void> {
  await site.kubectl.run(['delete', 'volumesnapshots,pvc', '--all', '--wait=false']);
}

/** Kills and restarts the operator until the work is done, and a few times in any case; returns how often. */
async function killUntil(site: Site, isDone: () => Promise<boolean>): Promise<number> {
  const deadlineMs = performance.now() + convergeTimeoutMs;
  for (let kills = 0; ; kills++) {
    if (kills >= killsMin && (performance.now() > deadlineMs || (await isDone()))) return kills;
    await site.operator.waitStarted();
    await sleep(site.random.between(0, lifeMsMax));
    await site.operator.kill();
    site.operator.start();
  }
}

interface Snapshot extends KubernetesObject {
  readonly status?: { readonly readyToUse?: boolean };
}

interface Claim extends KubernetesObject {
  readonly status?: { readonly phase?: string };
}

async function demandAllCreated(site: Site): Promise<true> {
  const snapshots = await site.kubectl.list<Snapshot>('volumesnapshots');
  const claims = await site.kubectl.list<Claim>('pvc');
  const ready = snapshots.filter((snapshot) => snapshot.status?.readyToUse === true).length;
  const bound = claims.filter((claim) => claim.status?.phase === 'Bound').length;
  if (ready < objectCount || bound < objectCount + 1) {
    throw new Error(`${ready} snapshots ready, ${bound} claims bound`);
  }
  return true;
}

async function isAllCreated(site: Site): Promise<boolean> {
  return demandAllCreated(site).catch(() => false);
}

async function isAllDeleted(site: Site): Promise<boolean> {
  const snapshots = await site.kubectl.names('volumesnapshots');
  const claims = await site.kubectl.names('pvc');
  const contents = await site.snapshotContents();
  return snapshots.length + claims.length + contents.length === 0;
}

/** The daemon's ids derive from the objects' UIDs, so they can be compared one by one. */
async function expectOneForEach(site: Site): Promise<void> {
  const snapshots = await site.kubectl.list('volumesnapshots');
  const claims = await site.kubectl.list('pvc');
  const contents = await site.snapshotContents();
  const held = await site.daemon.content();
  assert.deepEqual(
    held.snapshots.toSorted(),
    snapshots.map(({ metadata }) => `snapshot-${metadata.uid}`).toSorted(),
    'the daemon holds exactly one snapshot for each VolumeSnapshot',
  );
  assert.deepEqual(
    held.volumes.toSorted(),
    claims.map(({ metadata }) => `pvc-${metadata.uid}`).toSorted(),
    'the daemon holds exactly one volume for each claim',
  );
  assert.deepEqual(
    contents.map(({ metadata }) => metadata.name).toSorted(),
    snapshots.map(({ metadata }) => `snapcontent-${metadata.uid}`).toSorted(),
    'there is exactly one content for each VolumeSnapshot',
  );
}
