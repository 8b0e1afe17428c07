import type {
  DeleteOptions,
  KubeClient,
  ListOptions,
  ObjectList,
  Patch,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from '../kube/kube-client.ts';
import type { Draft, KubernetesObject, ObjectName } from '../kube/kubernetes-object.ts';
import type { Resource } from '../kube/resource.ts';
import { RoleLostError, type SnapshotRoleView } from './snapshot-role.ts';

/** A client that writes only while the role of the snapshot controller is ours: also in the middle of a pass. */
export class FencedKubeClient implements KubeClient {
  readonly #client: KubeClient;
  readonly #role: SnapshotRoleView;

  constructor(client: KubeClient, role: SnapshotRoleView) {
    this.#client = client;
    this.#role = role;
  }

  async get<T extends KubernetesObject>(resource: Resource<T>, name: ObjectName): Promise<T> {
    return this.#client.get(resource, name);
  }

  async list<T extends KubernetesObject>(
    resource: Resource<T>,
    options?: ListOptions,
  ): Promise<ObjectList<T>> {
    return this.#client.list(resource, options);
  }

  async create<T extends KubernetesObject>(resource: Resource<T>, object: Draft<T>): Promise<T> {
    this.#check();
    return this.#client.create(resource, object);
  }

  async replace<T extends KubernetesObject>(
    resource: Resource<T>,
    object: T,
    options?: WriteOptions,
  ): Promise<T> {
    this.#check();
    return this.#client.replace(resource, object, options);
  }

  async patch<T extends KubernetesObject>(
    resource: Resource<T>,
    name: ObjectName,
    patch: Patch,
    options?: WriteOptions,
  ): Promise<T> {
    this.#check();
    return this.#client.patch(resource, name, patch, options);
  }

  async delete(resource: Resource, name: ObjectName, options?: DeleteOptions): Promise<void> {
    this.#check();
    await this.#client.delete(resource, name, options);
  }

  watch(resource: Resource, options: WatchOptions): AsyncIterable<WatchEvent> {
    return this.#client.watch(resource, options);
  }

  #check(): void {
    if (this.#role.state === 'ours') return;
    throw new RoleLostError('The role of the snapshot controller is not ours any more');
  }
}
