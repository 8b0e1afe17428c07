/**
 * What a user sees who writes a claim with a wrong source: the API server refuses it, or a warning event says
 * what is wrong. It never becomes an empty volume.
 */
import assert from 'node:assert/strict';
import { waitUntil } from '../process/wait-until.ts';
import { claimManifest, snapshotManifest, type ClaimSource } from '../product/manifests.ts';
import type { KubernetesObject } from '../product/kubectl.ts';
import type { Site } from '../product/site.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';

const gibibyte = 2 ** 30;
const eventTimeoutMs = 60_000;
const snapshotGroup = 'snapshot.storage.k8s.io';

interface BadClaim {
  readonly what: string;
  readonly name: string;
  readonly size: string;
  /** Kubernetes silently drops a `dataSource` of a kind that it does not know, and keeps a `dataSourceRef`. */
  readonly field: 'dataSource' | 'dataSourceRef';
  readonly source: ClaimSource;
  /** A word that the explanation must have. */
  readonly mentions: string;
}

const existing = { apiGroup: snapshotGroup, kind: 'VolumeSnapshot', name: 'good-snapshot' };

const badClaims: readonly BadClaim[] = [
  {
    what: 'a snapshot that does not exist',
    name: 'missing-snapshot',
    size: '64Mi',
    field: 'dataSource',
    source: { ...existing, name: 'no-such-snapshot' },
    mentions: 'no-such-snapshot',
  },
  {
    what: 'a claim that does not exist',
    name: 'missing-claim',
    size: '64Mi',
    field: 'dataSource',
    source: { kind: 'PersistentVolumeClaim', name: 'no-such-claim' },
    mentions: 'no-such-claim',
  },
  {
    what: 'a smaller size than the snapshot',
    name: 'smaller',
    size: '32Mi',
    field: 'dataSource',
    source: existing,
    mentions: 'good-snapshot',
  },
  {
    what: 'a smaller size than the source claim',
    name: 'smaller-clone',
    size: '32Mi',
    field: 'dataSource',
    source: { kind: 'PersistentVolumeClaim', name: 'good' },
    mentions: 'good',
  },
  {
    what: 'a kind that does not exist',
    name: 'wrong-kind',
    size: '64Mi',
    field: 'dataSource',
    source: { ...existing, kind: 'VolumeSnapshott' },
    mentions: 'VolumeSnapshott',
  },
  {
    what: 'an apiGroup that does not exist',
    name: 'wrong-group',
    size: '64Mi',
    field: 'dataSource',
    source: { ...existing, apiGroup: 'snapshot.storage.k8s' },
    mentions: 'snapshot.storage.k8s',
  },
  {
    what: 'no apiGroup for a VolumeSnapshot',
    name: 'no-group',
    size: '64Mi',
    field: 'dataSource',
    source: { kind: 'VolumeSnapshot', name: 'good-snapshot' },
    mentions: 'VolumeSnapshot',
  },
  {
    what: 'a dataSourceRef of a kind that does not exist',
    name: 'wrong-kind-ref',
    size: '64Mi',
    field: 'dataSourceRef',
    source: { ...existing, kind: 'VolumeSnapshott' },
    mentions: 'VolumeSnapshott',
  },
  {
    what: 'a dataSourceRef with an apiGroup that does not exist',
    name: 'wrong-group-ref',
    size: '64Mi',
    field: 'dataSourceRef',
    source: { ...existing, apiGroup: 'snapshot.storage.k8s' },
    mentions: 'snapshot.storage.k8s',
  },
];

/** Wrong kinds, groups, names and sizes of a claim's source. */
export const badClaimsTest: EndToEndTest = {
  name: 'bad-claims',
  summary: 'a claim with a wrong source is refused or explained, and never yields an empty volume',
  clusters: ['embedded', 'real'],
  programs: ['qemu-io'],
  poolBytes: gibibyte,
  timeoutMs: 240_000,
  run: async (site) => {
    await site.createClaim('good', '64Mi');
    await site.fill('good', 0x41, '0 1M');
    await site.kubectl.apply([snapshotManifest('good-snapshot', 'good')]);
    await site.kubectl.waitReady('good-snapshot');

    const accepted: BadClaim[] = [];
    for (const claim of badClaims) {
      if (await isAccepted(site, claim)) accepted.push(claim);
    }
    for (const claim of accepted) await expectWarning(site, claim);
    const { volumes } = await site.daemon.content();
    assert.equal(volumes.length, 1, 'the daemon holds the good volume and no other');
    for (const claim of accepted) await expectPending(site, claim);
    await expectMendable(site);
  },
};

/** Applies it; when the API server refuses it, the refusal must explain. */
async function isAccepted(site: Site, claim: BadClaim): Promise<boolean> {
  const manifest = claimManifest(claim.name, claim.size) as { spec: Record<string, unknown> };
  manifest.spec[claim.field] = claim.source;
  const result = await site.kubectl.try(['apply', '-f', '-'], { input: JSON.stringify(manifest) });
  if (result.code === 0) return true;
  site.note(`${claim.what}: refused: ${result.stderr.trim()}`);
  assert.ok(result.stderr.includes(claim.field), `the refusal explains: ${result.stderr}`);
  return false;
}

interface Event extends KubernetesObject {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly involvedObject: { readonly kind: string; readonly name: string };
}

async function expectWarning(site: Site, claim: BadClaim): Promise<void> {
  const event = await waitUntil(
    `a warning event on the claim with ${claim.what}`,
    async () =>
      (await site.kubectl.list<Event>('events')).find(
        ({ type, involvedObject, message }) =>
          type === 'Warning' &&
          involvedObject.kind === 'PersistentVolumeClaim' &&
          involvedObject.name === claim.name &&
          message.includes(claim.mentions),
      ),
    { timeoutMs: eventTimeoutMs, intervalMs: 300 },
  );
  site.note(`${claim.what}: ${event.reason}: ${event.message}`);
}

async function expectPending(site: Site, claim: BadClaim): Promise<void> {
  const { status } = await site.kubectl.get<
    KubernetesObject & { readonly status: { readonly phase: string } }
  >('pvc', claim.name);
  assert.equal(status.phase, 'Pending', `the claim with ${claim.what} stays Pending`);
}

/** What was missing may come later: the claim waits for it, and then gets the right bytes. */
async function expectMendable(site: Site): Promise<void> {
  await site.kubectl.apply([snapshotManifest('no-such-snapshot', 'good')]);
  await site.kubectl.waitReady('no-such-snapshot');
  await site.kubectl.waitBound('missing-snapshot', 120);
  await site.expectFilled('missing-snapshot', 0x41, '0 1M');
}
