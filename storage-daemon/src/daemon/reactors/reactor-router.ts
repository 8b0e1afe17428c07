/**
 * Several reactors as one: each call goes to the reactor that has the object, or to all of them whose answers are then
 * merged. What is made from another object is made where that one is; a new volume goes to the reactor with the
 * fewest objects for each of its cells in the pool. (Free space is no reason to choose: cells take groups of blocks
 * from the whole pool as they need them.)
 */
import { assert } from '@varve/common/assert';
import { isProblemError, ProblemError, type ProblemKind } from '@varve/contract/problem';

import type { ReactorCalls } from '../../reactor/channel.ts';
import type {
  ArgumentOf,
  ListArgument,
  OpenPool,
  OperationName,
  ReactorCounters,
  ReplyOf,
} from '../../reactor/messages.ts';
import type { NodeName } from '../../store/store-api.ts';
import { mergeCounters, mergePages, mergeParts } from './merge-replies.ts';
import type { NodeDirectory, PlacedNode } from './node-directory.ts';
import type { PoolOpener } from './pool-opener.ts';
import { describeFailure, type FleetReactor, type ReactorFleet } from './reactor-fleet.ts';

/** What the router works with. */
export interface ReactorRouterDependencies {
  readonly fleet: ReactorFleet;
  readonly directory: NodeDirectory;
  readonly opener: PoolOpener;
}

/** Calls of one reactor that others than the router make. */
type DirectOperation =
  | 'start'
  | 'listenForNvme'
  | 'holdPool'
  | 'openPart'
  | 'dropPool'
  | 'noteNvmeAddresses'
  | 'adoptNbdClient'
  | 'adoptNvmeQueue'
  | 'shutdown';

type Routes = {
  readonly [Name in Exclude<OperationName, DirectOperation>]: (
    argument: ArgumentOf<Name>,
  ) => Promise<ReplyOf<Name>>;
};

/** After these nobody knows what the reactor has done. */
const uncertainKinds: ReadonlySet<ProblemKind> = new Set(['unavailable', 'data-loss', 'internal']);

/** Routes calls. */
export class ReactorRouter implements ReactorCalls {
  readonly #fleet: ReactorFleet;
  readonly #directory: NodeDirectory;
  readonly #opener: PoolOpener;
  readonly #routes: Routes;

  constructor({ fleet, directory, opener }: ReactorRouterDependencies) {
    this.#fleet = fleet;
    this.#directory = directory;
    this.#opener = opener;
    this.#routes = this.#createRoutes();
  }

  get pendingCount(): number {
    return this.#fleet.reactors.reduce((sum, { channel }) => sum + channel.pendingCount, 0);
  }

  call<Name extends OperationName>(
    operation: Name,
    argument: ArgumentOf<Name>,
  ): Promise<ReplyOf<Name>> {
    const route = (this.#routes as Partial<Record<OperationName, unknown>>)[operation];
    assert(route !== undefined, `${operation} is for one reactor`);
    return (route as (argument: ArgumentOf<Name>) => Promise<ReplyOf<Name>>)(argument);
  }

  #createRoutes(): Routes {
    const volume = <Name extends OperationName>(operation: Name) => this.#byId('volume', operation);
    const snapshot = <Name extends OperationName>(operation: Name) =>
      this.#byId('snapshot', operation);
    return {
      preparePool: (argument) => this.#fleet.lead.channel.call('preparePool', argument),
      releasePool: (argument) => this.#fleet.lead.channel.call('releasePool', argument),
      formatPool: (argument) => {
        const reactorCount = this.#fleet.reactors.length;
        return this.#fleet.lead.channel.call('formatPool', { ...argument, reactorCount });
      },
      openPool: (argument) => this.#openPool(argument),
      listPools: () => this.#listPools(),
      putVolume: (argument) => this.#putVolume(argument),
      patchVolume: volume('patchVolume'),
      getVolume: volume('getVolume'),
      listVolumes: async (argument) => {
        const calls = this.#listers(argument).map(({ channel }) =>
          channel.call('listVolumes', argument),
        );
        return mergePages(await Promise.all(calls), argument.limit);
      },
      deleteVolume: volume('deleteVolume'),
      putRevert: (argument) => this.#putRevert(argument),
      getFilesystem: volume('getFilesystem'),
      putFilesystem: volume('putFilesystem'),
      putHost: volume('putHost'),
      getHost: volume('getHost'),
      listHosts: volume('listHosts'),
      deleteHost: volume('deleteHost'),
      putSnapshot: (argument) => {
        const { id, body } = argument;
        const source = { kind: 'volume', name: body.volume } as const;
        return this.#create(
          { kind: 'snapshot', name: id },
          this.#directory.reactorOf(source),
          (to) => to.channel.call('putSnapshot', argument),
        );
      },
      getSnapshot: snapshot('getSnapshot'),
      listSnapshots: async (argument) => {
        const calls = this.#listers(argument).map(({ channel }) =>
          channel.call('listSnapshots', argument),
        );
        return mergePages(await Promise.all(calls), argument.limit);
      },
      deleteSnapshot: snapshot('deleteSnapshot'),
      countReclaimable: (argument) => this.#countReclaimable(argument),
      readCounters: () => this.#readCounters(),
    };
  }

  /** Calls that name the object that they are about; for one that nobody has, any reactor knows what to say. */
  #byId<Name extends OperationName>(
    kind: NodeName['kind'],
    operation: Name,
  ): (argument: ArgumentOf<Name>) => Promise<ReplyOf<Name>> {
    return (argument) => {
      const node = { kind, name: (argument as { readonly id: string }).id };
      const place = this.#directory.reactorOf(node);
      const at = { reactor: this.#reactorAt(place), isPlaced: place !== undefined };
      return this.#keepingPlace(node, at, (to) => to.channel.call(operation, argument));
    };
  }

  #putVolume(argument: ArgumentOf<'putVolume'>): Promise<ReplyOf<'putVolume'>> {
    const { id, body } = argument;
    const { snapshot, volume } = body.source ?? {};
    const source: NodeName | undefined =
      snapshot !== undefined
        ? { kind: 'snapshot', name: snapshot }
        : volume !== undefined
          ? { kind: 'volume', name: volume }
          : undefined;
    const found = source && this.#directory.find(source);
    if (found && !this.#directory.find({ kind: 'volume', name: id })) {
      this.#requireSamePool(id, body.pool, found);
    }
    const place = source ? this.#directory.reactorOf(source) : this.#choose(body.pool);
    return this.#create({ kind: 'volume', name: id }, place, (to) =>
      to.channel.call('putVolume', argument),
    );
  }

  /** The source's reactor may not know the other pool at all. */
  #requireSamePool(id: string, pool: string, source: PlacedNode): void {
    if (source.pool === pool || this.#fleet.partsOf(pool).length === 0) return;
    throw new ProblemError(
      'invalid-argument',
      `Creating volume "${id}" in pool "${pool}" failed: ${source.kind} "${source.name}" is in pool ` +
        `"${source.pool}", and what is made from it must be in the same`,
      { field: 'pool' },
    );
  }

  async #putRevert(argument: ArgumentOf<'putRevert'>): Promise<ReplyOf<'putRevert'>> {
    const { id, snapshot } = argument;
    const volume = this.#directory.find({ kind: 'volume', name: id });
    const target = this.#directory.find({ kind: 'snapshot', name: snapshot });
    if (volume && target && volume.reactor !== target.reactor) {
      throw new ProblemError(
        'failed-precondition',
        `Reverting volume "${id}" to snapshot "${snapshot}" failed: it is a snapshot of another volume`,
        { field: 'snapshot' },
      );
    }
    return this.#byId('volume', 'putRevert')(argument);
  }

  async #countReclaimable({ ids }: ArgumentOf<'countReclaimable'>): Promise<number> {
    const byReactor = new Map<FleetReactor, string[]>();
    for (const name of ids) {
      const reactor = this.#reactorAt(this.#directory.reactorOf({ kind: 'snapshot', name }));
      byReactor.set(reactor, [...(byReactor.get(reactor) ?? []), name]);
    }
    const counts = [...byReactor].map(([{ channel }, names]) =>
      channel.call('countReclaimable', { ids: names }),
    );
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  }

  async #openPool(argument: ArgumentOf<'openPool'>): Promise<OpenPool> {
    await this.#opener.open(argument);
    const found = (await this.#listPools()).find(({ pool }) => pool === argument.pool);
    if (found) return found;
    const message = `Opening pool "${argument.pool}" failed: no reactor that serves it works`;
    throw new ProblemError('unavailable', message);
  }

  async #listPools(): Promise<readonly OpenPool[]> {
    const { running } = this.#fleet;
    const all = (
      await Promise.all(running.map(({ channel }) => channel.call('listPools', undefined)))
    ).flat();
    // While a pool is being opened, some have their part already.
    const names = [...new Set(all.map(({ pool }) => pool))].sort();
    return names.map((name) => {
      const merged = mergeParts(all.filter(({ pool }) => pool === name));
      const failed = this.#fleet.partsOf(name).find(({ hasFailed }) => hasFailed);
      if (!failed) return merged;
      const why = {
        status: 'False',
        reason: 'ReactorFailed',
        message: describeFailure(failed),
      } as const;
      const conditions = merged.conditions.map((each) => ({ ...each, ...why }));
      return { ...merged, conditions };
    });
  }

  async #readCounters(): Promise<ReactorCounters> {
    const read = this.#fleet.running.map(async ({ channel, index }) => ({
      ...(await channel.call('readCounters', undefined)),
      reactor: index,
    }));
    const failed = this.#fleet.reactors.filter(({ hasFailed }) => hasFailed);
    return mergeCounters(
      await Promise.all(read),
      failed.map(({ index }) => index),
    );
  }

  /** Who has what a list shows. @throws ProblemError `unavailable` if one of them has failed. */
  #listers({ pool }: ListArgument): readonly FleetReactor[] {
    const asked =
      pool === undefined
        ? this.#fleet.reactors.filter(({ parts, hasFailed }) => parts.size > 0 || !hasFailed)
        : this.#fleet.partsOf(pool);
    const failed = asked.find(({ hasFailed }) => hasFailed);
    if (failed) {
      throw new ProblemError('unavailable', `Listing failed: ${describeFailure(failed)}`);
    }
    return asked.length > 0 ? asked : [this.#fleet.lead];
  }

  /** Where a new family of a pool goes; undefined if nobody serves it. */
  #choose(pool: string): number | undefined {
    const serving = this.#fleet.partsOf(pool).filter(({ hasFailed }) => !hasFailed);
    const writable = serving.filter(({ parts }) => !parts.get(pool)!.isReadOnly);
    const load = ({ index, parts }: FleetReactor): number =>
      this.#directory.count(pool, index) / parts.get(pool)!.cells.length;
    const [best] = (writable.length > 0 ? writable : serving)
      .map((reactor) => ({ reactor, load: load(reactor) }))
      .sort((a, b) => a.load - b.load || a.reactor.index - b.reactor.index);
    return best?.reactor.index;
  }

  /** Makes an object at `place`, or finds it where it is. Undefined: nobody can make it, the lead says why. */
  async #create<Result>(
    node: NodeName,
    place: number | undefined,
    task: (reactor: FleetReactor) => Promise<Result>,
  ): Promise<Result> {
    const known = this.#directory.reactorOf(node);
    const isPlaced = known !== undefined || place !== undefined;
    return this.#keepingPlace(node, { reactor: this.#reactorAt(known ?? place), isPlaced }, task);
  }

  /** An id stays with its reactor when that cannot say what became of the object. */
  async #keepingPlace<Result>(
    node: NodeName,
    { reactor, isPlaced }: { readonly reactor: FleetReactor; readonly isPlaced: boolean },
    task: (reactor: FleetReactor) => Promise<Result>,
  ): Promise<Result> {
    if (reactor.hasFailed) throw new ProblemError('unavailable', describeFailure(reactor));
    try {
      return await task(reactor);
    } catch (error) {
      if (isPlaced && isProblemError(error) && uncertainKinds.has(error.kind)) {
        this.#directory.setUncertain(node, reactor.index);
      }
      throw error;
    }
  }

  #reactorAt(index: number | undefined): FleetReactor {
    return index === undefined ? this.#fleet.lead : this.#fleet.reactors[index]!;
  }
}
