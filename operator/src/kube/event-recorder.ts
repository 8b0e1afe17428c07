/**
 * Events, as `kubectl describe` shows them. Recording never blocks, never throws and never fails the work
 * it tells of. Repeats of one message about one object are one Event whose count grows, and even that is
 * written at most once per `repeatIntervalMs`: a retry loop costs the API server nothing. Everything is
 * bounded; what is left out is counted.
 *
 * core/v1 with count and timestamps rather than events.k8s.io/v1 with series: the stored object is the
 * same, and `kubectl get events --sort-by=.lastTimestamp` works on the former only.
 */
import type { Clock } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';
import { waitFor } from '@varve/common/clock';
import { isNamespaceTerminating, isNotFound } from './api-errors.ts';
import type { CoreEvent } from './core-kinds.ts';
import type { KubeClient } from './kube-client.ts';
import type { KubeMetrics } from './kube-metrics.ts';
import type { Draft, KubernetesObject, ObjectReference } from './kubernetes-object.ts';
import { referenceTo } from './kubernetes-object.ts';
import { coreEvents } from './resource.ts';
import { TokenBucket } from './token-bucket.ts';

/** Tells users what happened to an object. */
export interface EventRecorder {
  /** Something went as intended. */
  normal(object: KubernetesObject, reason: string, message: string): void;
  /** Something is wrong, or waits for somebody. Keep changing figures out of the message. */
  warning(object: KubernetesObject, reason: string, message: string): void;
}

/** Who reports, and the bounds; see {@link eventRecorderDefaults}. */
export interface EventRecorderOptions {
  /** `source.component` of the events. */
  readonly component: string;
  readonly instance: string;
  readonly repeatIntervalMs: number;
  readonly rememberMs: number;
  readonly rememberedMax: number;
  readonly pendingMax: number;
  readonly objectBurst: number;
  readonly objectIntervalMs: number;
}

/** Bounds, with their reasons. */
export const eventRecorderDefaults = {
  /** A count that is a few minutes old serves a reader as well. */
  repeatIntervalMs: 300_000,
  /** API servers keep events for an hour; an older one could not be updated any more. */
  rememberMs: 3_600_000,
  /** A few MB. A forgotten event is merely created again. */
  rememberedMax: 8192,
  /** 1,000 snapshots at once make three events each. */
  pendingMax: 8192,
  /** Different messages about one object: as client-go, 25 at once, then one in 5 minutes. */
  objectBurst: 25,
  objectIntervalMs: 300_000,
} as const;

/** An attempt that failed is repeated this often; then the event is dropped. */
const attemptsMax = 3;
const retryDelayMs = 1000;
const messageCharactersMax = 1024;
const namePartCharactersMax = 200;

interface RememberedEvent {
  readonly reference: ObjectReference;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  readonly firstTimeMs: number;
  lastTimeMs: number;
  count: number;
  /** Name of the Event once it is created. */
  name: string | undefined;
  sentAtMs: number | undefined;
  isPending: boolean;
}

/** Records events through the API; see the file's head. */
export class ApiEventRecorder implements EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #metrics: KubeMetrics;
  /** In the order of last use: the first is forgotten first. */
  readonly #remembered = new Map<string, RememberedEvent>();
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #pending: RememberedEvent[] = [];
  #sending: Promise<void> | undefined;
  #lastSuffix = 0n;
  readonly #stop = new AbortController();

  constructor(
    options: EventRecorderOptions,
    dependencies: {
      readonly client: KubeClient;
      readonly clock: Clock;
      readonly log: Logger;
      readonly metrics: KubeMetrics;
    },
  ) {
    this.#options = options;
    this.#client = dependencies.client;
    this.#clock = dependencies.clock;
    this.#log = dependencies.log;
    this.#metrics = dependencies.metrics;
  }

  normal(object: KubernetesObject, reason: string, message: string): void {
    this.#record(object, 'Normal', reason, message);
  }

  warning(object: KubernetesObject, reason: string, message: string): void {
    this.#record(object, 'Warning', reason, message);
  }

  /** Resolves when everything recorded so far is sent or dropped. */
  async flush(): Promise<void> {
    while (this.#sending !== undefined) await this.#sending;
  }

  /** Drops what is not sent yet; call `flush` before, if that matters. */
  destroy(): void {
    this.#stop.abort();
    this.#pending.length = 0;
  }

  #record(
    object: KubernetesObject,
    type: 'Normal' | 'Warning',
    reason: string,
    fullMessage: string,
  ): void {
    if (this.#stop.signal.aborted) return;
    const message = shorten(fullMessage);
    const key = JSON.stringify([object.metadata.uid, type, reason, message]);
    const nowMs = this.#clock.nowMs();
    const known = this.#recall(key, nowMs);
    if (known !== undefined) {
      known.count += 1;
      known.lastTimeMs = nowMs;
      const isRecent =
        known.sentAtMs === undefined || nowMs - known.sentAtMs < this.#options.repeatIntervalMs;
      if (isRecent) this.#metrics.event('merged');
      else this.#enqueue(known);
      return;
    }
    if (!this.#bucketOf(object.metadata.uid).tryTake()) {
      this.#metrics.event('dropped');
      return;
    }
    const event: RememberedEvent = {
      reference: referenceTo(object),
      type,
      reason,
      message,
      firstTimeMs: nowMs,
      lastTimeMs: nowMs,
      count: 1,
      name: undefined,
      sentAtMs: undefined,
      isPending: false,
    };
    this.#remembered.set(key, event);
    forgetFirst(this.#remembered, this.#options.rememberedMax);
    this.#enqueue(event);
  }

  #recall(key: string, nowMs: number): RememberedEvent | undefined {
    const known = this.#remembered.get(key);
    if (known === undefined) return undefined;
    this.#remembered.delete(key);
    if (nowMs - known.lastTimeMs > this.#options.rememberMs) return undefined;
    this.#remembered.set(key, known);
    return known;
  }

  #bucketOf(uid: string): TokenBucket {
    const { objectBurst, objectIntervalMs, rememberedMax } = this.#options;
    const held = this.#buckets.get(uid);
    const bucket =
      held ??
      new TokenBucket(
        { burst: objectBurst, ratePerSecond: 1000 / objectIntervalMs },
        { clock: this.#clock },
      );
    this.#buckets.delete(uid);
    this.#buckets.set(uid, bucket);
    forgetFirst(this.#buckets, rememberedMax);
    return bucket;
  }

  #enqueue(event: RememberedEvent): void {
    if (event.isPending) return;
    if (this.#pending.length >= this.#options.pendingMax) {
      this.#metrics.event('dropped');
      return;
    }
    event.isPending = true;
    this.#pending.push(event);
    this.#sending ??= this.#sendPending().finally(() => {
      this.#sending = undefined;
    });
  }

  async #sendPending(): Promise<void> {
    // Later, so that several events recorded in one go are sent in order and `flush` sees the promise.
    await Promise.resolve();
    for (let event = this.#pending.shift(); event !== undefined; event = this.#pending.shift()) {
      event.isPending = false;
      await this.#send(event);
    }
  }

  async #send(event: RememberedEvent): Promise<void> {
    for (let attempt = 1; !this.#stop.signal.aborted; attempt++) {
      event.sentAtMs = this.#clock.nowMs();
      try {
        await this.#write(event);
        return;
      } catch (error) {
        // A namespace that is being deleted takes no more events, and nobody is left to read them.
        const isHopeless = isNamespaceTerminating(error) || isNotFound(error);
        if (isHopeless || attempt >= attemptsMax) {
          this.#metrics.event('failed');
          this.#log.debug({ err: error, reason: event.reason }, 'recording an event failed');
          return;
        }
        await waitFor(this.#clock, retryDelayMs * attempt, this.#stop.signal);
      }
    }
  }

  async #write(event: RememberedEvent): Promise<void> {
    const namespace = namespaceOf(event.reference);
    if (event.name !== undefined) {
      const body = { count: event.count, lastTimestamp: timestamp(event.lastTimeMs) };
      try {
        const name = { namespace, name: event.name };
        await this.#client.patch(coreEvents, name, { type: 'merge', body });
        this.#metrics.event('updated');
        return;
      } catch (error) {
        if (!isNotFound(error)) throw error;
        // Expired meanwhile: make a new one.
      }
    }
    const created = await this.#client.create(coreEvents, this.#draftOf(event, namespace));
    event.name = created.metadata.name;
    this.#metrics.event('created');
  }

  /**
   * Nanoseconds in hex, as client-go names events, counted on within a moment. Events are listed in the order of
   * their names, and their times are whole seconds: so `kubectl describe` shows those of one second as they came.
   */
  #nextSuffix(): string {
    const wanted = BigInt(this.#clock.nowMs()) * 1_000_000n;
    this.#lastSuffix = wanted > this.#lastSuffix ? wanted : this.#lastSuffix + 1n;
    return this.#lastSuffix.toString(16).padStart(16, '0');
  }

  #draftOf(event: RememberedEvent, namespace: string): Draft<CoreEvent> {
    const objectName = (event.reference.name ?? 'unnamed').slice(0, namePartCharactersMax);
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${objectName}.${this.#nextSuffix()}`, namespace },
      involvedObject: event.reference,
      type: event.type,
      reason: event.reason,
      message: event.message,
      source: { component: this.#options.component },
      reportingComponent: this.#options.component,
      reportingInstance: this.#options.instance,
      firstTimestamp: timestamp(event.firstTimeMs),
      lastTimestamp: timestamp(event.lastTimeMs),
      count: event.count,
    };
  }
}

/** Events about cluster-scoped objects live in `default`, where `kubectl describe` looks too. */
function namespaceOf(reference: ObjectReference): string {
  return reference.namespace ?? 'default';
}

/** metav1.Time: whole seconds. */
function timestamp(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
}

function shorten(message: string): string {
  return message.length <= messageCharactersMax
    ? message
    : `${message.slice(0, messageCharactersMax - 3)}...`;
}

function forgetFirst(map: Map<string, unknown>, sizeMax: number): void {
  for (const key of map.keys()) {
    if (map.size <= sizeMax) return;
    map.delete(key);
  }
}
