/**
 * The HTTP edge: node:http on loopback. Checks the token, reads bodies within their bound, asks the
 * interceptor of tests, and writes answers; watches are written event by event.
 */
import { randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApiError, unauthorized } from '../objects/api-error.ts';
import { formatJson } from '../objects/json.ts';
import { bodyBytesMax, closeGraceMs, closePollMs } from '../limits.ts';
import {
  jsonAnswer,
  type ApiAnswer,
  type ApiRequest,
  type WholeAnswer,
} from '../requests/request.ts';
import { internalError, type Router } from '../requests/router.ts';
import type { Interceptor } from './interception.ts';
import { streamWatch } from './watch-stream.ts';

/** What the edge needs. */
export interface HttpServerDependencies {
  readonly router: Router;
  readonly intercept: Interceptor | undefined;
  /** Is told of bugs that a request met. */
  readonly onInternalError: (error: unknown) => void;
}

/** A server that listens. */
export class HttpServer {
  readonly #server: Server;
  readonly #token: string | undefined;
  readonly #dependencies: HttpServerDependencies;
  readonly #watches = new Set<() => void>();
  #isClosing = false;

  constructor(token: string | undefined, dependencies: HttpServerDependencies) {
    this.#token = token;
    this.#dependencies = dependencies;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        // The client went away while it was answered: nobody is left to tell.
        response.destroy(error instanceof Error ? error : undefined);
      });
    });
    // Watches are idle for long; clients keep connections for later requests.
    this.#server.keepAliveTimeout = 120_000;
    this.#server.requestTimeout = 0;
  }

  /** Listens on the host; port 0 lets the kernel choose. Rejects if the address cannot be had. */
  async listen(host: string, port: number): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    return this.#server.address() as AddressInfo;
  }

  /** Ends watches, answers what is under way, and closes. */
  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    for (const end of this.#watches) end();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    // A connection becomes idle when its answer is out, and would be kept for a next request.
    const closeIdle = setInterval(() => this.#server.closeIdleConnections(), closePollMs);
    const cut = setTimeout(() => this.#server.closeAllConnections(), closeGraceMs);
    await closed;
    clearInterval(closeIdle);
    clearTimeout(cut);
  }

  /** Cuts all connections at once, as a crash would. */
  destroyConnections(): void {
    this.#server.closeAllConnections();
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: ApiAnswer;
    let isAnswerLost = false;
    try {
      this.#checkToken(incoming);
      const request = await readRequest(incoming);
      const verdict = await this.#dependencies.intercept?.(request);
      if (verdict?.kind === 'drop') {
        response.destroy();
        return;
      }
      isAnswerLost = verdict?.kind === 'lose-answer';
      answer =
        verdict?.kind === 'answer'
          ? jsonAnswer(verdict.error.toStatus(), { status: verdict.error.code })
          : this.#dependencies.router.answer(request);
    } catch (error) {
      answer = this.#answerToError(error);
    }
    if (isAnswerLost) response.destroy();
    else if (answer.type === 'watch') {
      streamWatch(answer, { incoming, response, watches: this.#watches });
    } else writeWhole(response, answer);
  }

  #answerToError(error: unknown): WholeAnswer {
    if (!(error instanceof ApiError)) this.#dependencies.onInternalError(error);
    const refusal = error instanceof ApiError ? error : internalError(error);
    return jsonAnswer(refusal.toStatus(), { status: refusal.code });
  }

  #checkToken(incoming: IncomingMessage): void {
    if (this.#token === undefined) return;
    const wanted = Buffer.from(`Bearer ${this.#token}`);
    const given = Buffer.from(incoming.headers.authorization ?? '');
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw unauthorized();
  }
}

async function readRequest(incoming: IncomingMessage): Promise<ApiRequest> {
  const url = new URL(incoming.url ?? '/', 'http://localhost');
  return {
    method: incoming.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    accept: incoming.headers.accept ?? '',
    contentType: incoming.headers['content-type'] ?? '',
    userAgent: incoming.headers['user-agent'] ?? '',
    body: await readBody(incoming),
  };
}

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > bodyBytesMax) {
      throw new ApiError({
        code: 413,
        reason: 'RequestEntityTooLarge',
        message: `Request entity too large: limit is ${bodyBytesMax}`,
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function encodeBody({ body, mediaType }: WholeAnswer): string | Buffer {
  if (Buffer.isBuffer(body)) return body;
  return mediaType.startsWith('text/') ? String(body) : `${formatJson(body)}\n`;
}

function writeWhole(response: ServerResponse, answer: WholeAnswer): void {
  const body = encodeBody(answer);
  response.statusCode = answer.status;
  response.setHeader('content-type', answer.mediaType);
  response.setHeader('content-length', Buffer.byteLength(body));
  response.setHeader('cache-control', 'no-cache, private');
  response.setHeader('audit-id', randomUUID());
  if (answer.warnings.length > 0) {
    const warnings = answer.warnings.map((text) => `299 - ${JSON.stringify(text)}`);
    response.setHeader('warning', warnings);
  }
  if (answer.status === 429 || answer.status === 503) response.setHeader('retry-after', '1');
  response.end(body);
}
