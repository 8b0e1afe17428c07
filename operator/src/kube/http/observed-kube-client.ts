import type {
  DeleteOptions,
  KubeClient,
  ListOptions,
  ObjectList,
  Patch,
  WatchEvent,
  WatchOptions,
  WriteObserver,
  WriteOptions,
} from '../kube-client.ts';
import type { Draft, KubernetesObject, ObjectName } from '../kubernetes-object.ts';
import type { Resource } from '../resource.ts';

/** A client that tells an observer of every object that a write returned. Controllers get this one. */
export class ObservedKubeClient implements KubeClient {
  readonly #client: KubeClient;
  readonly #observer: WriteObserver;

  constructor(client: KubeClient, observer: WriteObserver) {
    this.#client = client;
    this.#observer = observer;
  }

  async get<T extends KubernetesObject>(resource: Resource<T>, name: ObjectName): Promise<T> {
    return this.#observe(resource, await this.#client.get(resource, name));
  }

  async list<T extends KubernetesObject>(
    resource: Resource<T>,
    options?: ListOptions,
  ): Promise<ObjectList<T>> {
    return this.#client.list(resource, options);
  }

  async create<T extends KubernetesObject>(resource: Resource<T>, object: Draft<T>): Promise<T> {
    return this.#observe(resource, await this.#client.create(resource, object));
  }

  async replace<T extends KubernetesObject>(
    resource: Resource<T>,
    object: T,
    options?: WriteOptions,
  ): Promise<T> {
    return this.#observe(resource, await this.#client.replace(resource, object, options));
  }

  async patch<T extends KubernetesObject>(
    resource: Resource<T>,
    name: ObjectName,
    patch: Patch,
    options?: WriteOptions,
  ): Promise<T> {
    return this.#observe(resource, await this.#client.patch(resource, name, patch, options));
  }

  async delete(resource: Resource, name: ObjectName, options?: DeleteOptions): Promise<void> {
    await this.#client.delete(resource, name, options);
  }

  watch(resource: Resource, options: WatchOptions): AsyncIterable<WatchEvent> {
    return this.#client.watch(resource, options);
  }

  #observe<T extends KubernetesObject>(resource: Resource<T>, object: T): T {
    this.#observer.observeWrite(resource, object);
    return object;
  }
}
