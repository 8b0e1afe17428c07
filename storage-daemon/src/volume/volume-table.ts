/**
 * Which volumes and snapshots are open, and by how many users. All users of a node share one `Volume`, so
 * that order, flush and statistics hold across them.
 *
 * A control operation that needs the node to itself (delete, revert) reserves it: that is refused while
 * anyone has it open, unless the users are to be evicted; while reserved, nobody can open it.
 */
import type { NodeIo, NodeKind, NodeName } from '../store/store-api.ts';
import { blockSizeBytes } from '../units.ts';
import type { ThrottleCounts, VolumeLimits } from './io-limiter.ts';
import { VolumeStatistics } from './statistics.ts';
import { Volume } from './volume.ts';
import { VolumeTableError } from './volume-table-error.ts';

/** A node as the pools have it. */
export interface NodeSource {
  readonly sizeBlocks: number;
  openIo(): NodeIo;
  /** Read when the node is opened; changes are told by `VolumeTable.setLimits`. Absent: there are none. */
  readLimits?(): VolumeLimits;
  /** True while someone has the node for its own, for whom it is opened; others may only read. Absent: nobody has. */
  isHeld?(): boolean;
}

/** Where nodes are found: all open pools of this thread. */
export interface NodeFinder {
  /** Undefined if no pool has it. */
  find(node: NodeName): NodeSource | undefined;
  /** All volumes and snapshots that can be opened. */
  list(): Iterable<NodeName>;
}

/** What the table needs. */
export interface VolumeTableDependencies {
  readonly nodes: NodeFinder;
  /** Monotonic milliseconds. */
  readonly clockMs: () => number;
}

/** One user's hold on an open volume. */
export interface VolumeHandle {
  readonly volume: Volume;
  /** Gives the hold back, once the user's requests are answered. May be called twice. */
  close(): Promise<void>;
}

/** A node that nobody else can open until `release`. */
export interface NodeReservation {
  release(): void;
}

interface OpenNode {
  readonly kind: NodeKind;
  readonly volume: Volume;
  readonly users: Set<VolumeUser>;
}

/** Someone who has a volume open and must be told if it is taken away. */
export interface VolumeUser {
  /** Called once, when the volume is closed underneath; its requests are refused from now on. */
  evicted(reason: string): void;
}

/** The open volumes of one thread. */
export class VolumeTable {
  readonly #nodes: NodeFinder;
  readonly #clockMs: () => number;
  readonly #open = new Map<string, OpenNode>();
  /** Closes under way: a node's I/O is the store's again only after them. */
  readonly #closing = new Set<OpenNode>();
  readonly #reserved = new Map<string, string>();
  #stopReason: string | undefined;
  #hasLimits = true;
  #closedThrottle: ThrottleCounts = { count: 0, seconds: 0 };
  readonly #closedStatistics: Record<NodeKind, VolumeStatistics> = {
    volume: new VolumeStatistics(),
    snapshot: new VolumeStatistics(),
  };

  constructor({ nodes, clockMs }: VolumeTableDependencies) {
    this.#nodes = nodes;
    this.#clockMs = clockMs;
  }

  /** What a user who does not hold the node would get, without opening it; undefined if there is none. */
  describe(
    node: NodeName,
  ): { readonly sizeBytes: number; readonly isReadOnly: boolean } | undefined {
    const source = this.#nodes.find(node);
    if (!source) return undefined;
    const isReadOnly = node.kind === 'snapshot' || source.isHeld?.() === true;
    return { sizeBytes: source.sizeBlocks * blockSizeBytes, isReadOnly };
  }

  /** All nodes that can be opened. */
  list(): Iterable<NodeName> {
    return this.#nodes.list();
  }

  /**
   * Opens a node for one more user.
   *
   * @throws VolumeTableError `not-found`, `stopping`, or `reserved` with the reason.
   */
  open(node: NodeName, user: VolumeUser): VolumeHandle {
    const key = keyOf(node);
    if (this.#stopReason !== undefined) {
      throw new VolumeTableError('stopping', `Open ${key}: ${this.#stopReason}`);
    }
    const reason = this.#reserved.get(key);
    if (reason !== undefined) throw new VolumeTableError('reserved', `Open ${key}: ${reason}`);
    const open = this.#open.get(key) ?? this.#openNode(node);
    open.users.add(user);
    return {
      volume: open.volume,
      close: async () => {
        if (open.users.delete(user) && open.users.size === 0)
          await this.#closeNode(open, 'it is closed');
      },
    };
  }

  /** Users that have the node open. */
  openCount(node: NodeName): number {
    return this.#open.get(keyOf(node))?.users.size ?? 0;
  }

  /** Counters of all nodes of a kind, closed ones included. */
  statistics(kind: NodeKind): VolumeStatistics {
    const sum = new VolumeStatistics();
    sum.add(this.#closedStatistics[kind]);
    for (const open of [...this.#open.values(), ...this.#closing]) {
      if (open.kind === kind) sum.add(open.volume.statistics);
    }
    return sum;
  }

  /** Requests that limits have held back, on all nodes, closed ones included. */
  get throttleCounts(): ThrottleCounts {
    let { count, seconds } = this.#closedThrottle;
    for (const { volume } of [...this.#open.values(), ...this.#closing]) {
      count += volume.throttleCounts.count;
      seconds += volume.throttleCounts.seconds;
    }
    return { count, seconds };
  }

  /** The limits of a node have changed: if it is open, they count at once. */
  setLimits(node: NodeName, limits: VolumeLimits): void {
    if (this.#hasLimits) this.#open.get(keyOf(node))?.volume.setLimits(limits);
  }

  /** From now on nothing is held back: the daemon stops, and what clients have sent is to be done first. */
  liftLimits(): void {
    this.#hasLimits = false;
    for (const { volume } of this.#open.values()) volume.setLimits({});
  }

  /**
   * Takes a node for the caller alone; resolves when its I/O is the store's again. `reason` is told to
   * whoever tries to open it.
   *
   * @throws VolumeTableError `in-use` if it has users, unless they are to be evicted; `reserved` if someone
   * else took it.
   */
  async reserve(
    node: NodeName,
    { reason, evictUsers }: { reason: string; evictUsers: boolean },
  ): Promise<NodeReservation> {
    const key = keyOf(node);
    const other = this.#reserved.get(key);
    if (other !== undefined) throw new VolumeTableError('reserved', `Reserve ${key}: ${other}`);
    const open = this.#open.get(key);
    if (open && !evictUsers) {
      const message = `Reserve ${key}: open by ${open.users.size} connections`;
      throw new VolumeTableError('in-use', message);
    }
    this.#reserved.set(key, reason);
    if (open) await this.#evict(open, reason);
    await this.#allClosed((node) => node.volume.label === key);
    return { release: () => void this.#reserved.delete(key) };
  }

  /** Closes everything for good: users are evicted, requests under way are answered first. May be called twice. */
  async closeAll(reason: string): Promise<void> {
    this.#stopReason ??= reason;
    for (const open of this.#open.values()) void this.#evict(open, reason);
    await this.#allClosed(() => true);
  }

  #openNode(node: NodeName): OpenNode {
    const key = keyOf(node);
    const source = this.#nodes.find(node);
    if (!source) throw new VolumeTableError('not-found', `Open ${key}: there is none`);
    const dependencies = { io: source.openIo(), clockMs: this.#clockMs };
    const volume = new Volume({ label: key }, dependencies);
    if (this.#hasLimits) volume.setLimits(source.readLimits?.() ?? {});
    const open: OpenNode = { kind: node.kind, volume, users: new Set() };
    this.#open.set(key, open);
    return open;
  }

  #evict(open: OpenNode, reason: string): Promise<void> {
    const users = [...open.users];
    open.users.clear();
    const closed = this.#closeNode(open, reason);
    for (const user of users) user.evicted(reason);
    return closed;
  }

  async #closeNode(open: OpenNode, reason: string): Promise<void> {
    const { kind, volume } = open;
    this.#open.delete(volume.label);
    this.#closing.add(open);
    await volume.close(reason);
    this.#closing.delete(open);
    this.#closedStatistics[kind].add(volume.statistics);
    const { count, seconds } = volume.throttleCounts;
    this.#closedThrottle = {
      count: this.#closedThrottle.count + count,
      seconds: this.#closedThrottle.seconds + seconds,
    };
  }

  async #allClosed(isMeant: (node: OpenNode) => boolean): Promise<void> {
    await Promise.all([...this.#closing].filter(isMeant).map(({ volume }) => volume.close('')));
  }
}

function keyOf({ kind, name }: NodeName): string {
  return `${kind}/${name}`;
}
