/**
 * `PUT` and `DELETE /v1/freezes/{id}` over TLS. Only callers with a certificate of the operator's own
 * authority are let in: a caller may stop the writes of every pod on the node.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Logger } from '@varve/common/logger';
import { freezeStateSchema, putFreezeSchema } from '@varve/contract/freeze';
import { idSchema } from '@varve/contract/identifier';
import {
  isProblemError,
  problemTable,
  ProblemError,
  toProblemDetails,
} from '@varve/contract/problem';
import type { FreezeKeeper } from './freeze-keeper.ts';

/** A hundred handles of the greatest length. */
const bodyBytesMax = 64 * 1024;
/** A freeze writes back what the file systems hold in memory; the caller has given up long before. */
const requestTimeoutMs = 60_000;

/** Where to listen, and who is who. All are PEM. */
export interface FreezeServerOptions {
  /** `host:port`; port 0 lets the kernel choose. */
  readonly listen: string;
  readonly certificate: string;
  readonly key: string;
  /** Of the callers. */
  readonly authority: string;
}

/** Serves freezes. */
export class FreezeServer {
  readonly #server: Server;
  readonly #keeper: FreezeKeeper;
  readonly #log: Logger;

  private constructor(options: FreezeServerOptions, keeper: FreezeKeeper, log: Logger) {
    this.#keeper = keeper;
    this.#log = log;
    this.#server = createServer(
      {
        cert: options.certificate,
        key: options.key,
        ca: options.authority,
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: 'TLSv1.3',
        requestTimeout: requestTimeoutMs,
      },
      (request, response) => {
        this.#answer(request, response).catch(() => response.destroy());
      },
    );
  }

  /** Listens. */
  static async start(
    options: FreezeServerOptions,
    { keeper, log }: { readonly keeper: FreezeKeeper; readonly log: Logger },
  ): Promise<FreezeServer> {
    const server = new FreezeServer(options, keeper, log);
    const colon = options.listen.lastIndexOf(':');
    const host = options.listen.slice(0, colon).replace(/^\[|\]$/g, '');
    server.#server.listen(Number(options.listen.slice(colon + 1)), host);
    await once(server.#server, 'listening');
    return server;
  }

  /** The port that it listens on. */
  get port(): number {
    return (this.#server.address() as { readonly port: number }).port;
  }

  /** Ends all connections. May be called twice. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const state = freezeStateSchema.parse(await this.#work(request));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(state));
    } catch (error) {
      const problem = isProblemError(error)
        ? error
        : new ProblemError('internal', (error as Error).message, { cause: error });
      this.#log.warn({ method: request.method, url: request.url, err: error }, 'freeze failed');
      response
        .writeHead(problemTable[problem.kind].httpStatus, {
          'content-type': 'application/problem+json',
        })
        .end(JSON.stringify(toProblemDetails(problem)));
    }
  }

  async #work(request: IncomingMessage): Promise<object> {
    const { method = '', url = '' } = request;
    const id = idSchema.safeParse(/^\/v1\/freezes\/([^/?]+)$/.exec(url)?.[1]).data;
    if (id === undefined || (method !== 'PUT' && method !== 'DELETE')) {
      const message = `${method} ${url} failed: there are PUT and DELETE /v1/freezes/{id} only`;
      throw new ProblemError('not-found', message);
    }
    if (method === 'DELETE') return this.#keeper.thaw(id);
    const { volumeHandles } = parseBody(id, await readBody(id, request));
    return this.#keeper.freeze(id, volumeHandles);
  }
}

async function readBody(id: string, request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    sizeBytes += part.length;
    if (sizeBytes > bodyBytesMax) {
      const message = `Freezing ${id} failed: the body has more than ${bodyBytesMax} bytes`;
      throw new ProblemError('invalid-argument', message);
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parseBody(id: string, text: string): { readonly volumeHandles: readonly string[] } {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  const result = putFreezeSchema.safeParse(body);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.join('.') ?? '';
  const message = `Freezing ${id} failed: ${field === '' ? 'the body' : field}: ${issue?.message}`;
  throw new ProblemError('invalid-argument', message, { field });
}
