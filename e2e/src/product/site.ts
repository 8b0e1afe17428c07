/**
 * What one test works with: a namespace of a cluster, a storage daemon on a pool file of its own and the
 * operator, each a real process. Nothing is shared with other tests but the cluster, so each test can be run
 * alone, and what it leaves behind is its own fault.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../clusters/cluster.ts';
import { waitUntil } from '../process/wait-until.ts';
import type { SeededRandom } from '@varve/storage-daemon/testing/seeded-random';
import type { Kubectl, KubernetesObject } from './kubectl.ts';
import { claimManifest, classManifests } from './manifests.ts';
import { exportUri, qemuIoOk } from './nbd-clients.ts';
import { OperatorProcess } from './operator-process.ts';
import { StorageDaemon } from './storage-daemon.ts';

/** Background work of a pool of a few GiB takes well under a second. */
const drainTimeoutMs = 60_000;
const deleteTimeoutMs = 120_000;
const cleanExit = { code: 0, signal: null };

/** What a site is made of. */
export interface SiteOptions {
  readonly cluster: Cluster;
  readonly operatorKubeconfig: string;
  readonly kubectl: Kubectl;
  readonly directory: string;
  readonly poolBytes: number;
  /** Paths of the tools that were built, by name. */
  readonly tools: ReadonlyMap<string, string>;
  readonly random: SeededRandom;
  /** Adds a line to the report of the test: figures, and what programs answered. */
  readonly note: (line: string) => void;
}

interface PersistentVolume extends KubernetesObject {
  readonly spec: { readonly csi?: { readonly driver: string; readonly volumeHandle: string } };
}

interface SnapshotContent extends KubernetesObject {
  readonly spec: { readonly volumeSnapshotRef: { readonly namespace: string } };
}

/** Everything that one test needs. */
export class Site {
  readonly cluster: Cluster;
  readonly kubectl: Kubectl;
  readonly directory: string;
  readonly tools: ReadonlyMap<string, string>;
  readonly random: SeededRandom;
  readonly note: (line: string) => void;
  readonly daemon: StorageDaemon;
  readonly operator: OperatorProcess;

  private constructor(options: SiteOptions) {
    this.cluster = options.cluster;
    this.kubectl = options.kubectl;
    this.directory = options.directory;
    this.tools = options.tools;
    this.random = options.random;
    this.note = options.note;
    this.daemon = new StorageDaemon({
      name: options.kubectl.namespace,
      directory: options.directory,
      poolBytes: options.poolBytes,
    });
    this.operator = new OperatorProcess({
      kubeconfig: options.operatorKubeconfig,
      directory: options.directory,
    });
  }

  /** Starts daemon and operator, and tells the cluster of them as an administrator does. */
  static async open(options: SiteOptions): Promise<Site> {
    mkdirSync(options.directory, { recursive: true });
    const site = new Site(options);
    try {
      await site.daemon.start();
      await site.daemon.createPool();
      await site.kubectl.apply([
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name: site.kubectl.namespace } },
      ]);
      site.operator.start();
      await site.#waitForKinds();
      await site.kubectl.apply([...classManifests(), site.daemon.manifest()]);
      await site.kubectl.wait(`storagedaemon/${site.daemon.name}`, 'condition=Ready');
      return site;
    } catch (error) {
      await site.destroy();
      throw error;
    }
  }

  /** Makes an empty claim and waits until it is bound. */
  async createClaim(name: string, size: string): Promise<void> {
    await this.kubectl.apply([claimManifest(name, size)]);
    await this.kubectl.waitBound(name);
  }

  /** The daemon's id of the volume behind a bound claim. */
  async volumeOf(claim: string): Promise<string> {
    const { spec } = await this.kubectl.get<
      KubernetesObject & { readonly spec: { readonly volumeName: string } }
    >('pvc', claim);
    const volume = await this.kubectl.get<PersistentVolume>('pv', spec.volumeName);
    const handle = volume.spec.csi?.volumeHandle ?? '';
    const [daemon, id] = handle.split('/');
    assert.equal(daemon, this.daemon.name, `the volume handle "${handle}" names the daemon`);
    assert.ok(id !== undefined && id !== '', `the volume handle "${handle}" names a volume`);
    return id;
  }

  /** The NBD address of the volume behind a bound claim. */
  async uriOf(claim: string): Promise<string> {
    return exportUri(this.daemon.nbdSocket, `volume/${await this.volumeOf(claim)}`);
  }

  /** The contents of the snapshots of this site's namespace. */
  async snapshotContents(): Promise<readonly KubernetesObject[]> {
    const contents = await this.kubectl.list<SnapshotContent>('volumesnapshotcontents');
    return contents.filter(
      (content) => content.spec.volumeSnapshotRef.namespace === this.kubectl.namespace,
    );
  }

  /** Fills a part of a claim's volume with one byte value, durably. */
  async fill(claim: string, pattern: number, range: string): Promise<void> {
    await qemuIoOk(await this.uriOf(claim), [`write -P ${pattern} ${range}`, 'flush']);
  }

  /** Demands that a part of a claim's volume holds one byte value. */
  async expectFilled(claim: string, pattern: number, range: string): Promise<void> {
    const options = { readOnly: true };
    await qemuIoOk(await this.uriOf(claim), [`read -P ${pattern} ${range}`], options);
  }

  /** Deletes all that the test made, as a user would, and demands that nothing is left anywhere. */
  async close(): Promise<void> {
    for (const resource of ['pods', 'pvc', 'volumesnapshots']) {
      await this.kubectl.deleteAll(resource, deleteTimeoutMs);
    }
    await this.expectNothingLeft();
    await this.kubectl.delete('storagedaemon', this.daemon.name);
    await this.kubectl.run(['delete', 'namespace', this.kubectl.namespace, '--timeout=120s'], {
      timeoutMs: 150_000,
    });
    const operatorExit = await this.operator.stop();
    assert.deepEqual(operatorExit, cleanExit, `the operator stops cleanly`);
    const daemonExit = await this.daemon.stop();
    assert.deepEqual(daemonExit, cleanExit, `the daemon stops cleanly`);
    await this.daemon.expectCleanPool();
  }

  /** Demands that neither the cluster nor the daemon holds anything, and that all space is free. */
  async expectNothingLeft(): Promise<void> {
    await waitUntil(
      'the cluster to hold no volume and no snapshot content of ours',
      async () => {
        const volumes = (await this.kubectl.list<PersistentVolume>('pv')).filter((volume) =>
          volume.spec.csi?.volumeHandle.startsWith(`${this.daemon.name}/`),
        );
        const left = [...volumes, ...(await this.snapshotContents())].map(
          (object) => object.metadata.name,
        );
        if (left.length > 0) throw new Error(`left: ${left.join(', ')}`);
        return true;
      },
      { timeoutMs: drainTimeoutMs, intervalMs: 300 },
    );
    await this.daemon.expectEmpty(drainTimeoutMs);
  }

  /**
   * Ends the processes without any check, and takes the daemon out of the cluster as well as it goes: after a
   * failure.
   */
  async destroy(): Promise<void> {
    await this.kubectl.try(['delete', 'storagedaemon', this.daemon.name, '--wait=false']);
    await this.operator.kill();
    await this.daemon.kill();
  }

  /** What a failed test shows: the ends of the logs, and what the cluster says. */
  async explain(): Promise<string> {
    const events = await this.kubectl.try(['get', 'events', '--sort-by=.lastTimestamp']);
    const objects = await this.kubectl.try(['get', 'pvc,pv,volumesnapshots,storagedaemons']);
    return [
      this.daemon.logTail(),
      this.operator.logTail(),
      this.cluster.logTails(),
      `--- objects\n${objects.stdout}${objects.stderr}`,
      `--- events\n${events.stdout.split('\n').slice(-25).join('\n')}${events.stderr}`,
      `--- logs are in ${join(this.directory)}`,
    ].join('\n');
  }

  /** The operator installs the snapshot kinds where the cluster has none. */
  async #waitForKinds(): Promise<void> {
    await this.operator.waitUntil('the snapshot kinds and StorageDaemon to be served', async () => {
      const { code } = await this.kubectl.try([
        'get',
        'volumesnapshots,volumesnapshotclasses,volumesnapshotcontents,storagedaemons',
      ]);
      return code === 0 ? true : undefined;
    });
  }
}
