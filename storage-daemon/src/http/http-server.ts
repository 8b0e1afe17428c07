/**
 * The REST server of one listener: the routes of the contract's table, each checked by its schemas on the
 * way in and out, and the three paths that answer something else than one JSON document. All state is in
 * the services, which listeners share.
 */
import type { Server } from 'node:tls';

import type { Logger } from '@varve/common/logger';
import { hostNqnLengthMax } from '@varve/contract/host';
import { ProblemError } from '@varve/contract/problem';
import { routes, type Route, type RouteName } from '@varve/contract/routes';
import {
  fastify,
  type FastifyInstance,
  type FastifyRequest,
  type FastifySchemaCompiler,
  type FastifyServerOptions,
  LogController,
} from 'fastify';
import { serializerCompiler } from 'fastify-type-provider-zod';
import { z } from 'zod';

import type { Creation } from '../reactor/messages.ts';
import type { Authenticator } from './access/authentication.ts';
import { type Caller, owner, requireRole } from './access/caller.ts';
import { createInfoHandlers } from './daemon-info.ts';
import { registerEvents } from './events.ts';
import type { HttpServices } from './http-services.ts';
import { describeIssues, type RequestPart } from './input-problems.ts';
import { registerMetrics } from './metrics.ts';
import { registerOpenapi } from './openapi.ts';
import { createPoolHandlers } from './pools.ts';
import {
  answerNoHttp,
  bodyBytesMax,
  parseJsonBody,
  sendProblem,
  toProblem,
} from './problem-replies.ts';
import type { RouteHandlers } from './route-handlers.ts';
import { type RouteAccess, toFastifyPath, toFastifySchema } from './route-schema.ts';
import { createSnapshotHandlers } from './snapshots.ts';
import type { TlsFiles } from './access/tls-files.ts';
import { createVolumeHandlers } from './volumes.ts';

/** A request must have arrived within this time, so that slow senders cannot hold connections. */
const requestTimeoutMs = 30_000;
/** A call is answered within this time; only formatting a large pool may take longer, and then goes on. */
const handlerTimeoutMsDefault = 60_000;
/**
 * Longer than what proxies and clients usually keep a connection, so that it is not we who close under a
 * request.
 */
const keepAliveTimeoutMs = 75_000;
/** Connections of one listener: many times what an operator and a scraper need. */
const connectionsMax = 512;

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls; null on public routes, where nobody is asked. */
    caller: Caller | null;
  }
}

/** What makes this listener differ from others. */
export interface HttpServerOptions {
  readonly version: string;
  /** Of a listener with TLS. */
  readonly tls: TlsFiles | undefined;
  /** Undefined: whoever can connect is admin (a unix socket, or loopback by choice). */
  readonly authenticator: Authenticator | undefined;
  /** Time for a call; default 60 s. */
  readonly handlerTimeoutMs?: number;
}

/** Creates the server; it does not listen yet. */
export async function createHttpServer(
  options: HttpServerOptions,
  services: HttpServices,
): Promise<FastifyInstance> {
  const app = createFastify(options, services.logger);
  app.server.maxConnections = connectionsMax;
  app.setValidatorCompiler(compileValidator as FastifySchemaCompiler<unknown>);
  app.setSerializerCompiler(serializerCompiler as never);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<string>(
    'application/json',
    { parseAs: 'string' },
    // Many clients name a content type with every request; a DELETE has no body that could be missing.
    async (request: FastifyRequest, text: string) =>
      text === '' && request.method === 'DELETE' ? undefined : parseJsonBody(text),
  );
  app.setErrorHandler((error, request, reply) =>
    sendProblem(reply, toProblem(error, request, services.logger)),
  );
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      reply,
      new ProblemError(
        'not-found',
        `There is no ${request.method} ${request.url.split('?')[0]}; /openapi.json lists all routes`,
      ),
    ),
  );
  // Its place in the request must be there before requests are.
  app.decorateRequest('caller', null);
  addHooks(app, options.authenticator, services);
  options.tls?.follow(app.server as unknown as Server);
  await registerOpenapi(app, options.version);
  registerRoutes(app, {
    ...createInfoHandlers(services),
    ...createPoolHandlers(services),
    ...createVolumeHandlers(services),
    ...createSnapshotHandlers(services),
  });
  registerEvents(app, services);
  registerMetrics(app, services);
  await app.ready();
  return app;
}

function createFastify(
  { tls, handlerTimeoutMs }: HttpServerOptions,
  logger: Logger,
): FastifyInstance {
  const options: FastifyServerOptions = {
    loggerInstance: logger,
    // The hook below logs each request once, with its answer.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyBytesMax,
    requestTimeout: requestTimeoutMs,
    handlerTimeout: handlerTimeoutMs ?? handlerTimeoutMsDefault,
    keepAliveTimeout: keepAliveTimeoutMs,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      void sendProblem(reply, toProblem(error, request, logger));
    },
    clientErrorHandler: answerNoHttp,
    // The longest NQN, each character escaped.
    routerOptions: { maxParamLength: 3 * hostNqnLengthMax },
  };
  if (tls === undefined) return fastify(options);
  // A certificate that is not valid is refused with a sentence, not with a broken connection.
  const https = { ...tls.options, requestCert: tls.asksClients, rejectUnauthorized: false };
  return fastify({ ...options, https } as FastifyServerOptions);
}

function addHooks(
  app: FastifyInstance,
  authenticator: Authenticator | undefined,
  services: HttpServices,
): void {
  app.addHook('onRequest', async (request) => {
    const { isPublic, roles } = request.routeOptions.config as Partial<RouteAccess>;
    if (isPublic === true) return;
    const { authorization } = request.headers;
    const caller = authenticator?.authenticate(request.raw.socket, authorization) ?? owner;
    request.caller = caller;
    if (roles) requireRole(`${request.method} ${request.routeOptions.url}`, caller, roles);
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    const labels = { method: request.method, route, status: reply.statusCode };
    services.metrics.observeRequest(labels, reply.elapsedTime / 1000);
    const level = request.method === 'GET' ? 'debug' : 'info';
    services.logger[level](
      {
        method: request.method,
        url: request.url,
        status: reply.statusCode,
        elapsedMs: Math.round(reply.elapsedTime),
        role: request.caller?.role,
        traceparent: request.headers['traceparent'],
      },
      'request',
    );
  });
}

function registerRoutes(app: FastifyInstance, handlers: RouteHandlers): void {
  for (const [key, route] of Object.entries(routes) as [RouteName, Route][]) {
    const handler = handlers[key] as (input: unknown) => Promise<unknown>;
    app.route({
      method: route.method,
      url: toFastifyPath(route.path),
      schema: toFastifySchema(key, route),
      config: { isPublic: route.isPublic, roles: route.roles } satisfies RouteAccess,
      handler: async (request, reply) => {
        const { params, query, body, caller } = request;
        const result = await handler({ params, query, body, caller: caller ?? owner });
        if (route.reply === undefined) return reply.code(204).send();
        if (!route.creates) return reply.code(200).send(result);
        const { isNew, object } = result as Creation<unknown>;
        return reply.code(isNew ? 201 : 200).send(object);
      },
    });
  }
}

/** Checks a part of a request; what is wrong with it becomes one sentence. */
function compileValidator({
  schema,
  httpPart,
}: {
  readonly schema: z.ZodType;
  readonly httpPart?: string;
}): (data: unknown) => { readonly value: unknown } | { readonly error: Error } {
  return (data) => {
    const result = schema.safeParse(data);
    if (result.success) return { value: result.data };
    return { error: describeIssues(httpPart as RequestPart, schema, result.error.issues) };
  };
}
