/** How records change what a head maps, and the counters of the head with it: a part of apply(). */
import { assert, assertNever } from '@varve/common/assert';

import type { CellAllocator } from '../../allocator/cell-allocator.ts';
import type { JournalRecord } from '../../format/journal-record.ts';
import { countBits, wholeMask } from '../../format/map-leaf.ts';
import type { DroppedBlock } from '../../map/leaf-entries.ts';
import type { MapTree } from '../../map/map-tree.ts';
import { clusterSizeBlocks } from '../../units.ts';
import type { TreeNode } from '../tree-node.ts';

/** Operations that change what a head maps. */
type MapOp = 'set' | 'setClusters' | 'setPart' | 'valid' | 'heal' | 'split' | 'clear';
type MapRecord = Extract<JournalRecord, { op: MapOp }>;
type RecordOf<Op extends MapOp> = Extract<JournalRecord, { op: Op }>;

/** What changes of maps work with. */
export interface MapChangeDependencies {
  readonly tree: MapTree;
  readonly allocator: CellAllocator;
  /** The head references the block no more. */
  dropBlock(node: TreeNode, block: DroppedBlock): void;
  /** A record has changed what the head maps. Returns the number of that record. */
  changed(node: TreeNode): number;
}

/** Changes maps of heads. */
export class MapChanges {
  readonly #dependencies: MapChangeDependencies;

  constructor(dependencies: MapChangeDependencies) {
    this.#dependencies = dependencies;
  }

  /** Changes the map of `node` by one record. */
  apply(record: MapRecord, node: TreeNode): void {
    const change = { node, ownBound: node.parentEpoch, record: this.#dependencies.changed(node) };
    const onDropped = (block: DroppedBlock) => this.#dependencies.dropBlock(node, block);
    const step = { change, onDropped };
    switch (record.op) {
      case 'set':
        return this.#set(step, record);
      case 'setClusters':
        for (let index = 0; index < record.count; index++) {
          const { cluster, base } = record;
          const placed = { cluster: cluster + index, base: base + index, mask: wholeMask };
          this.#setCluster(step, placed);
        }
        return;
      case 'setPart':
        return this.#setCluster(step, record);
      case 'valid': {
        const filled = this.#dependencies.tree.validate({ ...record, ...change });
        node.slackBlocks -= filled;
        return;
      }
      case 'heal':
        return this.#heal(step, record);
      case 'split':
        return this.#dependencies.tree.split({ ...record, ...change }, onDropped);
      case 'clear': {
        const cleared = this.#dependencies.tree.clearBlocks({ ...record, ...change }, onDropped);
        node.slackBlocks += cleared;
        return;
      }
      default:
        return assertNever(record, 'change of a map');
    }
  }

  #set({ change, onDropped }: Step, { lbn, pbn, count }: RecordOf<'set'>): void {
    const { tree, allocator } = this.#dependencies;
    const { node } = change;
    for (let index = 0; index < count; index++) {
      allocator.commitData(pbn + index);
      node.ownBlocks++;
      node.referencedBlocks++;
      tree.setBlock({ ...change, lbn: lbn + index, pbn: pbn + index }, onDropped);
    }
  }

  #setCluster(
    { change, onDropped }: Step,
    { cluster, base, mask }: { cluster: number; base: number; mask: number },
  ): void {
    const { tree, allocator } = this.#dependencies;
    const { node } = change;
    const pbn = base * clusterSizeBlocks;
    for (let block = 0; block < clusterSizeBlocks; block++) allocator.commitData(pbn + block);
    node.ownBlocks += clusterSizeBlocks;
    node.referencedBlocks += clusterSizeBlocks;
    node.slackBlocks += clusterSizeBlocks - countBits(mask);
    tree.setCluster({ ...change, cluster, base, mask }, onDropped);
  }

  #heal(step: Step, { cluster, base }: RecordOf<'heal'>): void {
    const { node } = step.change;
    const from = cluster * clusterSizeBlocks;
    for (let lbn = from; lbn < from + clusterSizeBlocks; lbn++) {
      // What others share stays where it is: a copy of it would only cost space.
      const birth = this.#dependencies.tree.lookup(node, lbn)?.birth ?? 0;
      assert(birth > node.parentEpoch, `block ${lbn} of node ${node.id} is healed and not its own`);
    }
    this.#setCluster(step, { cluster, base, mask: wholeMask });
  }
}

interface Step {
  readonly change: {
    readonly node: TreeNode;
    readonly ownBound: number;
    readonly record: number;
  };
  readonly onDropped: (block: DroppedBlock) => void;
}
