/** Deletes the content of deleted namespaces, and lets each go when it is empty (kube's namespace controller). */
import { formatTime, isTerminating, type ApiObject } from '../api-server/objects/api-object.ts';
import { asObject } from '../api-server/objects/json.ts';
import type { ServerState } from '../api-server/operations/server-state.ts';
import { finalizeNamespace } from '../api-server/operations/finalize-namespace.ts';
import type { Change } from '../api-server/storage/change.ts';
import { storageKeys, type ClusterAccess } from './cluster-access.ts';
import type { KubeController } from './controller-runner.ts';

/** Keys are names of namespaces. */
export class NamespaceDeletion implements KubeController {
  readonly name = 'namespace';
  readonly #state: ServerState;
  readonly #cluster: ClusterAccess;

  constructor(state: ServerState, cluster: ClusterAccess) {
    this.#state = state;
    this.#cluster = cluster;
  }

  initialKeys(): string[] {
    return this.#cluster
      .list(storageKeys.namespaces)
      .filter((namespace) => isTerminating(namespace))
      .map((namespace) => namespace.metadata.name);
  }

  keysOf(change: Change): string[] {
    if (change.storageKey === storageKeys.namespaces) return [change.objectKey];
    const { namespace } = change.object.metadata;
    return change.type === 'DELETED' && namespace !== undefined ? [namespace] : [];
  }

  reconcile(key: string): void {
    const namespace = this.#cluster.get(storageKeys.namespaces, key);
    if (namespace === undefined || !isTerminating(namespace)) return;
    const remaining = this.#deleteContent(key);
    if (remaining.length > 0) {
      this.#tellRemaining(namespace, remaining);
      return;
    }
    const definition = this.#state.registry.find('', 'v1', 'namespaces');
    if (definition === undefined) return;
    const target = { definition, namespace: undefined, name: key };
    finalizeNamespace(this.#state, target, { spec: { finalizers: [] } });
  }

  /** Deletes everything in the namespace; returns what is held by finalizers, as `count resource`. */
  #deleteContent(namespace: string): string[] {
    return this.#cluster
      .definitions()
      .filter((definition) => definition.isNamespaced)
      .flatMap((definition) => {
        for (const object of this.#cluster.list(definition.storageKey, namespace)) {
          if (!isTerminating(object)) this.#cluster.remove(definition, object);
        }
        const { length } = this.#cluster.list(definition.storageKey, namespace);
        return length === 0 ? [] : [`${definition.storageKey} has ${length} resource instances`];
      });
  }

  #tellRemaining(namespace: ApiObject, remaining: readonly string[]): void {
    const message = `Some resources are remaining: ${remaining.join(', ')}`;
    this.#cluster.changeStatus(storageKeys.namespaces, namespace, (draft) => {
      const status = asObject(draft['status']);
      const previous = asObject((status['conditions'] as readonly unknown[] | undefined)?.[0]);
      if (previous['message'] === message) return;
      const condition = {
        type: 'NamespaceContentRemaining',
        status: 'True',
        lastTransitionTime: formatTime(this.#cluster.now),
        reason: 'SomeResourcesRemain',
        message,
      };
      draft['status'] = { ...status, conditions: [condition] };
    });
  }
}
