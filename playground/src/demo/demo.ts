/**
 * `npm start -- --demo`: plays the snapshot page by itself, in a namespace of its own, and checks every step. Each
 * step says what holds now; the first one that does not hold ends the demo.
 */
import { styleText } from 'node:util';
import { readPath, textOf, type JsonObject } from '../api-server/objects/json.ts';
import { nameOf, type ObjectManifest } from '../cluster/cluster-client.ts';
import { claimName } from '../playground/page-objects.ts';
import type { Playground, Tell } from '../playground/playground.ts';
import { readPageManifest } from './page-manifests.ts';
import { fingerprint, paint, type Stroke } from './volume-contents.ts';
import { formatBytes, formatVolumeTree } from './volume-tree.ts';

const namespace = 'demo';
const stepTimeoutMs = 60_000;
const mebibyte = 1024 * 1024;

const monday: readonly Stroke[] = [
  { pattern: 'monday', offsetBytes: 0, lengthBytes: 48 * mebibyte },
  { pattern: 'monday, far out', offsetBytes: 200 * mebibyte, lengthBytes: 4 * mebibyte },
];
/** Overlaps what was written on Monday, and goes beyond. */
const tuesday: readonly Stroke[] = [
  { pattern: 'tuesday', offsetBytes: 40 * mebibyte + 4096, lengthBytes: 16 * mebibyte },
];
const wednesday: readonly Stroke[] = [
  { pattern: 'wednesday', offsetBytes: 8 * mebibyte, lengthBytes: 8 * mebibyte },
];

/** Plays the page. Resolves to whether everything held. */
export async function playDemo(playground: Playground, tell: Tell): Promise<boolean> {
  const demo = new Demo(playground, tell);
  try {
    await demo.play();
    tell(styleText('green', 'Everything held.'));
    return true;
  } catch (error) {
    tell(styleText('red', `✗ ${error instanceof Error ? error.message : String(error)}`));
    return false;
  }
}

type Manifest = JsonObject & ObjectManifest;

class Demo {
  readonly #playground: Playground;
  readonly #tell: Tell;
  readonly #snapshot: Manifest = readPageManifest('volume-snapshot', namespace);
  readonly #restored: Manifest = readPageManifest('restored-claim', namespace);
  readonly #pod: Manifest = readPageManifest('restored-pod', namespace);

  constructor(playground: Playground, tell: Tell) {
    this.#playground = playground;
    this.#tell = tell;
  }

  async play(): Promise<void> {
    await this.#clearUp();
    const usedBefore = await this.#usedBytes();
    const source = await this.#makeSource();
    const taken = await this.#takeSnapshot(source);
    const onTuesday = await this.#overwrite(source, tuesday, 'Tuesday');
    this.#expectOther(onTuesday, taken.fingerprint, 'the source by being overwritten');
    const restored = await this.#restore(taken);
    this.#expect(await this.#read(source), onTuesday, 'the source still holds its own bytes');
    await this.#usePod();
    this.#tell(`\n${await formatVolumeTree(this.#playground.daemon)}\n`);
    const onWednesday = await this.#overwrite(
      restored,
      wednesday,
      'Wednesday, into the restored volume',
    );
    this.#expectOther(onWednesday, taken.fingerprint, 'the restored volume by being overwritten');
    this.#expect(
      await this.#read(taken.exportName),
      taken.fingerprint,
      'the snapshot did not notice',
    );
    this.#expect(await this.#read(source), onTuesday, 'neither did the source');
    await this.#crash();
    this.#expect(await this.#read(source), onTuesday, 'the source holds its bytes after the crash');
    this.#expect(await this.#read(restored), onWednesday, 'so does the restored volume');
    await this.#deleteHostile(taken, restored, onWednesday);
    await this.#expectEmpty(usedBefore);
  }

  /** An earlier demo may have been cut short. */
  async #clearUp(): Promise<void> {
    const { cluster } = this.#playground;
    const space: Manifest = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
    await cluster.remove(nameOf(space));
    await this.#waitGone(space, 'the namespace of an earlier demo to go');
    await cluster.apply(space);
  }

  async #makeSource(): Promise<string> {
    await this.#playground.providePage(namespace);
    const source = await this.#exportOfClaim(claimName);
    await this.#paint(source, monday);
    this.#hold(`${claimName} is bound, and holds what was written on Monday (52 MiB of 256 MiB)`);
    return source;
  }

  async #takeSnapshot(source: string): Promise<{ exportName: string; fingerprint: string }> {
    const atTheCut = await this.#read(source);
    const startedMs = performance.now();
    await this.#playground.cluster.apply(this.#snapshot);
    const ready = await this.#waitFor(
      this.#snapshot,
      'the snapshot to be ready',
      (object) => readPath(object, 'status', 'readyToUse') === true,
    );
    const tookMs = Math.round(performance.now() - startedMs);
    const contentName = textOf(readPath(ready, 'status', 'boundVolumeSnapshotContentName'));
    const content = await this.#playground.cluster.find({
      apiVersion: 'snapshot.storage.k8s.io/v1',
      kind: 'VolumeSnapshotContent',
      name: contentName,
    });
    const handle = textOf(readPath(content, 'status', 'snapshotHandle'));
    const exportName = `snapshot/${handle.slice(handle.indexOf('/') + 1)}`;
    this.#hold(`docs/examples/volume-snapshot.yaml applied; ready to use after ${tookMs} ms`);
    this.#expect(await this.#read(exportName), atTheCut, 'the snapshot holds the bytes of the cut');
    return { exportName, fingerprint: atTheCut };
  }

  async #overwrite(exportName: string, strokes: readonly Stroke[], day: string): Promise<string> {
    await this.#paint(exportName, strokes);
    const lengthBytes = strokes.reduce((sum, stroke) => sum + stroke.lengthBytes, 0);
    this.#hold(`${formatBytes(lengthBytes)} overwritten on ${day}`);
    return this.#read(exportName);
  }

  async #restore(taken: { fingerprint: string }): Promise<string> {
    const startedMs = performance.now();
    await this.#playground.cluster.apply(this.#restored);
    const exportName = await this.#exportOfClaim(this.#restored.metadata.name);
    const tookMs = Math.round(performance.now() - startedMs);
    this.#hold(`docs/examples/restored-claim.yaml applied; bound after ${tookMs} ms`);
    this.#expect(
      await this.#read(exportName),
      taken.fingerprint,
      'the restored volume holds exactly the bytes of the cut',
    );
    return exportName;
  }

  async #usePod(): Promise<void> {
    await this.#playground.cluster.apply(this.#pod);
    await this.#waitFor(
      this.#pod,
      'the pod to be told that there is no kubelet',
      (object) =>
        readPath(object, 'status', 'phase') === 'Pending' &&
        readPath(object, 'status', 'conditions') !== undefined,
    );
    this.#hold('docs/examples/restored-pod.yaml applied; the pod stays Pending, an event says why');
  }

  /** What was flushed must survive the daemon's death at any instant. */
  async #crash(): Promise<void> {
    const { storaged, daemon } = this.#playground;
    const { pid } = storaged;
    storaged.kill();
    const deadlineMs = Date.now() + stepTimeoutMs;
    for (;;) {
      try {
        if (storaged.pid !== undefined && storaged.pid !== pid) {
          await daemon.getReadiness({ timeoutMs: 2000 });
          break;
        }
      } catch (error) {
        if (Date.now() > deadlineMs) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    this.#hold('varve-storaged was killed (kill -9), and serves again');
  }

  /** The source while its snapshot lives, the snapshot while its clone lives, the clone last. */
  async #deleteHostile(
    taken: { exportName: string; fingerprint: string },
    restored: string,
    onWednesday: string,
  ): Promise<void> {
    const { cluster } = this.#playground;
    const source: Manifest = {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: claimName, namespace },
    };
    await cluster.remove(nameOf(source));
    await this.#waitGone(source, 'the source claim to go');
    this.#hold('the source is deleted first');
    this.#expect(await this.#read(taken.exportName), taken.fingerprint, 'its snapshot lives on');
    await cluster.remove(nameOf(this.#snapshot));
    await this.#waitGone(this.#snapshot, 'the snapshot to go');
    this.#hold('the snapshot is deleted while a volume that was made from it lives');
    this.#expect(await this.#read(restored), onWednesday, 'the restored volume lives on');
    await cluster.remove(nameOf(this.#pod));
    await cluster.remove(nameOf(this.#restored));
    await this.#waitGone(this.#restored, 'the restored claim to go');
    this.#hold('pod and restored claim are deleted last');
  }

  /** Nothing is left in the cluster or the daemon, and the space is free again. */
  async #expectEmpty(usedBefore: number): Promise<void> {
    const space: Manifest = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
    await this.#playground.cluster.remove(nameOf(space));
    await this.#waitGone(space, 'the namespace to go');
    const deadlineMs = Date.now() + stepTimeoutMs;
    let used = await this.#usedBytes();
    while (used > usedBefore && Date.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      used = await this.#usedBytes();
    }
    if (used > usedBefore) throw new Error(`${formatBytes(used - usedBefore)} were not freed`);
    this.#hold('nothing is left: no object, no volume, no snapshot, and all space is free again');
    this.#tell(`\n${await formatVolumeTree(this.#playground.daemon)}\n`);
  }

  /** Bytes of data, and of data that is still to be freed. */
  async #usedBytes(): Promise<number> {
    let usedBytes = 0;
    for await (const pool of this.#playground.daemon.allPools()) {
      usedBytes += pool.allocatedBytes - pool.metadataBytes;
    }
    return usedBytes;
  }

  async #exportOfClaim(name: string): Promise<string> {
    const claim = await this.#playground.waitBound(namespace, name);
    const { volumeId } = await this.#playground.volumeOf(claim);
    return `volume/${volumeId}`;
  }

  async #waitFor(
    object: Manifest,
    what: string,
    isReached: (object: JsonObject | undefined) => boolean,
  ): Promise<JsonObject | undefined> {
    return this.#playground.cluster.waitFor(nameOf(object), {
      what,
      isReached,
      timeoutMs: stepTimeoutMs,
    });
  }

  async #waitGone(object: Manifest, what: string): Promise<void> {
    await this.#waitFor(object, what, (found) => found === undefined);
  }

  async #paint(exportName: string, strokes: readonly Stroke[]): Promise<void> {
    await paint(this.#playground.folder.nbdSocket, exportName, strokes);
  }

  async #read(exportName: string): Promise<string> {
    return fingerprint(this.#playground.folder.nbdSocket, exportName);
  }

  #expect(found: string, wanted: string, what: string): void {
    if (found !== wanted) {
      throw new Error(`It does not hold that ${what}: SHA-256 is ${found}, not ${wanted}`);
    }
    this.#hold(`${what} (SHA-256 ${wanted.slice(0, 12)}...)`);
  }

  #expectOther(found: string, earlier: string, what: string): void {
    if (found === earlier) throw new Error(`It does not hold that ${what} changed`);
  }

  #hold(what: string): void {
    this.#tell(`${styleText('green', '✓')} ${what}`);
  }
}
