/**
 * Sizes of nodes by brute force: sets of tokens over the whole tree. A token names one stored block, so counting
 * tokens is counting blocks.
 */
import { assert } from '@varve/common/assert';

import { clusterSizeBlocks } from '../../units.ts';
import type { ModelNode, ModelSpace, StoreModel } from './store-model.ts';

type TokenSet = Set<number>;

/** Counts what nodes reference, own alone and would give back. `contents` says what the visible ones hold now. */
export class ModelSpaceCounter {
  readonly #tokens = new Map<ModelNode, TokenSet>();

  constructor(model: StoreModel, contents: ReadonlyMap<ModelNode, Uint32Array>) {
    for (const node of model.nodes) {
      const tokens = node.state === 'hidden' ? node.tokens : contents.get(node);
      assert(tokens !== undefined, `the content of ${node.name} is not known`);
      const set = new Set(tokens);
      set.delete(0);
      this.#tokens.set(node, set);
    }
  }

  spaceOf(node: ModelNode): ModelSpace {
    const own = this.#tokens.get(node)!;
    const elsewhere = union(
      [...this.#tokens].filter(([other]) => other !== node).map(([, set]) => set),
    );
    return {
      referencedBlocks: own.size,
      uniqueBlocks: countMissing(own, elsewhere),
      reclaimableBlocks: this.reclaimable([node]),
    };
  }

  /** What deleting these nodes together frees. */
  reclaimable(nodes: readonly ModelNode[]): { atLeast: number; atMost: number } {
    const deleted = new Set(nodes);
    const remaining = new Set<ModelNode>();
    for (const node of this.#tokens.keys()) {
      if (isLeafless(node, deleted)) continue;
      if (!isDeleted(node, deleted) || keptChildren(node, deleted) >= 2) remaining.add(node);
    }
    const before = union([...this.#tokens.values()]);
    const after = union([...remaining].map((node) => this.#tokens.get(node)!));
    const atMost = before.size - after.size;
    let atLeast = 0;
    for (const token of this.#visible()) if (!after.has(token)) atLeast++;
    return { atLeast, atMost };
  }

  /** The most slack that nodes may have which nobody sees: 15 blocks beside each that holds data. */
  get hiddenSlackMax(): number {
    let blocks = 0;
    for (const [node, tokens] of this.#tokens) if (node.state === 'hidden') blocks += tokens.size;
    return blocks * (clusterSizeBlocks - 1);
  }

  /** Blocks that hold user data; at least those of visible nodes, at most those of hidden ones too. */
  dataBlocks(): { atLeast: number; atMost: number } {
    return {
      atLeast: this.#visible().size,
      atMost: union([...this.#tokens.values()]).size,
    };
  }

  #visible(): TokenSet {
    const nodes = [...this.#tokens.keys()].filter((node) => node.state !== 'hidden');
    return union(nodes.map((node) => this.#tokens.get(node)!));
  }
}

function isDeleted(node: ModelNode, deleted: ReadonlySet<ModelNode>): boolean {
  return node.state === 'hidden' || deleted.has(node);
}

/** True if neither the node nor anything below it stays. */
function isLeafless(node: ModelNode, deleted: ReadonlySet<ModelNode>): boolean {
  if (!isDeleted(node, deleted)) return false;
  return [...node.children].every((child) => isLeafless(child, deleted));
}

function keptChildren(node: ModelNode, deleted: ReadonlySet<ModelNode>): number {
  return [...node.children].filter((child) => !isLeafless(child, deleted)).length;
}

function union(sets: readonly TokenSet[]): TokenSet {
  const all: TokenSet = new Set();
  for (const set of sets) for (const token of set) all.add(token);
  return all;
}

function countMissing(set: TokenSet, from: TokenSet): number {
  let count = 0;
  for (const token of set) if (!from.has(token)) count++;
  return count;
}
