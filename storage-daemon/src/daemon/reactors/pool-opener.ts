/**
 * Opens pools on all reactors: one takes hold of the devices, then each opens its cells. Either all parts are open
 * afterwards, or none.
 */
import type { Logger } from '@varve/common/logger';
import { ProblemError } from '@varve/contract/problem';

import type { ArgumentOf, NodeRecord, PoolIdentity, SharedPool } from '../../reactor/messages.ts';
import type { NodeDirectory } from './node-directory.ts';
import type { FleetReactor, ReactorFleet } from './reactor-fleet.ts';

/** What the opener works with. */
export interface PoolOpenerDependencies {
  readonly fleet: ReactorFleet;
  readonly directory: NodeDirectory;
  readonly logger: Logger;
}

/** Opens pools. */
export class PoolOpener {
  readonly #dependencies: PoolOpenerDependencies;

  constructor(dependencies: PoolOpenerDependencies) {
    this.#dependencies = dependencies;
  }

  /** Opens a formatted pool; does nothing if it is open. @throws ProblemError why it cannot be opened. */
  async open({ devices, ...identity }: ArgumentOf<'openPool'>): Promise<void> {
    const { fleet } = this.#dependencies;
    const { pool } = identity;
    if (fleet.partsOf(pool).length > 0) return;
    const { lead } = fleet;
    try {
      const shared = await lead.channel.call('holdPool', { ...identity, devices });
      await this.#openParts(identity, shared);
    } catch (error) {
      await this.#tellAll(pool, (error as Error).message);
      throw error;
    }
    // Whoever has no part of it must not take it for closed, nor go on holding it.
    await this.#tellAll(pool, undefined);
  }

  async #openParts(identity: PoolIdentity, shared: SharedPool): Promise<void> {
    const { directory, fleet } = this.#dependencies;
    const { pool } = identity;
    const parts = dealCells(fleet.running, shared.cellCount);
    for (const [reactor, cells] of parts) {
      reactor.parts.set(pool, { cells, shared, isReadOnly: false });
    }
    const opening = [...parts].map(async ([reactor, cells]) => {
      const partCount = parts.size;
      const argument = { ...identity, shared, cells, partCount };
      const { nodes } = await reactor.channel.call('openPart', argument);
      return nodes.map((record) => ({ reactor: reactor.index, record }));
    });
    try {
      const outcomes = await Promise.allSettled(opening);
      const failed = outcomes.filter((each) => each.status === 'rejected');
      if (failed.length > 0) throw causeOf(failed.map(({ reason }) => reason as Error));
      const found = outcomes.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
      this.#refuseDouble(
        pool,
        found.map(({ record }) => record),
      );
      for (const { reactor, record } of found) directory.update(reactor, record, record);
    } catch (error) {
      for (const [reactor] of parts) reactor.parts.delete(pool);
      throw error;
    }
    this.#logIdle(pool, shared.cellCount);
  }

  /** Ids are unique over all open pools, so that a name never means two things. */
  #refuseDouble(pool: string, records: readonly NodeRecord[]): void {
    const seen = new Set<string>();
    for (const record of records) {
      const key = `${record.kind}/${record.name}`;
      const isDouble = seen.has(key) || this.#dependencies.directory.find(record) !== undefined;
      seen.add(key);
      if (!isDouble) continue;
      throw new ProblemError(
        'failed-precondition',
        `Opening pool "${pool}" failed: it holds a ${record.kind} "${record.name}", and so does another pool`,
        { blocker: key },
      );
    }
  }

  async #tellAll(pool: string, reason: string | undefined): Promise<void> {
    const { running } = this.#dependencies.fleet;
    const without = running.filter(({ parts }) => !parts.has(pool));
    await Promise.allSettled(
      without.map(({ channel }) => channel.call('dropPool', { pool, reason })),
    );
  }

  #logIdle(pool: string, cellCount: number): void {
    const { fleet, logger } = this.#dependencies;
    const idle = fleet.running.filter(({ parts }) => parts.size === 0).map(({ index }) => index);
    if (idle.length === 0) return;
    logger.info({ pool, cellCount, idle }, 'pools have fewer cells than there are reactors');
  }
}

/** Deals cells, the first ones to the reactors that have the fewest. */
function dealCells(
  reactors: readonly FleetReactor[],
  cellCount: number,
): Map<FleetReactor, number[]> {
  const loadOf = ({ parts }: FleetReactor): number =>
    [...parts.values()].reduce((sum, { cells }) => sum + cells.length, 0);
  const order = reactors.toSorted((a, b) => loadOf(a) - loadOf(b) || a.index - b.index);
  const dealt = new Map<FleetReactor, number[]>();
  for (let cell = 0; cell < cellCount; cell++) {
    const reactor = order[cell % order.length]!;
    dealt.set(reactor, [...(dealt.get(reactor) ?? []), cell]);
  }
  return dealt;
}

/** Parts that gave up because of another one say nothing of the cause. */
function causeOf(failures: readonly Error[]): Error {
  return failures.find(({ message }) => !message.includes('another part of it')) ?? failures[0]!;
}
