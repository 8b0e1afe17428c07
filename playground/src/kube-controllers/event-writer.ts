/** Writes Events about objects. The same event about the same object is written once: what goes on is no news. */
import { formatTime, type ApiObject } from '../api-server/objects/api-object.ts';
import { readPath, type JsonObject } from '../api-server/objects/json.ts';
import { storageKeys, type ClusterAccess } from './cluster-access.ts';

/** What an Event says. */
export interface EventText {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** Writes the Events of one component. */
export class EventWriter {
  readonly #cluster: ClusterAccess;
  readonly #component: string;
  #lastSuffix = 0n;

  constructor(cluster: ClusterAccess, component: string) {
    this.#cluster = cluster;
    this.#component = component;
  }

  /** Nanoseconds in hex, as client-go names Events; counted on, so that two of one moment differ. */
  #nextSuffix(now: Date): string {
    const wanted = BigInt(now.getTime()) * 1_000_000n;
    this.#lastSuffix = wanted > this.#lastSuffix ? wanted : this.#lastSuffix + 1n;
    return this.#lastSuffix.toString(16);
  }

  /** Writes an Event about a core/v1 object, unless it stands there already or the namespace takes nothing new. */
  write(about: ApiObject, text: EventText): void {
    const namespace = about.metadata.namespace ?? 'default';
    const isTold = this.#cluster
      .list(storageKeys.events, namespace)
      .some((event) => isSame(event, about, text));
    const place = this.#cluster.get(storageKeys.namespaces, namespace);
    if (isTold || place === undefined || place.metadata.deletionTimestamp !== undefined) return;
    const now = this.#cluster.now;
    const time = formatTime(now);
    const { name, uid, resourceVersion } = about.metadata;
    this.#cluster.create('events', namespace, {
      metadata: { name: `${about.metadata.name}.${this.#nextSuffix(now)}` },
      involvedObject: {
        apiVersion: about.apiVersion,
        kind: about.kind,
        name,
        uid,
        resourceVersion,
        ...(about.metadata.namespace === undefined ? {} : { namespace }),
      },
      ...text,
      source: { component: this.#component },
      reportingComponent: this.#component,
      reportingInstance: '',
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    });
  }
}

function isSame(event: JsonObject, about: ApiObject, text: EventText): boolean {
  return (
    readPath(event, 'involvedObject', 'uid') === about.metadata.uid &&
    event['reason'] === text.reason &&
    event['message'] === text.message
  );
}
