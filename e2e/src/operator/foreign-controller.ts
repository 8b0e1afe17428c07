import type { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '@varve/common/clock';
import { silentLogger } from '@varve/common/logger';
import { ObjectStore } from '@varve/operator/kube/cache/object-store';
import { Reflector, reflectorDefaults } from '@varve/operator/kube/cache/reflector';
import { ApiConnection, apiConnectionDefaults } from '@varve/operator/kube/http/api-connection';
import { RestKubeClient, restKubeClientDefaults } from '@varve/operator/kube/http/rest-kube-client';
import { KubeMetrics } from '@varve/operator/kube/kube-metrics';
import { volumeSnapshots } from '@varve/operator/kube/resource';
import type { VolumeSnapshot } from '@varve/operator/kube/snapshot-kinds';
import { Registry } from 'prom-client';

const asSource = 'snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection';
const canaryLabel = 'varve.dev/canary';

/**
 * The part of the upstream snapshot-controller by which others notice it: the finalizer that it puts on every
 * snapshot, takes away again from those that are deleted, and its name beside what it wrote.
 */
export class ForeignController {
  answeredCanaryCount = 0;
  readonly #connection: ApiConnection;
  readonly #client: RestKubeClient;
  readonly #metrics = new KubeMetrics(new Registry());
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  constructor(kubeConfig: KubeConfig) {
    this.#connection = new ApiConnection(
      { ...apiConnectionDefaults, kubeConfig, userAgent: 'snapshot-controller' },
      { clock: systemClock },
    );
    this.#client = new RestKubeClient(
      { ...restKubeClientDefaults, fieldManager: 'snapshot-controller' },
      { connection: this.#connection, clock: systemClock, metrics: this.#metrics },
    );
  }

  /** Works on all snapshots from now on. */
  start(): void {
    const store = new ObjectStore<VolumeSnapshot>();
    store.addListener((change) => {
      if (change.type !== 'deleted') void this.#answer(change.object);
    });
    const reflector = new Reflector(
      { ...reflectorDefaults, resource: volumeSnapshots },
      {
        client: this.#client,
        store,
        clock: systemClock,
        log: silentLogger(),
        metrics: this.#metrics,
      },
    );
    this.#running = reflector.run(this.#stop.signal);
  }

  /** Writes to a snapshot, as if it had been changed. */
  async touch(name: string): Promise<void> {
    const body = { metadata: { annotations: { 'example.dev/touched': 'yes' } } };
    await this.#client.patch(
      volumeSnapshots,
      { namespace: 'default', name },
      { type: 'merge', body },
    );
  }

  /** Ends; what it put on snapshots stays. May be called twice. */
  async stop(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    await this.#running;
    await this.#connection.close();
  }

  async #answer({ metadata }: VolumeSnapshot): Promise<void> {
    const { namespace, name, resourceVersion, finalizers = [] } = metadata;
    const isHeld = finalizers.includes(asSource);
    const isDeleted = metadata.deletionTimestamp !== undefined;
    if (isHeld !== isDeleted) return;
    const others = finalizers.filter((each) => each !== asSource);
    const body = {
      metadata: { resourceVersion, finalizers: isDeleted ? others : [...others, asSource] },
    };
    try {
      await this.#client.patch(volumeSnapshots, { namespace, name }, { type: 'merge', body });
      if (metadata.labels?.[canaryLabel] !== undefined) this.answeredCanaryCount += 1;
    } catch {
      // Somebody was faster: the next event tells how it is now.
    }
  }
}
