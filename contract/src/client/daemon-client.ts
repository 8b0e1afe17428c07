/**
 * The typed client of a storage daemon, made from the table of routes.
 *
 * - Every route is idempotent, so a call that got no answer (connection refused, reset, closed) is sent again
 *   a few times, within the call's deadline. An answer, also a problem, is never retried here: that is the
 *   caller's judgement.
 * - Every failure is a ProblemError: the daemon's own, or `unavailable` (cannot be reached),
 *   `deadline-exceeded` (no answer in time), `internal` (an answer that does not follow the contract). When
 *   the caller's signal ends the call, its reason is thrown.
 * - `close()` lets calls under way finish; `destroy()` does not. Both may be called twice.
 */
import type { z } from 'zod';

import type { Event } from '../event.ts';
import type { Filesystem } from '../filesystem.ts';
import type { Host } from '../host.ts';
import type { Info } from '../info.ts';
import type { Page } from '../page.ts';
import type { Pool } from '../pool.ts';
import { ProblemError } from '../problem.ts';
import { otherPaths, routes, type Route, type RouteName, type Routes } from '../routes.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Volume } from '../volume.ts';
import { readEvents } from './event-stream.ts';
import { Transport, type CallOptions, type DaemonClientOptions } from './transport.ts';

export type { CallOptions, DaemonClientOptions } from './transport.ts';

/** The body that a route takes. */
export type BodyOf<Name extends RouteName> = Routes[Name]['body'] extends z.ZodType
  ? z.input<Routes[Name]['body']>
  : undefined;
/** The query that a route takes. */
export type QueryOf<Name extends RouteName> = z.input<Routes[Name]['query']>;
/** What a route answers; undefined for 204. */
export type ReplyOf<Name extends RouteName> = Routes[Name]['reply'] extends z.ZodType
  ? z.output<Routes[Name]['reply']>
  : undefined;

/** What a call says besides its route. */
export interface CallInput<Name extends RouteName> {
  readonly params?: z.input<Routes[Name]['params']>;
  readonly query?: QueryOf<Name>;
  readonly body?: BodyOf<Name>;
}

/** Names a grant. */
export interface HostGrantName {
  readonly volume: string;
  readonly hostNqn: string;
}

/** A client of one daemon. */
export class DaemonClient {
  readonly #transport: Transport;

  constructor(options: DaemonClientOptions) {
    this.#transport = new Transport(options);
  }

  /** Calls any route. The methods below are the same with names. */
  async call<Name extends RouteName>(
    name: Name,
    input: CallInput<Name> = {},
    options: CallOptions = {},
  ): Promise<ReplyOf<Name>> {
    const route: Route = routes[name];
    const path = fillPath(route.path, input.params) + formatQuery(input.query);
    const action = `${route.method} ${path}`;
    const request = { action, method: route.method, path, body: input.body };
    const text = await this.#transport.send(request, options);
    return parseReply(action, route, text) as ReplyOf<Name>;
  }

  async getHealth(options?: CallOptions): Promise<void> {
    await this.call('getHealth', {}, options);
  }

  /** Throws `unavailable` with the reason while the daemon is starting or stopping. */
  async getReadiness(options?: CallOptions): Promise<void> {
    await this.call('getReadiness', {}, options);
  }

  async getInfo(options?: CallOptions): Promise<Info> {
    return this.call('getInfo', {}, options);
  }

  async listPools(query: QueryOf<'listPools'> = {}, options?: CallOptions): Promise<Page<Pool>> {
    return this.call('listPools', { query }, options);
  }

  async getPool(pool: string, options?: CallOptions): Promise<Pool> {
    return this.call('getPool', { params: { pool } }, options);
  }

  async putPool(pool: string, body: BodyOf<'putPool'>, options?: CallOptions): Promise<Pool> {
    return this.call('putPool', { params: { pool }, body }, options);
  }

  async listVolumes(
    query: QueryOf<'listVolumes'> = {},
    options?: CallOptions,
  ): Promise<Page<Volume>> {
    return this.call('listVolumes', { query }, options);
  }

  async getVolume(volume: string, options?: CallOptions): Promise<Volume> {
    return this.call('getVolume', { params: { volume } }, options);
  }

  async putVolume(
    volume: string,
    body: BodyOf<'putVolume'>,
    options?: CallOptions,
  ): Promise<Volume> {
    return this.call('putVolume', { params: { volume }, body }, options);
  }

  async patchVolume(
    volume: string,
    body: BodyOf<'patchVolume'>,
    options?: CallOptions,
  ): Promise<Volume> {
    return this.call('patchVolume', { params: { volume }, body }, options);
  }

  async deleteVolume(volume: string, options?: CallOptions): Promise<void> {
    await this.call('deleteVolume', { params: { volume } }, options);
  }

  /** Puts a volume back to a snapshot; `revert` is the caller's id of this one revert. */
  async putRevert(
    { volume, revert }: { readonly volume: string; readonly revert: string },
    body: BodyOf<'putRevert'>,
    options?: CallOptions,
  ): Promise<Volume> {
    return this.call('putRevert', { params: { volume, revert }, body }, options);
  }

  async getFilesystem(volume: string, options?: CallOptions): Promise<Filesystem> {
    return this.call('getFilesystem', { params: { volume } }, options);
  }

  async putFilesystem(
    volume: string,
    body: BodyOf<'putFilesystem'>,
    options?: CallOptions,
  ): Promise<Filesystem> {
    return this.call('putFilesystem', { params: { volume }, body }, options);
  }

  /** The grants of a volume. */
  async listHosts(volume: string, options?: CallOptions): Promise<Page<Host>> {
    return this.call('listHosts', { params: { volume } }, options);
  }

  async getHost(grant: HostGrantName, options?: CallOptions): Promise<Host> {
    return this.call('getHost', { params: grant }, options);
  }

  /** Grants access; `in-use` while another host has it. */
  async putHost(
    grant: HostGrantName,
    body: BodyOf<'putHost'> = {},
    options?: CallOptions,
  ): Promise<Host> {
    return this.call('putHost', { params: grant, body }, options);
  }

  /** Revokes access; afterwards nothing that the host has sent can change the volume. */
  async deleteHost(grant: HostGrantName, options?: CallOptions): Promise<void> {
    await this.call('deleteHost', { params: grant }, options);
  }

  async listSnapshots(
    query: QueryOf<'listSnapshots'> = {},
    options?: CallOptions,
  ): Promise<Page<Snapshot>> {
    return this.call('listSnapshots', { query }, options);
  }

  async getSnapshot(snapshot: string, options?: CallOptions): Promise<Snapshot> {
    return this.call('getSnapshot', { params: { snapshot } }, options);
  }

  async putSnapshot(
    snapshot: string,
    body: BodyOf<'putSnapshot'>,
    options?: CallOptions,
  ): Promise<Snapshot> {
    return this.call('putSnapshot', { params: { snapshot }, body }, options);
  }

  async deleteSnapshot(snapshot: string, options?: CallOptions): Promise<void> {
    await this.call('deleteSnapshot', { params: { snapshot } }, options);
  }

  /** What deleting these snapshots together would free, in bytes. */
  async getReclaimableBytes(ids: readonly string[], options?: CallOptions): Promise<number> {
    const reply = await this.call('postReclaimable', { body: { ids: [...ids] } }, options);
    return reply.reclaimableBytes;
  }

  /**
   * All volumes that a query selects, page by page. A volume made or deleted meanwhile may be in it or not.
   */
  async *allVolumes(
    query: QueryOf<'listVolumes'> = {},
    options?: CallOptions,
  ): AsyncGenerator<Volume> {
    yield* allPages((after) => this.listVolumes({ ...query, ...after }, options));
  }

  /**
   * All snapshots that a query selects, page by page. A snapshot made or deleted meanwhile may be in it or
   * not.
   */
  async *allSnapshots(
    query: QueryOf<'listSnapshots'> = {},
    options?: CallOptions,
  ): AsyncGenerator<Snapshot> {
    yield* allPages((after) => this.listSnapshots({ ...query, ...after }, options));
  }

  /** All pools. */
  async *allPools(options?: CallOptions): AsyncGenerator<Pool> {
    yield* allPages((after) => this.listPools(after, options));
  }

  /**
   * What happens from now on, until the signal ends it or the daemon goes away (then it throws
   * `unavailable`).
   */
  async *events(signal?: AbortSignal): AsyncGenerator<Event> {
    const action = `GET ${otherPaths.events}`;
    const request = { action, method: 'GET', path: otherPaths.events } as const;
    yield* readEvents(action, await this.#transport.stream(request, signal), signal);
  }

  /** Lets calls under way finish. */
  async close(): Promise<void> {
    await this.#transport.close();
  }

  /** Ends calls under way. */
  async destroy(): Promise<void> {
    await this.#transport.destroy();
  }
}

async function* allPages<Item>(
  list: (query: { readonly after?: string }) => Promise<Page<Item>>,
): AsyncGenerator<Item> {
  let page = await list({});
  yield* page.items;
  while (page.next !== undefined) {
    page = await list({ after: page.next });
    yield* page.items;
  }
}

function fillPath(template: string, params: Readonly<Record<string, unknown>> = {}): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name];
    if (typeof value !== 'string' || value === '') {
      throw new ProblemError('invalid-argument', `Calling ${template} failed: ${name} is missing`, {
        field: name,
      });
    }
    return encodeURIComponent(value);
  });
}

function formatQuery(query: Readonly<Record<string, unknown>> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const each of Array.isArray(value) ? value : [value]) search.append(name, String(each));
  }
  return search.size === 0 ? '' : `?${search.toString()}`;
}

function parseReply(action: string, route: Route, text: string): unknown {
  if (route.reply === undefined) return undefined;
  try {
    return route.reply.parse(JSON.parse(text));
  } catch (cause) {
    throw new ProblemError(
      'internal',
      `${action} failed: the answer does not follow the contract: ${String(cause).slice(0, 300)}`,
      { cause },
    );
  }
}
