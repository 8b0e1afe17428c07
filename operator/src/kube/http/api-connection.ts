/**
 * The connection to one API server. Configuration and credentials come from KubeConfig (kubeconfig files,
 * ServiceAccount, exec plugins); the sockets are ours. The library would open a new pool of connections for
 * every request; here one pool is kept, and renewed only when certificates or keys change.
 */
import { createHash } from 'node:crypto';
import type { AgentOptions, RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Clock } from '@varve/common/clock';
import { Agent, ProxyAgent } from 'undici';
import type { Dispatcher } from 'undici';
import { ApiError } from '../api-errors.ts';

/** How to behave towards the API server; see {@link apiConnectionDefaults}. */
export interface ApiConnectionOptions {
  readonly kubeConfig: KubeConfig;
  readonly userAgent: string;
  readonly connectionsMax: number;
  readonly requestTimeoutMs: number;
  /** A watch on which not even a bookmark arrives for so long is taken for dead. */
  readonly watchSilenceMs: number;
}

/** Values for `ApiConnectionOptions`, with their reasons. */
export const apiConnectionDefaults = {
  /** Requests under way at once; about what one API server gives to one client by default. */
  connectionsMax: 64,
  requestTimeoutMs: 30_000,
  /** API servers send a bookmark about every minute. */
  watchSilenceMs: 180_000,
} as const;

/** Credentials are read again after this; a rotated token is good for longer. */
const credentialsAgeMsMax = 10_000;
/** As client-go: below the idle limits of load balancers. */
const keepAliveProbeMs = 30_000;

/** One request, as far as the connection cares. */
export interface ApiRequest {
  /** What messages call it: "listing volumesnapshots". */
  readonly action: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query below the server's address. */
  readonly path: string;
  readonly contentType?: string | undefined;
  readonly body?: object | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly isWatch?: boolean;
}

type DispatcherOptions = ReturnType<KubeConfig['createDispatcherOptions']>;

interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly dispatchers: Dispatchers;
}

interface Dispatchers {
  /** What they were made from; another text means other certificates. */
  readonly fingerprint: string;
  readonly requests: Dispatcher;
  /** Apart, because each watch holds a connection for minutes. */
  readonly watches: Dispatcher;
}

/** See the file's head. */
export class ApiConnection {
  readonly #options: ApiConnectionOptions;
  readonly #clock: Clock;
  readonly #server: URL;
  #credentials: Promise<Credentials> | undefined;
  #credentialsAtMs = 0;
  #dispatchers: Dispatchers | undefined;

  constructor(options: ApiConnectionOptions, dependencies: { readonly clock: Clock }) {
    this.#options = options;
    this.#clock = dependencies.clock;
    const cluster = options.kubeConfig.getCurrentCluster();
    if (cluster === null) {
      throw new ApiError(
        'Connecting to the API server failed: the configuration has no current cluster',
        { kind: 'unreachable' },
      );
    }
    this.#server = new URL(cluster.server);
  }

  /** The API server's host and port, for messages. */
  get host(): string {
    return this.#server.host;
  }

  /** Sends a request; any HTTP status is an answer. Rejects with an ApiError when there is none. */
  async send(request: ApiRequest): Promise<Dispatcher.ResponseData> {
    try {
      const { headers, dispatchers } = await this.#currentCredentials();
      const { isWatch = false } = request;
      const timeoutMs = this.#options.requestTimeoutMs;
      const response = await (isWatch ? dispatchers.watches : dispatchers.requests).request({
        origin: this.#server.origin,
        path: this.#server.pathname.replace(/\/$/, '') + request.path,
        method: request.method,
        headers: {
          ...headers,
          accept: 'application/json',
          'user-agent': this.#options.userAgent,
          ...(request.body !== undefined && {
            'content-type': request.contentType ?? 'application/json',
          }),
        },
        headersTimeout: timeoutMs,
        bodyTimeout: isWatch ? this.#options.watchSilenceMs : timeoutMs,
        ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
        ...(request.signal !== undefined && { signal: request.signal }),
      });
      // The token may have been rotated: read it again before the next request.
      if (response.statusCode === 401) this.#credentials = undefined;
      return response;
    } catch (error) {
      throw unreachable(request.action, this.#server.host, error);
    }
  }

  /** Lets requests under way finish; watches are to be aborted by their owners. May be called twice. */
  async close(): Promise<void> {
    const dispatchers = this.#dispatchers;
    this.#dispatchers = undefined;
    await Promise.all([dispatchers?.requests.close(), dispatchers?.watches.destroy()]);
  }

  async #currentCredentials(): Promise<Credentials> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#credentials === undefined || nowMs - this.#credentialsAtMs > credentialsAgeMsMax) {
      this.#credentialsAtMs = nowMs;
      const reading = this.#readCredentials();
      // A failure must not be kept: the next request tries again.
      reading.catch(() => {
        if (this.#credentials === reading) this.#credentials = undefined;
      });
      this.#credentials = reading;
    }
    return this.#credentials;
  }

  async #readCredentials(): Promise<Credentials> {
    const { kubeConfig } = this.#options;
    const options: AgentOptions & Pick<RequestOptions, 'auth' | 'headers'> = {};
    await kubeConfig.applyToHTTPSOptions(options);
    const headers: Record<string, string> = {};
    const given = (options.headers ?? {}) as Readonly<Record<string, unknown>>;
    for (const [key, value] of Object.entries(given)) headers[key] = String(value);
    if (typeof options.auth === 'string') {
      headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
    }
    const wanted = kubeConfig.createDispatcherOptions(kubeConfig.getCurrentCluster(), options);
    return { headers, dispatchers: this.#dispatchersFor(wanted) };
  }

  #dispatchersFor(wanted: DispatcherOptions): Dispatchers {
    const fingerprint = createHash('sha256').update(JSON.stringify(wanted)).digest('hex');
    const old = this.#dispatchers;
    if (old?.fingerprint === fingerprint) return old;
    const dispatchers = {
      fingerprint,
      requests: createDispatcher(wanted, this.#options.connectionsMax),
      watches: createDispatcher(wanted, null),
    };
    this.#dispatchers = dispatchers;
    // What is under way on the old certificates goes on until it ends by itself.
    void old?.requests.close();
    void old?.watches.close();
    return dispatchers;
  }
}

function createDispatcher(wanted: DispatcherOptions, connectionsMax: number | null): Dispatcher {
  if (wanted.type === 'socks') {
    throw new ApiError(
      `Connecting to the API server through ${wanted.uri} failed: ` +
        'SOCKS proxies are not supported, HTTP proxies are',
      { kind: 'unreachable' },
    );
  }
  const pool = { pipelining: 1, allowH2: false, connections: connectionsMax };
  if (wanted.type === 'proxy') {
    const requestTls = wanted.requestTls as NonNullable<ProxyAgent.Options['requestTls']>;
    return new ProxyAgent({ ...pool, uri: wanted.uri, requestTls });
  }
  const tls = wanted.type === 'agent' ? wanted.connect : {};
  const connect = { ...tls, keepAlive: true, keepAliveInitialDelay: keepAliveProbeMs };
  return new Agent({ ...pool, connect: connect as NonNullable<Agent.Options['connect']> });
}

/** The error of a request that got no answer, or only a part of one. */
export function unreachable(action: string, host: string, cause: unknown): unknown {
  const { name, code, message } = cause as { name?: string; code?: string; message?: string };
  if (name === 'ApiError') return cause;
  const why = message === undefined || message === '' ? code : message;
  return new ApiError(`${action} at ${host} failed: ${why ?? 'no answer'}`, {
    kind: 'unreachable',
    reason: code,
    cause,
  });
}
