/**
 * Which reactor has which volume or snapshot. Reactors tell of every object before they answer the call that made or
 * changed it, so whoever has an answer finds what it speaks of here.
 *
 * The place of an object is kept when nobody knows what became of it (its reactor failed in the middle): its id must
 * not be given to another object elsewhere.
 */
import { volumeNqnPrefix } from '@varve/contract/host';

import type { NodeRecord } from '../../reactor/messages.ts';
import type { NodeKind, NodeName } from '../../store/store-api.ts';

/** An object and its reactor. */
export interface PlacedNode extends NodeRecord {
  readonly reactor: number;
}

/** All objects of all open pools. */
export class NodeDirectory {
  readonly #nodes: Record<NodeKind, Map<string, PlacedNode>> = {
    volume: new Map(),
    snapshot: new Map(),
  };
  readonly #volumesByUuid = new Map<string, PlacedNode>();
  /** Reactors of ids whose fate is not known. */
  readonly #uncertain = new Map<string, number>();
  /** Called when a host may attach something else than before. */
  accessChanged: () => void = () => undefined;

  find({ kind, name }: NodeName): PlacedNode | undefined {
    return this.#nodes[kind].get(name);
  }

  /** The reactor that must be asked for an id; undefined if any may use it. */
  reactorOf(node: NodeName): number | undefined {
    return this.find(node)?.reactor ?? this.#uncertain.get(keyOf(node));
  }

  /** The volume of an NVMe subsystem. */
  findSubsystem(nqn: string): PlacedNode | undefined {
    if (!nqn.startsWith(volumeNqnPrefix)) return undefined;
    return this.#volumesByUuid.get(nqn.slice(volumeNqnPrefix.length));
  }

  /** In order of name. */
  list(kind: NodeKind): readonly PlacedNode[] {
    return [...this.#nodes[kind].values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** A reactor has told of an object; without a record it is gone. */
  update(reactor: number, node: NodeName, record: NodeRecord | undefined): void {
    const before = this.find(node);
    this.#uncertain.delete(keyOf(node));
    if (before) this.#volumesByUuid.delete(before.uuid);
    if (record) {
      const placed = { ...record, reactor };
      this.#nodes[node.kind].set(node.name, placed);
      if (node.kind === 'volume') this.#volumesByUuid.set(record.uuid, placed);
    } else this.#nodes[node.kind].delete(node.name);
    if (String(before?.hosts ?? []) !== String(record?.hosts ?? [])) this.accessChanged();
  }

  /** Nobody knows whether a reactor has the object. */
  setUncertain(node: NodeName, reactor: number): void {
    if (!this.find(node)) this.#uncertain.set(keyOf(node), reactor);
  }

  /** Objects of a pool on a reactor. */
  count(pool: string, reactor: number): number {
    let count = 0;
    for (const nodes of Object.values(this.#nodes)) {
      for (const each of nodes.values()) {
        if (each.reactor === reactor && each.pool === pool) count++;
      }
    }
    return count;
  }
}

function keyOf({ kind, name }: NodeName): string {
  return `${kind}/${name}`;
}
