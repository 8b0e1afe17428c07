/** Goes through the leaves of a cell's volumes one by one, for work on their clusters. */
import type { WorkedCell } from './worked-cell.ts';
import type { StoreError } from '../store-error.ts';
import type { TreeNode } from '../tree-node.ts';
import { leafBlocks } from '../../format/pool-layout.ts';
import type { LeafFrame } from '../../map/map-frame.ts';
import { clusterSizeBlocks } from '../../units.ts';

/** A leaf in memory. */
export interface ScannedLeaf {
  readonly node: TreeNode;
  readonly leaf: LeafFrame;
  /** Number in the volume of the leaf's first cluster. */
  readonly firstCluster: number;
}

/** Where a scan goes on: a volume, and the first block that was not looked at. */
export class LeafScan {
  readonly #cell: WorkedCell;
  readonly #wants: (node: TreeNode) => boolean;
  #nodeId = 0;
  #lbn = 0;

  constructor(dependencies: { cell: WorkedCell; wants: (node: TreeNode) => boolean }) {
    this.#cell = dependencies.cell;
    this.#wants = dependencies.wants;
  }

  /** Begins anew. */
  restart(): void {
    this.#nodeId = 0;
    this.#lbn = 0;
  }

  /**
   * Calls `visit` with the next leaf, in the turn in which all of it is in memory. False if there is none: the scan is
   * at its end. A page that cannot be read is passed over: whoever needs it will say so.
   */
  async visitNext(visit: (leaf: ScannedLeaf) => void): Promise<boolean> {
    const node = this.#node();
    if (!node) return false;
    const { state, residency } = this.#cell;
    const perLeaf = leafBlocks(state.geometry);
    const from = this.#lbn;
    let start: number | undefined;
    const find = () => {
      start = undefined;
      if (state.nodes.get(node.id) !== node || node.isDeleted) return undefined;
      const next = state.residency.nextLeaf(node, from);
      if (next === undefined || (typeof next === 'number' && next >= node.sizeBlocks))
        return undefined;
      if (typeof next !== 'number') return next;
      start = Math.floor(Math.max(from, next) / perLeaf) * perLeaf;
      return state.residency.findMissing(node, start, perLeaf);
    };
    const failure = await new Promise<StoreError | null>((resolve) => {
      residency.ensureFound(find, (error) => {
        const leaf = start === undefined || error ? undefined : state.tree.leafOf(node, start);
        const isUsable = !this.#cell.failure && !this.#cell.isStopped;
        if (leaf && isUsable) visit({ node, leaf, firstCluster: start! / clusterSizeBlocks });
        resolve(error);
      });
    });
    if (start === undefined && !failure) {
      this.#nodeId = node.id + 1;
      this.#lbn = 0;
    } else this.#lbn = (start ?? from) + perLeaf;
    return true;
  }

  /** The volume to look at: the one of before, or the next. */
  #node(): TreeNode | undefined {
    let best: TreeNode | undefined;
    for (const node of this.#cell.state.nodes.values()) {
      if (node.id < this.#nodeId || (best && node.id > best.id)) continue;
      if (node.kind === 'volume' && !node.isDeleted && this.#wants(node)) best = node;
    }
    if (best && best.id !== this.#nodeId) {
      this.#nodeId = best.id;
      this.#lbn = 0;
    }
    return best;
  }
}
