/** A route of the contract as Fastify and OpenAPI need it. */
import { commonProblems, type Route, type RouteName } from '@varve/contract/routes';
import { problemDetailsSchema, problemTable, type ProblemKind } from '@varve/contract/problem';
import type { Role } from '@varve/contract/role';
import type { FastifySchema } from 'fastify';
import { z } from 'zod';

import { problemContentType } from './problem-replies.ts';

/** A schema with what OpenAPI shows besides. */
export type DescribedSchema = FastifySchema & {
  readonly summary: string;
  readonly description: string;
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly security?: readonly [];
};

/** What the hooks ask of a route. */
export interface RouteAccess {
  readonly isPublic: boolean;
  readonly roles: readonly Role[];
}

/** The path with Fastify's parameters; a colon that is none is doubled. */
export function toFastifyPath(path: string): string {
  return path.replaceAll(':', '::').replace(/\{(\w+)\}/g, ':$1');
}

/** Checks and description of a route. */
export function toFastifySchema(name: RouteName, route: Route): DescribedSchema {
  return {
    summary: route.summary,
    description: describeAccess(route),
    operationId: name,
    tags: [/^\/v1\/(\w+)/.exec(route.path)?.[1] ?? 'health'],
    params: route.params,
    querystring: route.query,
    ...(route.body && { body: route.body }),
    response: { ...successes(route), ...problems(route) },
    ...(route.isPublic && { security: [] as const }),
  };
}

function describeAccess({ isPublic, roles }: Route): string {
  return isPublic ? 'Open to all.' : `Roles: ${roles.join(', ')}.`;
}

function successes({ reply, creates }: Route): Record<number, z.ZodType> {
  if (reply === undefined) return { 204: z.undefined().meta({ description: 'Done' }) };
  return creates ? { 200: reply, 201: reply } : { 200: reply };
}

function problems(route: Route): Record<number, object> {
  const kinds: readonly ProblemKind[] = [...commonProblems, ...route.problems];
  const byStatus = Map.groupBy(new Set(kinds), (kind) => problemTable[kind].httpStatus);
  return Object.fromEntries(
    [...byStatus].map(([status, each]) => [
      status,
      {
        description: each.join(', '),
        content: { [problemContentType]: { schema: problemDetailsSchema } },
      },
    ]),
  );
}
