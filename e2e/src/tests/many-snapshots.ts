/** Two hundred VolumeSnapshots at once: how long until all are ready, and how long each waits. */
import assert from 'node:assert/strict';
import { waitUntil } from '../process/wait-until.ts';
import { snapshotManifest } from '../product/manifests.ts';
import { SnapshotWatch } from '../product/snapshot-watch.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';

const gibibyte = 2 ** 30;
const claimCount = 4;
const snapshotCount = 200;
const readyTimeoutMs = 180_000;

/** 200 snapshots of four claims, applied in one go. */
export const manySnapshotsTest: EndToEndTest = {
  name: 'many-snapshots',
  summary: `${snapshotCount} VolumeSnapshots created at once become ready`,
  clusters: ['embedded', 'real'],
  programs: ['qemu-io'],
  poolBytes: 2 * gibibyte,
  timeoutMs: 600_000,
  run: async (site) => {
    const claims = Array.from({ length: claimCount }, (_, index) => `claim-${index + 1}`);
    for (const claim of claims) {
      await site.createClaim(claim, '64Mi');
      await site.fill(claim, 0x21, '0 4M');
    }
    const names = Array.from({ length: snapshotCount }, (_, index) => `many-${index + 1}`);
    const manifests = names.map((name, index) =>
      snapshotManifest(name, claims[index % claimCount] ?? ''),
    );
    const watch = new SnapshotWatch(site.kubectl);
    const startMs = performance.now();
    let appliedMs = 0;
    try {
      await site.kubectl.create(manifests, readyTimeoutMs);
      appliedMs = performance.now() - startMs;
      await waitUntil(
        `${snapshotCount} snapshots to be ready`,
        () => {
          if (watch.readyCount === snapshotCount) return true;
          const state = `the watch was begun again ${watch.restartCount} times`;
          throw new Error(`${watch.readyCount} of ${watch.times.size} seen are ready; ${state}`);
        },
        { timeoutMs: readyTimeoutMs },
      );
    } finally {
      await watch.stop();
    }
    const allReadyMs = performance.now() - startMs;
    const { snapshots } = await site.daemon.content();
    assert.equal(snapshots.length, snapshotCount, 'the daemon holds one snapshot for each');
    site.note(
      `${snapshotCount} snapshots: kubectl create took ${seconds(appliedMs)}, ` +
        `all ready after ${seconds(allReadyMs)}`,
    );
    site.note(`from created to ready: ${formatPercentiles(watch.latenciesMs())}`);
    const deleteMs = performance.now();
    await site.kubectl.deleteAll('volumesnapshots', readyTimeoutMs);
    site.note(`all deleted in ${seconds(performance.now() - deleteMs)}`);
  },
};

function seconds(elapsedMs: number): string {
  return `${(elapsedMs / 1000).toFixed(1)} s`;
}

function formatPercentiles(sortedMs: readonly number[]): string {
  const at = (percent: number): string => {
    const index = Math.min(sortedMs.length - 1, Math.floor((sortedMs.length * percent) / 100));
    return `${Math.round(sortedMs[index] ?? Number.NaN)} ms`;
  };
  return `p50 ${at(50)}, p90 ${at(90)}, p99 ${at(99)}, max ${at(100)}`;
}
