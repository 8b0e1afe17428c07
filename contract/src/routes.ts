/**
 * The one table of routes: the server registers what stands here and nothing else, the client is made from
 * it, and OpenAPI describes it. A mismatch between the two sides is a compile error.
 */
import { z } from 'zod';
import { filesystemSchema, putFilesystemSchema } from './filesystem.ts';
import { hostNqnSchema, hostPageSchema, hostSchema, putHostSchema } from './host.ts';
import { idSchema } from './identifier.ts';
import { healthSchema, infoSchema } from './info.ts';
import { listPoolsQuerySchema, poolPageSchema, poolSchema, putPoolSchema } from './pool.ts';
import type { ProblemKind } from './problem.ts';
import type { Role } from './role.ts';
import {
  listSnapshotsQuerySchema,
  postReclaimableSchema,
  putSnapshotSchema,
  reclaimableSchema,
  snapshotPageSchema,
  snapshotSchema,
} from './snapshot.ts';
import {
  listVolumesQuerySchema,
  patchVolumeSchema,
  putRevertSchema,
  putVolumeSchema,
  volumePageSchema,
  volumeSchema,
} from './volume.ts';

/** One route. Every route is idempotent: a client may repeat any call whose answer it did not get. */
export interface Route {
  readonly method: 'GET' | 'PUT' | 'PATCH' | 'POST' | 'DELETE';
  /** With parameters in braces: `/v1/volumes/{volume}`. */
  readonly path: string;
  readonly summary: string;
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
  /** Undefined: the route takes no body. */
  readonly body: z.ZodType | undefined;
  /** Undefined: success is 204 without a body. */
  readonly reply: z.ZodType | undefined;
  /** True: the first success is 201, a repeat 200. */
  readonly creates: boolean;
  /** Open to callers without credentials. */
  readonly isPublic: boolean;
  /** Who may call it, once it is known who calls. */
  readonly roles: readonly Role[];
  /** Kinds that this route answers besides those that any route can: see `commonProblems`. */
  readonly problems: readonly ProblemKind[];
}

/** What any route may answer. */
export const commonProblems = [
  'invalid-argument',
  'unauthenticated',
  'permission-denied',
  'too-many-requests',
  'internal',
  'unavailable',
  'deadline-exceeded',
] as const satisfies readonly ProblemKind[];

const everybody = ['admin', 'operator', 'node', 'viewer'] as const satisfies readonly Role[];
const readers = ['admin', 'operator', 'viewer'] as const satisfies readonly Role[];
const writers = ['admin', 'operator'] as const satisfies readonly Role[];
/** A node's own volumes only: see the handlers. */
const writersAndNodes = ['admin', 'operator', 'node'] as const satisfies readonly Role[];

const none = z.strictObject({});
const poolParams = z.strictObject({ pool: idSchema });
const volumeParams = z.strictObject({ volume: idSchema });
const snapshotParams = z.strictObject({ snapshot: idSchema });
const hostParams = z.strictObject({ volume: idSchema, hostNqn: hostNqnSchema });
const revertParams = z.strictObject({ volume: idSchema, revert: idSchema });

const get = {
  method: 'GET',
  params: none,
  query: none,
  body: undefined,
  creates: false,
  isPublic: false,
  roles: readers,
  problems: [],
} as const;
const put = { ...get, method: 'PUT', roles: writers } as const;
const remove = { ...put, method: 'DELETE', reply: undefined } as const;

/**
 * All routes that carry JSON. The event stream, metrics and OpenAPI document have paths of their own below.
 */
export const routes = {
  getHealth: {
    ...get,
    path: '/healthz',
    summary: 'The process lives',
    reply: healthSchema,
    isPublic: true,
    roles: everybody,
  },
  getReadiness: {
    ...get,
    path: '/readyz',
    summary: 'All known pools are open and the daemon takes calls',
    reply: healthSchema,
    isPublic: true,
    roles: everybody,
  },
  getInfo: { ...get, path: '/v1/info', summary: 'Identity and abilities', reply: infoSchema },
  listPools: {
    ...get,
    path: '/v1/pools',
    summary: 'List pools',
    query: listPoolsQuerySchema,
    reply: poolPageSchema,
  },
  getPool: {
    ...get,
    path: '/v1/pools/{pool}',
    summary: 'Capacity, conditions and devices of a pool',
    params: poolParams,
    reply: poolSchema,
    problems: ['not-found'],
  },
  putPool: {
    ...put,
    path: '/v1/pools/{pool}',
    summary: 'Format devices as a pool, and open it',
    params: poolParams,
    body: putPoolSchema,
    roles: ['admin'],
    reply: poolSchema,
    creates: true,
    problems: [
      'already-exists',
      'in-use',
      'failed-precondition',
      'aborted',
      'out-of-range',
      'insufficient-space',
      'data-loss',
    ],
  },
  listVolumes: {
    ...get,
    path: '/v1/volumes',
    summary: 'List volumes',
    query: listVolumesQuerySchema,
    reply: volumePageSchema,
    problems: ['data-loss'],
  },
  getVolume: {
    ...get,
    path: '/v1/volumes/{volume}',
    summary: 'A volume with its exact sizes',
    params: volumeParams,
    reply: volumeSchema,
    problems: ['not-found', 'data-loss'],
  },
  putVolume: {
    ...put,
    path: '/v1/volumes/{volume}',
    summary: 'Create a volume: empty, from a snapshot, or from a volume',
    params: volumeParams,
    body: putVolumeSchema,
    reply: volumeSchema,
    creates: true,
    problems: [
      'not-found',
      'already-exists',
      'failed-precondition',
      'aborted',
      'out-of-range',
      'insufficient-space',
      'data-loss',
    ],
  },
  patchVolume: {
    ...put,
    method: 'PATCH',
    path: '/v1/volumes/{volume}',
    summary: 'Grow a volume, replace its labels or its limits',
    params: volumeParams,
    body: patchVolumeSchema,
    reply: volumeSchema,
    problems: ['not-found', 'aborted', 'out-of-range', 'insufficient-space', 'data-loss'],
  },
  deleteVolume: {
    ...remove,
    path: '/v1/volumes/{volume}',
    summary: 'Delete a volume; absent is fine',
    params: volumeParams,
    problems: ['in-use', 'aborted', 'data-loss'],
  },
  putRevert: {
    ...put,
    path: '/v1/volumes/{volume}/reverts/{revert}',
    summary:
      'Put a volume back to a snapshot, in place; a repeat of one of the last 8 does nothing',
    params: revertParams,
    body: putRevertSchema,
    reply: volumeSchema,
    problems: [
      'not-found',
      'already-exists',
      'in-use',
      'failed-precondition',
      'aborted',
      'insufficient-space',
      'data-loss',
    ],
  },
  getFilesystem: {
    ...get,
    path: '/v1/volumes/{volume}/filesystem',
    summary: 'What file system the volume carries',
    roles: everybody,
    params: volumeParams,
    reply: filesystemSchema,
    problems: ['not-found'],
  },
  putFilesystem: {
    ...put,
    path: '/v1/volumes/{volume}/filesystem',
    summary: 'Move the file system state on: blank, formatting, ready',
    roles: writersAndNodes,
    params: volumeParams,
    body: putFilesystemSchema,
    reply: filesystemSchema,
    problems: ['not-found', 'failed-precondition', 'aborted', 'data-loss', 'insufficient-space'],
  },
  listHosts: {
    ...get,
    path: '/v1/volumes/{volume}/hosts',
    summary: 'Hosts that may attach the volume',
    params: volumeParams,
    reply: hostPageSchema,
    problems: ['not-found'],
  },
  getHost: {
    ...get,
    path: '/v1/volumes/{volume}/hosts/{hostNqn}',
    summary: 'A grant, without its keys',
    params: hostParams,
    reply: hostSchema,
    problems: ['not-found'],
  },
  putHost: {
    ...put,
    path: '/v1/volumes/{volume}/hosts/{hostNqn}',
    summary: 'Grant a host access, or replace its keys; refused while another host has access',
    params: hostParams,
    body: putHostSchema,
    reply: hostSchema,
    creates: true,
    problems: ['not-found', 'in-use', 'aborted', 'insufficient-space', 'data-loss'],
  },
  deleteHost: {
    ...remove,
    path: '/v1/volumes/{volume}/hosts/{hostNqn}',
    summary:
      'Revoke access; answers when nothing that the host has sent can change the volume any more',
    params: hostParams,
    problems: ['aborted', 'insufficient-space', 'data-loss'],
  },
  listSnapshots: {
    ...get,
    path: '/v1/snapshots',
    summary: 'List snapshots',
    query: listSnapshotsQuerySchema,
    reply: snapshotPageSchema,
    problems: ['data-loss'],
  },
  getSnapshot: {
    ...get,
    path: '/v1/snapshots/{snapshot}',
    summary: 'A snapshot with its exact sizes and references',
    params: snapshotParams,
    reply: snapshotSchema,
    problems: ['not-found', 'data-loss'],
  },
  putSnapshot: {
    ...put,
    path: '/v1/snapshots/{snapshot}',
    summary: 'Take a snapshot of a volume',
    params: snapshotParams,
    body: putSnapshotSchema,
    reply: snapshotSchema,
    creates: true,
    problems: ['not-found', 'already-exists', 'aborted', 'insufficient-space', 'data-loss'],
  },
  deleteSnapshot: {
    ...remove,
    path: '/v1/snapshots/{snapshot}',
    summary: 'Delete a snapshot; absent is fine',
    params: snapshotParams,
    problems: ['in-use', 'failed-precondition', 'aborted', 'data-loss'],
  },
  postReclaimable: {
    ...put,
    method: 'POST',
    path: '/v1/snapshots:reclaimable',
    summary: 'What deleting these snapshots together would free; changes nothing',
    roles: readers,
    body: postReclaimableSchema,
    reply: reclaimableSchema,
    problems: ['not-found', 'data-loss'],
  },
} as const satisfies Record<string, Route>;

/** The table of routes as a type: the client is made from it. */
export type Routes = typeof routes;

/** The key of a route. */
export type RouteName = keyof Routes;

/** Paths that answer something else than one JSON document. */
export const otherPaths = {
  events: '/v1/events',
  metrics: '/metrics',
  openapi: '/openapi.json',
} as const;

/** Who may read these. */
export const otherPathRoles = {
  events: readers,
  metrics: readers,
  openapi: everybody,
} as const satisfies Record<keyof typeof otherPaths, readonly Role[]>;
