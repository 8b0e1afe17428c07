/** All of a cell that hangs on its root, but for the maps, which are read as they are compared. */
import type { CatalogRecord } from '../../format/catalog-record.ts';
import type { CellRoot } from '../../format/cell-root.ts';
import type { GroupEntry } from '../../format/group-list.ts';
import type { Findings } from '../findings.ts';
import type { DeadList } from '../read/read-dead-list.ts';
import type { PoolReader } from '../read/pool-reader.ts';
import type { BlockUses } from './block-uses.ts';

/** Dead lists of a node. */
export interface NodeDeadLists {
  readonly data: DeadList;
  readonly pages: DeadList;
}

/** What the parts of the checker share. */
export interface CellState {
  readonly reader: PoolReader;
  readonly findings: Findings;
  readonly root: CellRoot;
  readonly nodes: ReadonlyMap<number, CatalogRecord>;
  /** By parent's id, in order of id. */
  readonly children: ReadonlyMap<number, readonly CatalogRecord[]>;
  /** Of nodes whose lists can be read. */
  readonly deadLists: ReadonlyMap<number, NodeDeadLists>;
  readonly groups: readonly GroupEntry[];
  readonly uses: BlockUses;
}

/** How findings name a node. */
export function nodeName(node: CatalogRecord): string {
  const adjective = node.isWalking ? 'dying ' : node.isDeleted ? 'deleted ' : '';
  const name = node.name === '' ? '' : ` "${node.name}"`;
  return `${adjective}${node.kind}${name} (node ${node.id})`;
}

/** Epoch of a node's parent; 0 if it has none. */
export function parentEpoch(state: Pick<CellState, 'nodes'>, node: CatalogRecord): number {
  return node.parent === undefined ? 0 : (state.nodes.get(node.parent)?.epoch ?? 0);
}

/** True for a deleted snapshot that waits until one child is left: it has no map of its own. */
export function isWaiting(node: CatalogRecord): boolean {
  return node.isDeleted && !node.isWalking;
}
