/**
 * fio writes and checks without pause while snapshots come and go and the daemon is killed again and again.
 *
 * Two halves, since kill -9 has two promises to keep. In the first, fio's client reconnects, every write is
 * acknowledged only when it is durable (FUA), and one fio run lives through several deaths of the daemon:
 * nothing that was acknowledged may be missing or old. In the second, fio is connected directly and writes are
 * only durable once flushed: what was flushed before the death must be there after it, while another fio was
 * writing elsewhere in the volume.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from '../process/wait-until.ts';
import { snapshotManifest } from '../product/manifests.ts';
import { contentDigest, exportUri } from '../product/nbd-clients.ts';
import { expectFioPasses, runFio, startFio, type FioOptions } from '../product/fio.ts';
import { ReconnectingBridge } from '../product/reconnecting-bridge.ts';
import type { Site } from '../product/site.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';

const gibibyte = 2 ** 30;
const killCount = 20;
const directRoundCount = 5;
/** One fio run takes 8 s of writing at its rate, long enough for two or three deaths. */
const runSizeMib = 64;
const runRateMib = 8;
const fioTimeoutMs = 120_000;
const reconnectTimeoutMs = 60_000;
/** Snapshots that exist at the same time. */
const snapshotsKept = 3;

/** fio with crc32c over snapshots each second and kill -9. */
export const fioUnderCrashesTest: EndToEndTest = {
  name: 'fio-under-crashes',
  summary: `fio verifies every block across ${killCount} kill -9 of the daemon and a snapshot each second`,
  clusters: ['embedded', 'real'],
  programs: ['fio', 'qemu-nbd', 'qemu-io', 'nbdcopy'],
  poolBytes: 4 * gibibyte,
  timeoutMs: 900_000,
  run: async (site) => {
    await site.createClaim('fio', '256Mi');
    await site.fill('fio', 0x71, '200M 4M');
    await site.kubectl.apply([snapshotManifest('before', 'fio')]);
    await site.kubectl.waitReady('before');
    const { uid } = (await site.kubectl.get('volumesnapshot', 'before')).metadata;
    const before = exportUri(site.daemon.nbdSocket, `snapshot/snapshot-${uid}`);
    const digestBefore = await contentDigest(before);

    const ended = new AbortController();
    const snapshots = keepSnapshotting(site, ended.signal);
    try {
      await verifyThroughCrashes(site);
      await verifyFlushedAfterCrash(site);
    } finally {
      ended.abort();
    }
    site.note(`${await snapshots} snapshots taken and deleted meanwhile`);
    assert.equal(await contentDigest(before), digestBefore, 'the first snapshot is unchanged');
  },
};

/** First half: one reconnecting client, all writes durable when acknowledged. */
async function verifyThroughCrashes(site: Site): Promise<void> {
  const bridge = await ReconnectingBridge.start({
    directory: site.directory,
    daemonSocket: site.daemon.nbdSocket,
    exportName: `volume/${await site.volumeOf('fio')}`,
  });
  const lastKill = new AbortController();
  const killed = killRepeatedly(site).finally(() => lastKill.abort());
  let runs = 0;
  try {
    while (!lastKill.signal.aborted) {
      runs += 1;
      const fio = startFio({ ...regionOf(site, runs), uri: bridge.uri, rateMib: runRateMib });
      await expectFioPasses(fio, fioTimeoutMs);
    }
  } finally {
    await killed;
    await bridge.stop();
  }
  site.note(`${killCount} kill -9 of the daemon during ${runs} runs of fio: all blocks verified`);
}

function regionOf(site: Site, run: number): FioOptions {
  return {
    name: `run-${run}`,
    uri: '',
    directory: site.directory,
    offsetMib: 0,
    sizeMib: runSizeMib,
    mode: 'write-and-verify',
    seed: run,
  };
}

/** Each kill comes at a random moment after the client is back, so each of them hits I/O under way. */
async function killRepeatedly(site: Site): Promise<void> {
  const volume = await site.volumeOf('fio');
  for (let count = 0; count < killCount; count++) {
    await waitUntil(
      'the client to be connected',
      async () => {
        const { connections } = await site.daemon.client.getVolume(volume);
        return connections > 0 ? true : undefined;
      },
      { timeoutMs: reconnectTimeoutMs, explain: () => site.daemon.logTail() },
    );
    await sleep(site.random.between(100, 1200));
    await site.daemon.kill();
    await site.daemon.start();
  }
}

/** Second half: a direct client, and only what it flushed counts. */
async function verifyFlushedAfterCrash(site: Site): Promise<void> {
  const uri = await site.uriOf('fio');
  for (let round = 1; round <= directRoundCount; round++) {
    const flushed: FioOptions = {
      name: `flushed-${round}`,
      uri,
      directory: site.directory,
      offsetMib: 0,
      sizeMib: 32,
      mode: 'write',
      seed: 1000 + round,
    };
    await runFio(flushed, fioTimeoutMs);
    const interrupted = startFio({
      ...flushed,
      name: `interrupted-${round}`,
      offsetMib: 64,
      sizeMib: 128,
      rateMib: 32,
    });
    await sleep(site.random.between(500, 1500));
    await site.daemon.kill();
    // Without its server, fio's NBD engine sometimes ends with an error and sometimes spins.
    await interrupted.kill();
    await site.daemon.start();
    await runFio({ ...flushed, mode: 'verify' }, fioTimeoutMs);
  }
  site.note(`${directRoundCount} more kill -9 under direct writes: all flushed blocks verified`);
}

/** Takes a snapshot each second and deletes older ones, until the signal; returns how many. */
async function keepSnapshotting(site: Site, signal: AbortSignal): Promise<number> {
  let count = 0;
  while (!signal.aborted) {
    count += 1;
    await site.kubectl.apply([snapshotManifest(`tick-${count}`, 'fio')]);
    if (count > snapshotsKept) {
      const oldest = `tick-${count - snapshotsKept}`;
      await site.kubectl.run(['delete', 'volumesnapshot', oldest, '--wait=false']);
    }
    await sleep(1000, undefined, { signal }).catch(() => undefined);
  }
  return count;
}
