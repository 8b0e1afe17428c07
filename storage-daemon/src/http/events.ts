/**
 * The event stream (server-sent events). A reader that does not keep up loses events instead of filling our
 * memory: it is told so with an `overflow` event once it reads again, and must list.
 */
import { ProblemError } from '@varve/contract/problem';
import { otherPathRoles, otherPaths } from '@varve/contract/routes';
import type { Event } from '@varve/contract/event';
import type { FastifyInstance } from 'fastify';
import type { ServerResponse } from 'node:http';

import type { HttpServices } from './http-services.ts';

/** Streams at one time, over all listeners: each holds a socket and a buffer. */
const streamsMax = 64;
/** Bytes that a stream may have unsent: a thousand events. */
const bufferBytesMax = 256 * 1024;
/** A comment at least this often, so that a reader knows that we live, and we notice that it does not. */
const keepAliveMs = 5000;

/** Registers the stream. */
export function registerEvents(app: FastifyInstance, services: HttpServices): void {
  app.get(
    otherPaths.events,
    { schema: { hide: true }, config: { roles: otherPathRoles.events } },
    (_, reply) => {
      if (services.events.listenerCount >= streamsMax) {
        throw new ProblemError(
          'too-many-requests',
          `Opening the event stream failed: ${streamsMax} streams are open already`,
          { retryAfterSeconds: 10 },
        );
      }
      reply.hijack();
      serveStream(reply.raw, services);
    },
  );
}

function serveStream(response: ServerResponse, { events, stopping }: HttpServices): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.write(': events of this daemon from now on\n\n');
  let hasOverflowed = false;
  const send = (event: Event): void => {
    if (response.writableLength > bufferBytesMax) {
      hasOverflowed = true;
      return;
    }
    if (hasOverflowed) response.write(format(overflowBefore(event)));
    hasOverflowed = false;
    response.write(format(event));
  };
  const unsubscribe = events.subscribe(send);
  const keepAlive = setInterval(() => {
    if (response.writableLength <= bufferBytesMax) response.write(': alive\n\n');
  }, keepAliveMs);
  const end = (): void => void response.end();
  stopping.addEventListener('abort', end);
  response.on('close', () => {
    clearInterval(keepAlive);
    unsubscribe();
    stopping.removeEventListener('abort', end);
  });
  if (stopping.aborted) end();
}

function format(event: Event): string {
  return `id: ${event.sequence}\ndata: ${JSON.stringify(event)}\n\n`;
}

function overflowBefore({ sequence, at }: Event): Event {
  const message = 'Events were dropped because this stream was read too slowly: list again.';
  return { sequence, at, type: 'overflow', object: 'daemon', message };
}
