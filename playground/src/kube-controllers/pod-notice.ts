/** Tells on every pod why it stays Pending: the playground runs none. */
import type { ApiObject } from '../api-server/objects/api-object.ts';
import { formatTime } from '../api-server/objects/api-object.ts';
import { asList, asObject, readPath } from '../api-server/objects/json.ts';
import { objectKey, type Change } from '../api-server/storage/change.ts';
import { storageKeys, type ClusterAccess } from './cluster-access.ts';
import type { KubeController } from './controller-runner.ts';
import type { EventWriter } from './event-writer.ts';

const reason = 'NoKubelet';
const message =
  'The playground has no kubelet: the pod is accepted and stays Pending. ' +
  'Read and write the volumes of its claims over NBD.';

/** Keys are `namespace/name` of pods. */
export class PodNotice implements KubeController {
  readonly name = 'pod-notice';
  readonly #cluster: ClusterAccess;
  readonly #events: EventWriter;

  constructor(cluster: ClusterAccess, events: EventWriter) {
    this.#cluster = cluster;
    this.#events = events;
  }

  initialKeys(): string[] {
    return this.#cluster
      .list(storageKeys.pods)
      .map(({ metadata }) => objectKey(metadata.namespace, metadata.name));
  }

  keysOf(change: Change): string[] {
    return change.storageKey === storageKeys.pods ? [change.objectKey] : [];
  }

  reconcile(key: string): void {
    const pod = this.#cluster.get(storageKeys.pods, key);
    if (pod === undefined || isTold(pod)) return;
    this.#cluster.changeStatus(storageKeys.pods, pod, (draft) => {
      const condition = {
        type: 'PodScheduled',
        status: 'False',
        lastTransitionTime: formatTime(this.#cluster.now),
        reason,
        message,
      };
      draft['status'] = { ...asObject(draft['status']), conditions: [condition] };
    });
    this.#events.write(pod, { type: 'Warning', reason, message });
  }
}

function isTold(pod: ApiObject): boolean {
  return asList(readPath(pod, 'status', 'conditions')).length > 0;
}
