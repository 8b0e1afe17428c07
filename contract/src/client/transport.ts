/**
 * Sends one call: connection pool, deadline, bounded repeats, errors as problems. It knows HTTP, and
 * nothing of the routes.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { backoffMs } from '@varve/common/backoff';
import { Pool, type Dispatcher } from 'undici';

import { isProblemError, ProblemError } from '../problem.ts';
import { problemOfAnswer, problemOfTransport } from './call-failure.ts';
import { parseEndpoint } from './endpoint.ts';

/** Sends of one call in all. More would only delay the caller's own back-off. */
const attemptsMax = 3;
/** Pauses between sends: a connection that broke works again at once, a daemon that restarts does not. */
const retryBackoff = { firstMs: 50, longestMs: 200, jitter: 0.5 } as const;
/** Longest answer: a page of 1,000 objects with full attributes is below 5 MiB. */
const answerBytesMax = 16 * 1024 * 1024;
/** Connections kept at most; calls beyond wait for one. */
const connectionsMaxDefault = 64;
const timeoutMsDefault = 30_000;

/** How to reach a daemon. */
export interface DaemonClientOptions {
  /** `unix:///path`, `http://127.0.0.1:port` or `https://host:port`. */
  readonly endpoint: string;
  /** PEM certificates that a https daemon's certificate is checked with; default the system's. */
  readonly certificateAuthority?: string | undefined;
  /** PEM certificate and key by which the caller proves itself to a https daemon. */
  readonly clientCertificate?: { readonly certificate: string; readonly key: string } | undefined;
  /** Sent as bearer token. */
  readonly token?: string | undefined;
  /** For one call with all its sends; default 30 s. */
  readonly timeoutMs?: number | undefined;
  /** Connections kept at most; calls beyond wait for one. Default 64. */
  readonly connectionsMax?: number | undefined;
  /** What the daemon's log calls the caller; default `varve-client`. */
  readonly userAgent?: string | undefined;
}

/** Bounds of one call. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  /** W3C trace context, passed on as it is. */
  readonly traceparent?: string | undefined;
}

/** One request. */
export interface TransportRequest {
  /** What messages call it: "Creating volume abc". */
  readonly action: string;
  readonly method: Dispatcher.HttpMethod;
  readonly path: string;
  readonly body?: unknown;
}

/** A connection pool to one daemon. */
export class Transport {
  readonly #where: string;
  readonly #pool: Pool;
  readonly #headers: Record<string, string>;
  readonly #timeoutMs: number;

  constructor(options: DaemonClientOptions) {
    const endpoint = parseEndpoint(options.endpoint);
    const { certificateAuthority: ca, clientCertificate, token } = options;
    const tls = {
      ...(ca !== undefined && { ca }),
      ...(clientCertificate && { cert: clientCertificate.certificate, key: clientCertificate.key }),
    };
    this.#where = options.endpoint;
    this.#timeoutMs = options.timeoutMs ?? timeoutMsDefault;
    this.#pool = new Pool(endpoint.origin, {
      connections: options.connectionsMax ?? connectionsMaxDefault,
      pipelining: 1,
      maxResponseSize: answerBytesMax,
      ...(endpoint.kind === 'unix' && { connect: { socketPath: endpoint.socketPath } }),
      ...(endpoint.kind === 'https' && { connect: tls }),
    });
    this.#headers = {
      accept: 'application/json, application/problem+json',
      'user-agent': options.userAgent ?? 'varve-client',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    };
  }

  /**
   * Sends a request whose repetition is harmless and returns the text of a successful answer.
   *
   * @throws ProblemError, or the reason of `options.signal`.
   */
  async send(request: TransportRequest, options: CallOptions): Promise<string> {
    const deadline = AbortSignal.timeout(options.timeoutMs ?? this.#timeoutMs);
    const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline;
    for (let attempt = 1; ; attempt++) {
      try {
        options.signal?.throwIfAborted();
        return await this.#sendOnce(request, options.traceparent, signal);
      } catch (error) {
        // An answer is a ProblemError already; everything else is a call without an answer.
        if (isProblemError(error)) throw error;
        options.signal?.throwIfAborted();
        if (deadline.aborted) throw this.#late(request, error);
        if (attempt === attemptsMax) throw problemOfTransport(request.action, this.#where, error);
      }
      await delay(backoffMs(retryBackoff, attempt), undefined, { signal }).catch(() => undefined);
    }
  }

  /**
   * Opens a stream of bytes; it ends with `signal`, with `close()` of the body, or when the daemon ends it.
   */
  async stream(
    request: TransportRequest,
    signal: AbortSignal | undefined,
  ): Promise<AsyncIterable<Uint8Array>> {
    try {
      const { statusCode, body } = await this.#pool.request({
        method: request.method,
        path: request.path,
        headers: { ...this.#headers, accept: 'text/event-stream' },
        // The daemon sends a comment every few seconds, so silence means that it is gone.
        bodyTimeout: this.#timeoutMs,
        ...(signal && { signal }),
      });
      if (statusCode !== 200) throw problemOfAnswer(request.action, statusCode, await body.text());
      return body;
    } catch (error) {
      signal?.throwIfAborted();
      if (isProblemError(error)) throw error;
      throw problemOfTransport(request.action, this.#where, error);
    }
  }

  /** Lets calls under way finish, then closes all connections. */
  async close(): Promise<void> {
    if (!this.#pool.closed) await this.#pool.close();
  }

  /** Ends calls under way and closes all connections. */
  async destroy(): Promise<void> {
    if (!this.#pool.destroyed) await this.#pool.destroy();
  }

  async #sendOnce(
    request: TransportRequest,
    traceparent: string | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const { statusCode, body } = await this.#pool.request({
      method: request.method,
      path: request.path,
      signal,
      headersTimeout: 0,
      bodyTimeout: 0,
      headers: {
        ...this.#headers,
        ...(traceparent !== undefined && { traceparent }),
        ...(request.body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
    });
    const text = await body.text();
    if (statusCode >= 200 && statusCode < 300) return text;
    throw problemOfAnswer(request.action, statusCode, text);
  }

  #late(request: TransportRequest, cause: unknown): ProblemError {
    return new ProblemError(
      'deadline-exceeded',
      `${request.action} at ${this.#where} failed: no answer in time`,
      { cause },
    );
  }
}
