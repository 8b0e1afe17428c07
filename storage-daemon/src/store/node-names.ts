/**
 * Which node a REST id names, over all cells. A name is taken from the moment its creation is recorded until its
 * deletion is durable: else a crash could leave two nodes of one name, in two cells.
 */
import type { Cell } from './cell.ts';
import type { NodeKind, NodeName } from './store-api.ts';
import { StoreError } from './store-error.ts';
import type { TreeNode } from './tree-node.ts';

/** A named node and its cell. */
export interface NamedNode {
  readonly cell: Cell;
  readonly node: TreeNode;
}

type Entry = { readonly state: 'live' } & NamedNode;
type Busy = { readonly state: 'creating' | 'reverting' | 'deleting' };

/** Names of one pool. */
export class NodeNames {
  readonly #entries: Record<NodeKind, Map<string, Entry | Busy>> = {
    volume: new Map(),
    snapshot: new Map(),
  };

  find({ kind, name }: NodeName): NamedNode | undefined {
    const entry = this.#entries[kind].get(name);
    return entry?.state === 'live' ? entry : undefined;
  }

  /** @throws StoreError `not-found`, or `aborted` while it is being made or deleted */
  get(action: string, { kind, name }: NodeName): NamedNode {
    const entry = this.#entries[kind].get(name);
    if (entry?.state === 'live') return entry;
    if (entry && entry.state !== 'deleting') {
      throw new StoreError('aborted', `${action} failed: ${kind} "${name}" is being changed`);
    }
    throw new StoreError('not-found', `${action} failed: ${kind} "${name}" does not exist`);
  }

  /** Takes a name. @throws StoreError `already-exists` or `aborted` */
  reserve(action: string, { kind, name }: NodeName): void {
    const entry = this.#entries[kind].get(name);
    if (entry?.state === 'live') {
      throw new StoreError('already-exists', `${action} failed: ${kind} "${name}" exists`);
    }
    if (entry) {
      throw new StoreError('aborted', `${action} failed: ${kind} "${name}" is being changed`);
    }
    this.#entries[kind].set(name, { state: 'creating' });
  }

  put({ kind, name }: NodeName, named: NamedNode): void {
    this.#entries[kind].set(name, { state: 'live', ...named });
  }

  /** The node cannot be addressed any more, its name is not free yet. */
  hide({ kind, name }: NodeName, state: 'reverting' | 'deleting'): void {
    this.#entries[kind].set(name, { state });
  }

  free({ kind, name }: NodeName): void {
    this.#entries[kind].delete(name);
  }

  /** All that can be addressed, by name. */
  list(kind: NodeKind): NamedNode[] {
    const names = [...this.#entries[kind].keys()].sort();
    return names.flatMap((name) => this.find({ kind, name }) ?? []);
  }
}
