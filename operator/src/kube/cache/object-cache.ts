import { assert } from '@varve/common/assert';
import type { Clock } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';
import type { KubeClient, WriteObserver } from '../kube-client.ts';
import type { KubeMetrics } from '../kube-metrics.ts';
import type { KubernetesObject } from '../kubernetes-object.ts';
import type { Lister, Listers, ObjectIndex } from '../lister.ts';
import { ObjectStore } from './object-store.ts';
import { Reflector, reflectorDefaults } from './reflector.ts';
import type { Resource } from '../resource.ts';
import { resourceName } from '../resource.ts';

/** What the cache needs; the client must be the bare one, not the one that reports writes to the cache. */
export interface ObjectCacheDependencies {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: KubeMetrics;
  readonly random?: () => number;
}

interface Reflected {
  readonly store: ObjectStore<KubernetesObject>;
  readonly reflector: Reflector<KubernetesObject>;
}

/**
 * Local copies of all watched resources. Resources and indexes are registered before `start`; stores are
 * shared, so that two controllers that watch one resource cost one watch.
 */
export class ObjectCache implements Listers, WriteObserver {
  readonly #dependencies: ObjectCacheDependencies;
  readonly #reflected = new Map<string, Reflected>();
  readonly #stop = new AbortController();
  #running: Promise<unknown> | undefined;

  constructor(dependencies: ObjectCacheDependencies) {
    this.#dependencies = dependencies;
  }

  /** Watches a resource; a second time does nothing. */
  register<T extends KubernetesObject>(resource: Resource<T>): void {
    assert(this.#running === undefined, `${resourceName(resource)} is registered after the start`);
    const name = resourceName(resource);
    if (this.#reflected.has(name)) return;
    const store = new ObjectStore<KubernetesObject>();
    const reflector = new Reflector(
      { resource, ...reflectorDefaults },
      { ...this.#dependencies, store },
    );
    this.#reflected.set(name, { store, reflector });
  }

  /** Registers the resource of an index, and the index; a second time does nothing. */
  addIndex(index: ObjectIndex): void {
    this.register(index.resource);
    this.storeOf(index.resource).addIndex(index);
  }

  /** The store of a registered resource. */
  storeOf<T extends KubernetesObject>(resource: Resource<T>): ObjectStore<T> {
    const reflected = this.#reflected.get(resourceName(resource));
    assert(reflected !== undefined, `${resourceName(resource)} is not registered`);
    return reflected.store as unknown as ObjectStore<T>;
  }

  of<T extends KubernetesObject>(resource: Resource<T>): Lister<T> {
    return this.storeOf(resource);
  }

  observeWrite(resource: Resource, object: KubernetesObject): void {
    this.#reflected.get(resourceName(resource))?.store.observeWrite(object);
  }

  /** Starts all reflectors. */
  start(): void {
    const { signal } = this.#stop;
    this.#running = Promise.all(
      [...this.#reflected.values()].map(async ({ reflector }) => reflector.run(signal)),
    );
  }

  /** Resolves when every store holds a complete list. */
  async synced(): Promise<void> {
    await Promise.all([...this.#reflected.values()].map(async ({ reflector }) => reflector.synced));
  }

  /** The resources that have not been listed yet, for messages. */
  notSynced(): readonly string[] {
    return [...this.#reflected]
      .filter(([, { reflector }]) => !reflector.hasSynced)
      .map(([name]) => name);
  }

  /** Ends all watches. May be called twice. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
