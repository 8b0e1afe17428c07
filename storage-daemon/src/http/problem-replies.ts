/**
 * Turns whatever went wrong with a request into a problem. Unexpected errors get an id that the log carries;
 * their text stays inside.
 */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';

import type { Logger } from '@varve/common/logger';
import { isProblemError, ProblemError, toProblemDetails } from '@varve/contract/problem';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Content type of RFC 9457. */
export const problemContentType = 'application/problem+json';

/** The largest body: 1,000 ids of 100 characters for `snapshots:reclaimable`, with room. */
export const bodyBytesMax = 256 * 1024;

/** What Fastify's own errors mean here, by their code. */
const fastifyProblems: Readonly<Record<string, (error: Error) => ProblemError>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () => badBody('its content type must be application/json'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () => badBody('its length is not what Content-Length says'),
  FST_ERR_CTP_BODY_TOO_LARGE: () => badBody(`it is longer than ${bodyBytesMax} bytes`),
  FST_ERR_BAD_URL: (error) =>
    new ProblemError('invalid-argument', `Reading the path failed: ${error.message}`),
  FST_ERR_HANDLER_TIMEOUT: () =>
    new ProblemError(
      'deadline-exceeded',
      'The call takes longer than a request may; it goes on, and the same call again finds its result',
    ),
};

/** Sends a problem. */
export function sendProblem(reply: FastifyReply, problem: ProblemError): FastifyReply {
  const details = toProblemDetails(problem);
  if (problem.retryAfterSeconds !== undefined) {
    void reply.header('retry-after', Math.ceil(problem.retryAfterSeconds));
  }
  if (problem.kind === 'unauthenticated') void reply.header('www-authenticate', 'Bearer');
  return reply.code(details.status).type(problemContentType).send(details);
}

/** The problem behind an error of a handler or of Fastify. */
export function toProblem(error: unknown, request: FastifyRequest, logger: Logger): ProblemError {
  if (isProblemError(error)) return error;
  const { code } = error as { code?: unknown };
  const known = typeof code === 'string' ? fastifyProblems[code] : undefined;
  if (known) return known(error as Error);
  const instance = `urn:uuid:${randomUUID()}`;
  logger.error(
    { err: error, instance, method: request.method, url: request.url },
    'request failed',
  );
  return new ProblemError(
    'internal',
    `${request.method} ${request.url} failed because of an error in the daemon; its log says more under ${instance}`,
    { instance },
  );
}

/** Reads a body; what is wrong with it is said with the place. A key that could reach a prototype is refused. */
export function parseJsonBody(text: string): unknown {
  if (text === '') throw badBody('it is empty; a JSON object is expected');
  try {
    return JSON.parse(text, (key, value: unknown) => {
      if (key === '__proto__') throw new SyntaxError('the key "__proto__" is not allowed');
      return value;
    });
  } catch (error) {
    throw badBody(`it is no JSON: ${(error as Error).message.replaceAll(/\s+/g, ' ')}`);
  }
}

/** Answers what is no HTTP at all, and ends the connection. */
export function answerNoHttp(error: Error & { readonly code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const kind = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'deadline-exceeded' : 'invalid-argument';
  const why = error.code ?? error.message;
  const details = toProblemDetails(new ProblemError(kind, `Reading the request failed: ${why}`));
  const body = JSON.stringify(details);
  socket.end(
    `HTTP/1.1 ${details.status} ${details.title}\r\ncontent-type: ${problemContentType}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function badBody(why: string): ProblemError {
  return new ProblemError('invalid-argument', `Reading the body failed: ${why}`);
}
