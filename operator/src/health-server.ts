import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

/** What the server tells of. */
export interface HealthSources {
  readonly registry: Registry;
  /** Why the operator does not do its work yet; undefined when it does, or waits as a stand-by. */
  notReadyReason(): string | undefined;
}

/** Slow or idle clients of a metrics endpoint are none. */
const requestTimeoutMs = 10_000;

/** Serves /metrics, /healthz (the process runs) and /readyz (it does its work). */
export class HealthServer {
  readonly #server: Server;
  readonly #sources: HealthSources;

  private constructor(sources: HealthSources) {
    this.#sources = sources;
    this.#server = createServer((request, response) => {
      const path = new URL(request.url ?? '/', 'http://localhost').pathname;
      this.#answer(path, response).catch(() => response.destroy());
    });
    this.#server.requestTimeout = requestTimeoutMs;
  }

  /** Listens on `host:port`; port 0 lets the kernel choose. */
  static async start(listen: string, sources: HealthSources): Promise<HealthServer> {
    const colon = listen.lastIndexOf(':');
    const host = listen.slice(0, colon).replace(/^\[|\]$/g, '');
    const health = new HealthServer(sources);
    try {
      health.#server.listen(Number(listen.slice(colon + 1)), host);
      await once(health.#server, 'listening');
    } catch (error) {
      const { message } = error as Error;
      throw new Error(`Serving metrics and health on ${listen} failed: ${message}`, {
        cause: error,
      });
    }
    return health;
  }

  /** The address without a path. */
  get url(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  /** Ends all connections. May be called twice. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #answer(path: string, response: ServerResponse): Promise<void> {
    if (path === '/metrics') {
      const { registry } = this.#sources;
      const text = await registry.metrics();
      response.writeHead(200, { 'content-type': registry.contentType }).end(text);
    } else if (path === '/healthz') {
      answer(response, 200, 'ok');
    } else if (path === '/readyz') {
      const reason = this.#sources.notReadyReason();
      answer(response, reason === undefined ? 200 : 503, reason ?? 'ok');
    } else {
      answer(response, 404, 'there are /metrics, /healthz and /readyz');
    }
  }
}

function answer(response: ServerResponse, statusCode: number, text: string): void {
  response.writeHead(statusCode, { 'content-type': 'text/plain' }).end(`${text}\n`);
}
