/**
 * A real HTTP server whose answers a test gives one by one: it waits for the next request, looks at it, and
 * answers, writes half a line, or drops the connection. So a test says exactly what the network does,
 * without sleeping.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import type { KubernetesObject } from '../kube/kubernetes-object.ts';

/** One request that waits for the test's answer. */
export class Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse, body: unknown) {
    const url = new URL(request.url ?? '/', 'http://localhost');
    this.method = request.method ?? '';
    this.path = url.pathname;
    this.query = url.searchParams;
    this.headers = request.headers;
    this.body = body;
    this.#response = response;
  }

  /** Answers with JSON. */
  json(statusCode: number, body: unknown, headers: Record<string, string> = {}): void {
    this.#response.writeHead(statusCode, { 'content-type': 'application/json', ...headers });
    this.#response.end(JSON.stringify(body));
  }

  /** Answers with a metav1.Status. */
  fail(statusCode: number, reason: string, message = reason): void {
    const status = { kind: 'Status', status: 'Failure', code: statusCode, reason, message };
    this.json(statusCode, status);
  }

  /** Answers a list. */
  list(items: readonly unknown[], resourceVersion: string, continueToken?: string): void {
    this.json(200, { metadata: { resourceVersion, continue: continueToken }, items });
  }

  /** Writes an event of a watch. */
  event(type: string, object: unknown): void {
    this.write(`${JSON.stringify({ type, object })}\n`);
  }

  /** Writes bytes of a watch as they are. */
  write(text: string | Buffer): void {
    if (!this.#response.headersSent) {
      this.#response.writeHead(200, { 'content-type': 'application/json' });
    }
    this.#response.write(text);
  }

  /** Ends a watch as a server does whose time is up. */
  end(): void {
    if (!this.#response.headersSent) this.#response.writeHead(200);
    this.#response.end();
  }

  /** Resets the connection. */
  drop(): void {
    this.#response.socket?.resetAndDestroy();
  }

  /** Resolves when the client has gone away. */
  async closed(): Promise<void> {
    if (!this.#response.destroyed) await once(this.#response, 'close');
  }
}

/** See the file's head. */
export class ScriptedApiServer {
  readonly #server: Server;
  readonly #waiting: Exchange[] = [];
  readonly #waiters: ((exchange: Exchange) => void)[] = [];
  readonly #sockets = new Set<Socket>();
  #responder: ((exchange: Exchange) => void) | undefined;
  #socketCount = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.#socketCount += 1;
      this.#sockets.add(socket);
    });
    server.on('request', (request, response) => void this.#accept(request, response));
  }

  /** Starts a server on a port of the kernel's choice, on loopback. */
  static async start(): Promise<ScriptedApiServer> {
    const server = createServer();
    const scripted = new ScriptedApiServer(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return scripted;
  }

  /** How many connections clients have opened. */
  get socketCount(): number {
    return this.#socketCount;
  }

  /** How many requests wait for an answer that the test has not asked for. */
  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** A configuration that leads here. */
  kubeConfig(token = 'secret-token'): KubeConfig {
    const { port } = this.#server.address() as AddressInfo;
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      { name: 'scripted', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
      { name: 'tester', token },
    );
    return config;
  }

  /** The next request that no answer was given to. */
  async next(): Promise<Exchange> {
    const waiting = this.#waiting.shift();
    return waiting ?? (await new Promise((resolve) => this.#waiters.push(resolve)));
  }

  /** Answers all requests from now on by a function instead of one by one. */
  respond(responder: (exchange: Exchange) => void): void {
    this.#responder = responder;
  }

  /** Drops all connections and ends. */
  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #accept(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const exchange = new Exchange(request, response, text === '' ? undefined : JSON.parse(text));
    if (this.#responder !== undefined) this.#responder(exchange);
    else {
      const waiter = this.#waiters.shift();
      if (waiter === undefined) this.#waiting.push(exchange);
      else waiter(exchange);
    }
  }
}

/** A small object for tests of the machinery. */
export function thing(
  name: string,
  resourceVersion: string | number,
  fields: { uid?: string; namespace?: string; [key: string]: unknown } = {},
): KubernetesObject & { readonly [key: string]: unknown } {
  const { uid = `uid-${name}`, namespace, ...rest } = fields;
  return {
    apiVersion: 'example.dev/v1',
    kind: 'Thing',
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      uid,
      resourceVersion: String(resourceVersion),
    },
    ...rest,
  };
}
