/** The API server over HTTP: raw JSON in and out, errors as ApiErrors, watches as async iterables. */
import type { Clock } from '@varve/common/clock';
import { waitFor } from '@varve/common/clock';
import type { Dispatcher } from 'undici';
import type { ApiConnection, ApiRequest } from './api-connection.ts';
import { unreachable } from './api-connection.ts';
import type { ApiStatus } from '../api-errors.ts';
import { ApiError, apiErrorFromStatus } from '../api-errors.ts';
import type {
  DeleteOptions,
  KubeClient,
  ListOptions,
  ObjectList,
  Patch,
  Selection,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from '../kube-client.ts';
import type { KubeMetrics } from '../kube-metrics.ts';
import type { Draft, KubernetesObject, ObjectName } from '../kubernetes-object.ts';
import { objectKey } from '../kubernetes-object.ts';
import { LineSplitter } from './line-splitter.ts';
import type { Resource } from '../resource.ts';
import { apiVersionOf, collectionPath, objectPath, resourceName } from '../resource.ts';
import type { TokenBucketOptions } from '../token-bucket.ts';
import { TokenBucket } from '../token-bucket.ts';

/** Who writes, and how fast requests may go out. */
export interface RestKubeClientOptions {
  /** Stands in managedFields beside what we wrote. */
  readonly fieldManager: string;
  readonly rate: TokenBucketOptions;
}

/** Values for `RestKubeClientOptions`, with their reasons. */
export const restKubeClientDefaults = {
  /**
   * A snapshot takes about twelve writes and a restore eight, so 1,000 of them at once are not slowed down
   * by us; the API server's own priority and fairness protects it.
   */
  rate: { ratePerSecond: 1000, burst: 2000 },
} as const;

const patchTypes = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** See the file's head. */
export class RestKubeClient implements KubeClient {
  readonly #options: RestKubeClientOptions;
  readonly #connection: ApiConnection;
  readonly #clock: Clock;
  readonly #metrics: KubeMetrics;
  readonly #bucket: TokenBucket;

  constructor(
    options: RestKubeClientOptions,
    dependencies: {
      readonly connection: ApiConnection;
      readonly clock: Clock;
      readonly metrics: KubeMetrics;
    },
  ) {
    this.#options = options;
    this.#connection = dependencies.connection;
    this.#clock = dependencies.clock;
    this.#metrics = dependencies.metrics;
    this.#bucket = new TokenBucket(options.rate, dependencies);
  }

  async get<T extends KubernetesObject>(resource: Resource<T>, name: ObjectName): Promise<T> {
    const action = `Getting ${describe(resource, name)}`;
    return this.#call<T>(resource, { action, method: 'GET', path: objectPath(resource, name) });
  }

  async list<T extends KubernetesObject>(
    resource: Resource<T>,
    options: ListOptions = {},
  ): Promise<ObjectList<T>> {
    const query = {
      ...selectionQuery(options),
      limit: options.limit,
      continue: options.continue,
      resourceVersion: options.resourceVersion,
    };
    const action = `Listing ${resourceName(resource)}`;
    const list = await this.#call<ObjectList<T>>(resource, {
      action,
      method: 'GET',
      path: collectionPath(resource, options.namespace) + formatQuery(query),
      signal: options.signal,
    });
    if (!Array.isArray(list.items)) throw malformed(action, JSON.stringify(list));
    // Items of built-in kinds come without apiVersion and kind.
    const identity = { apiVersion: apiVersionOf(resource), kind: resource.kind };
    return { metadata: list.metadata, items: list.items.map((item) => ({ ...identity, ...item })) };
  }

  async create<T extends KubernetesObject>(resource: Resource<T>, object: Draft<T>): Promise<T> {
    const { namespace, name, generateName } = object.metadata;
    return this.#call<T>(resource, {
      action: `Creating ${describe(resource, { namespace, name: name ?? generateName ?? '' })}`,
      method: 'POST',
      path: collectionPath(resource, namespace) + this.#writeQuery(),
      body: object,
    });
  }

  async replace<T extends KubernetesObject>(
    resource: Resource<T>,
    object: T,
    options: WriteOptions = {},
  ): Promise<T> {
    return this.#call<T>(resource, {
      action: `Replacing ${describe(resource, object.metadata)}`,
      method: 'PUT',
      path: objectPath(resource, object.metadata, options.subresource) + this.#writeQuery(),
      body: object,
    });
  }

  async patch<T extends KubernetesObject>(
    resource: Resource<T>,
    name: ObjectName,
    patch: Patch,
    options: WriteOptions = {},
  ): Promise<T> {
    const force = patch.type === 'apply' ? patch.force : undefined;
    return this.#call<T>(resource, {
      action: `Patching ${describe(resource, name)}`,
      method: 'PATCH',
      path: objectPath(resource, name, options.subresource) + this.#writeQuery({ force }),
      contentType: patchTypes[patch.type],
      body: patch.type === 'json' ? patch.operations : patch.body,
    });
  }

  async delete(resource: Resource, name: ObjectName, options: DeleteOptions = {}): Promise<void> {
    const { uid, resourceVersion, propagationPolicy } = options;
    const hasPreconditions = uid !== undefined || resourceVersion !== undefined;
    await this.#call(resource, {
      action: `Deleting ${describe(resource, name)}`,
      method: 'DELETE',
      path: objectPath(resource, name),
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        ...(hasPreconditions && { preconditions: { uid, resourceVersion } }),
        ...(propagationPolicy !== undefined && { propagationPolicy }),
      },
    });
  }

  async *watch(resource: Resource, options: WatchOptions): AsyncGenerator<WatchEvent> {
    const action = `Watching ${resourceName(resource)}`;
    const query = {
      ...selectionQuery(options),
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion: options.resourceVersion,
      timeoutSeconds: options.timeoutSeconds,
    };
    const path = collectionPath(resource, options.namespace) + formatQuery(query);
    const response = await this.#connection.send({
      action,
      method: 'GET',
      path,
      signal: options.signal,
      isWatch: true,
    });
    this.#metrics.requested('WATCH', resourceName(resource), String(response.statusCode), 0);
    if (response.statusCode !== 200) throw await failure(action, response);
    const lines = new LineSplitter();
    try {
      for await (const chunk of response.body) {
        for (const line of lines.push(chunk as Uint8Array)) yield parseEvent(action, line);
      }
    } catch (error) {
      throw unreachable(action, this.#connection.host, error);
    }
    if (lines.hasRest) {
      throw new ApiError(`${action} failed: the connection ended within an event`, {
        kind: 'unreachable',
      });
    }
  }

  #writeQuery(query: Query = {}): string {
    return formatQuery({ fieldManager: this.#options.fieldManager, ...query });
  }

  async #call<Answer>(resource: Resource, request: ApiRequest): Promise<Answer> {
    const delayMs = this.#bucket.reserve();
    if (delayMs > 0) await waitFor(this.#clock, delayMs, request.signal);
    const startedMs = this.#clock.monotonicMs();
    let code = 'none';
    try {
      const response = await this.#connection.send(request);
      code = String(response.statusCode);
      if (response.statusCode >= 300) throw await failure(request.action, response);
      return await readJson<Answer>(request.action, this.#connection.host, response);
    } finally {
      const seconds = (this.#clock.monotonicMs() - startedMs) / 1000;
      this.#metrics.requested(request.method, resourceName(resource), code, seconds);
    }
  }
}

async function readJson<Answer>(
  action: string,
  host: string,
  response: Dispatcher.ResponseData,
): Promise<Answer> {
  let text: string;
  try {
    text = await response.body.text();
  } catch (error) {
    throw unreachable(action, host, error);
  }
  try {
    return JSON.parse(text) as Answer;
  } catch {
    throw malformed(action, text);
  }
}

async function failure(action: string, response: Dispatcher.ResponseData): Promise<ApiError> {
  const text = await response.body.text().catch(() => '');
  let status: ApiStatus;
  try {
    status = JSON.parse(text) as ApiStatus;
  } catch {
    // A proxy's page, or the API server's own plain text.
    status = { message: text.trim().slice(0, 200) || `HTTP status ${response.statusCode}` };
  }
  const retryAfter = Number(response.headers['retry-after']);
  const retryAfterSeconds = Number.isFinite(retryAfter) ? retryAfter : undefined;
  return apiErrorFromStatus(action, response.statusCode, status, retryAfterSeconds);
}

function parseEvent(action: string, line: string): WatchEvent {
  try {
    const event = JSON.parse(line) as Partial<WatchEvent>;
    if (typeof event.type === 'string' && typeof event.object === 'object') {
      return event as WatchEvent;
    }
  } catch {
    // Told below, as for JSON that is no event.
  }
  throw malformed(action, line);
}

function malformed(action: string, text: string): ApiError {
  const start = JSON.stringify(text.slice(0, 100));
  return new ApiError(`${action} failed: the answer is not what was asked for: ${start}`, {
    kind: 'malformed',
  });
}

function describe(resource: Resource, name: ObjectName): string {
  return `${resourceName(resource)} ${objectKey(name)}`;
}

function selectionQuery(selection: Selection): Query {
  return { labelSelector: selection.labelSelector, fieldSelector: selection.fieldSelector };
}

function formatQuery(query: Query): string {
  const parameters = Object.entries(query)
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`);
  return parameters.length === 0 ? '' : `?${parameters.join('&')}`;
}
