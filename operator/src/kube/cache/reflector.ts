/**
 * Keeps an object store in step with the API server, for as long as it runs: list everything, page by page,
 * then watch from the list's resourceVersion on.
 *
 * - A watch that the server ends is taken up again from the last version seen (events and bookmarks).
 * - A version that is too old (410, as an answer or as an event in the stream) means: list again.
 * - Anything else is tried again after a jittered, growing pause: the watch first, and after
 *   `watchFailuresMax` failures without any event a new list, since a server that lost its history (restored,
 *   reset) may refuse the old version in other words.
 * - The store is never emptied meanwhile: an old copy is better than none, and says so in the metric of
 *   seconds since the last list, event or bookmark.
 * - Of a kind that clusters may lack there is nothing while the server does not know it: it is asked for again
 *   every `missingKindPauseMs`.
 */
import type { BackoffOptions } from '@varve/common/backoff';
import { backoffMs } from '@varve/common/backoff';
import type { Clock } from '@varve/common/clock';
import { waitFor } from '@varve/common/clock';
import type { Logger } from '@varve/common/logger';
import { ApiError, apiErrorFromStatus, apiErrorKind, isGone, isNotFound } from '../api-errors.ts';
import type { ApiStatus } from '../api-errors.ts';
import type { KubeClient, Selection, WatchEvent } from '../kube-client.ts';
import type { KubeMetrics } from '../kube-metrics.ts';
import type { KubernetesObject } from '../kubernetes-object.ts';
import type { ObjectStore } from './object-store.ts';
import type { Resource } from '../resource.ts';
import { apiVersionOf, resourceName } from '../resource.ts';

/** What is reflected, and its bounds; see {@link reflectorDefaults}. */
export interface ReflectorOptions<T extends KubernetesObject> {
  readonly resource: Resource<T>;
  readonly selection?: Selection;
  /** False keeps it out of the metrics, which have one reflector a resource. */
  readonly isObserved?: boolean;
  readonly pageSize: number;
  /** The server is asked to end watches after a time between this and twice this. */
  readonly watchSeconds: number;
  readonly backoff: BackoffOptions;
  readonly watchFailuresMax: number;
  /** A watch that ends sooner without an event counts as a failure, or the loop would spin. */
  readonly shortWatchMs: number;
  /** How long after it was found missing an optional kind is asked for again. */
  readonly missingKindPauseMs: number;
}

/** Values for `ReflectorOptions`, with their reasons. */
export const reflectorDefaults = {
  /** As client-go: an answer of a few MB. */
  pageSize: 500,
  watchSeconds: 300,
  backoff: { firstMs: 800, longestMs: 30_000, jitter: 0.5 },
  watchFailuresMax: 3,
  shortWatchMs: 1000,
  /** Somebody who installs the definitions waits this long at most; a dozen missing kinds cost a request in 2 s. */
  missingKindPauseMs: 20_000,
} as const;

/** See the file's head. */
export class Reflector<T extends KubernetesObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #client: KubeClient;
  readonly #store: ObjectStore<T>;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #log: Logger;
  readonly #metrics: KubeMetrics;
  readonly #name: string;
  readonly #synced = Promise.withResolvers<void>();
  /** From where to watch; undefined when the next step is a list. */
  #resourceVersion: string | undefined;
  /** In a row, until a watch works: a list alone does not prove that the watch after it will. */
  #failureCount = 0;
  /** Of watches in a row since the last list. */
  #watchFailureCount = 0;
  #lastNewsMs: number;
  #hasSynced = false;

  constructor(
    options: ReflectorOptions<T>,
    dependencies: {
      readonly client: KubeClient;
      readonly store: ObjectStore<T>;
      readonly clock: Clock;
      readonly log: Logger;
      readonly metrics: KubeMetrics;
      readonly random?: () => number;
    },
  ) {
    this.#options = options;
    this.#client = dependencies.client;
    this.#store = dependencies.store;
    this.#clock = dependencies.clock;
    this.#random = dependencies.random ?? Math.random;
    this.#metrics = dependencies.metrics;
    this.#name = resourceName(options.resource);
    this.#log = dependencies.log.child({ resource: this.#name });
    this.#lastNewsMs = this.#clock.monotonicMs();
    if (options.isObserved !== false) this.#metrics.observeReflector(this.#name, this);
  }

  /** Resolves when the store holds a complete list for the first time. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  /** Whether the store has ever held a complete list. */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** How long nothing has been heard from the server about this resource. */
  get silenceMs(): number {
    return this.#clock.monotonicMs() - this.#lastNewsMs;
  }

  /** How many objects the store holds. */
  get objectCount(): number {
    return this.#store.size;
  }

  /** Lists and watches until `signal` is aborted. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#resourceVersion === undefined) await this.#list(signal);
        else await this.#watch(this.#resourceVersion, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (this.#options.resource.isOptional === true && isNotFound(error))
          await this.#rest(signal);
        else await this.#recover(error, signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { resource, selection, pageSize } = this.#options;
    const objects: T[] = [];
    let page = await this.#client.list(resource, { ...selection, limit: pageSize, signal });
    objects.push(...page.items);
    while (page.metadata.continue !== undefined && page.metadata.continue !== '') {
      page = await this.#client.list(resource, {
        ...selection,
        limit: pageSize,
        continue: page.metadata.continue,
        signal,
      });
      objects.push(...page.items);
    }
    const { resourceVersion } = page.metadata;
    this.#store.replaceAll(objects, resourceVersion);
    this.#watchFailureCount = 0;
    this.#metrics.listed(this.#name);
    this.#log.debug({ count: objects.length, resourceVersion }, 'listed');
    this.#hearNews(resourceVersion);
    this.#finishSync();
  }

  #finishSync(): void {
    this.#hasSynced = true;
    this.#synced.resolve();
  }

  /** The server does not know the kind: then there are no objects of it. */
  async #rest(signal: AbortSignal): Promise<void> {
    this.#resourceVersion = undefined;
    this.#forgetFailures();
    this.#store.clear();
    this.#lastNewsMs = this.#clock.monotonicMs();
    this.#finishSync();
    await waitFor(this.#clock, this.#options.missingKindPauseMs, signal);
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { resource, selection, watchSeconds, shortWatchMs } = this.#options;
    const startedMs = this.#clock.monotonicMs();
    const timeoutSeconds = Math.round(watchSeconds * (1 + this.#random()));
    let eventCount = 0;
    const events = this.#client.watch(resource, {
      ...selection,
      resourceVersion,
      timeoutSeconds,
      signal,
    });
    for await (const event of events) {
      this.#take(event);
      eventCount += 1;
      this.#forgetFailures();
    }
    if (eventCount === 0 && this.#clock.monotonicMs() - startedMs < shortWatchMs) {
      throw new ApiError(`Watching ${this.#name} failed: it ended at once, without an event`, {
        kind: 'unreachable',
      });
    }
    this.#forgetFailures();
  }

  #forgetFailures(): void {
    this.#failureCount = 0;
    this.#watchFailureCount = 0;
  }

  #take(event: WatchEvent): void {
    if (event.type === 'ERROR') {
      const status = event.object as ApiStatus;
      throw apiErrorFromStatus(`Watching ${this.#name}`, status.code ?? 500, status);
    }
    // Built-in kinds carry both in a watch; nothing is lost by making sure.
    const { resource } = this.#options;
    const identity = { apiVersion: apiVersionOf(resource), kind: resource.kind };
    const object = { ...identity, ...event.object } as T;
    switch (event.type) {
      case 'ADDED':
      case 'MODIFIED':
        this.#store.upsert(object);
        break;
      case 'DELETED':
        this.#store.remove(object);
        break;
      case 'BOOKMARK':
        break;
    }
    this.#hearNews(object.metadata.resourceVersion);
  }

  #hearNews(resourceVersion: string): void {
    this.#resourceVersion = resourceVersion;
    this.#lastNewsMs = this.#clock.monotonicMs();
  }

  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    this.#failureCount += 1;
    this.#metrics.watchFailed(this.#name, apiErrorKind(error) ?? 'internal');
    const { backoff, watchFailuresMax } = this.#options;
    const isTooOld = isGone(error);
    if (this.#resourceVersion !== undefined) this.#watchFailureCount += 1;
    if (isTooOld || this.#watchFailureCount >= watchFailuresMax) this.#resourceVersion = undefined;
    const retryAfterMs = (error as { retryAfterMs?: number }).retryAfterMs ?? 0;
    const delayMs = Math.max(retryAfterMs, backoffMs(backoff, this.#failureCount, this.#random));
    // Being too old is ordinary, and losing a connection once is, too.
    const level = isTooOld || this.#failureCount === 1 ? 'debug' : 'warn';
    this.#log[level]({ err: error, failures: this.#failureCount, delayMs }, 'will try again');
    await waitFor(this.#clock, delayMs, signal);
  }
}
