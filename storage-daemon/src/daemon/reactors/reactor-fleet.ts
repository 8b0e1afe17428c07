/**
 * The reactors of this process. A reactor that ends by itself, which only a bug of ours can cause, takes what it
 * serves with it; the others go on. When none is left, or the only one ends, the process must end.
 */
import { GroupOwners } from '../../allocator/group-owners.ts';
import type { ReactorChannel } from '../../reactor/channel.ts';
import type { SharedPool } from '../../reactor/messages.ts';
import { RecoveryBarrier } from '../../reactor/pools/recovery-barrier.ts';

/** One reactor, as the main thread sees it. */
export interface FleetReactor {
  readonly index: number;
  readonly channel: ReactorChannel;
  /** It has ended by itself. */
  hasFailed: boolean;
  /** What it serves of each open pool. */
  readonly parts: Map<string, PoolPart>;
}

/** Cells of an open pool. */
export interface PoolPart {
  readonly cells: readonly number[];
  readonly shared: SharedPool;
  /** It takes no changes: nothing new is made there. */
  isReadOnly: boolean;
}

/** All reactors. */
export class ReactorFleet {
  readonly reactors: readonly FleetReactor[];

  constructor(channels: readonly ReactorChannel[]) {
    this.reactors = channels.map((channel, index) => ({
      index,
      channel,
      hasFailed: false,
      parts: new Map(),
    }));
  }

  /** Those that work. */
  get running(): readonly FleetReactor[] {
    return this.reactors.filter(({ hasFailed }) => !hasFailed);
  }

  /** Who does what any could do. */
  get lead(): FleetReactor {
    return this.running[0] ?? this.reactors[0]!;
  }

  /** Those that serve a part of a pool, failed ones included. */
  partsOf(pool: string): readonly FleetReactor[] {
    return this.reactors.filter(({ parts }) => parts.has(pool));
  }

  /** A reactor has ended: its cells answer nobody any more, so nobody waits for them. */
  fail(index: number): void {
    const reactor = this.reactors[index]!;
    reactor.hasFailed = true;
    for (const { cells, shared } of reactor.parts.values()) {
      new RecoveryBarrier(shared.recovery).fail();
      const owners = new GroupOwners(shared.owners);
      for (const cell of cells) owners.leave(cell);
    }
  }
}

/** What to say of objects of a reactor that has failed. */
export function describeFailure({ index }: FleetReactor): string {
  return `reactor ${index} has failed, and what it served is not to be had until the daemon is started again`;
}
