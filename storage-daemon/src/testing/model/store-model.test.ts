import { describe, expect, test } from '@jest/globals';

import { ModelSpaceCounter } from './model-space.ts';
import { StoreModel, type ModelNode } from './store-model.ts';

/** The worked example of the design: a family of two snapshots and a clone. */
class Family {
  readonly model = new StoreModel(1);
  readonly head = this.#add('volume', 'head', undefined);

  #add(kind: 'volume' | 'snapshot', name: string, source: ModelNode | undefined): ModelNode {
    const node = this.model.addNode(
      { kind, name, uuid: new Uint8Array(16), attributes: '{}', sizeBlocks: 3 },
      source ? { tokens: source.tokens } : {},
    );
    this.model.applyCreate(node, source);
    return node;
  }

  snapshot(name: string, volume = this.head): ModelNode {
    return this.#add('snapshot', name, volume);
  }

  clone(name: string, source: ModelNode): ModelNode {
    return this.#add('volume', name, source);
  }

  counter(): ModelSpaceCounter {
    const contents = new Map<ModelNode, Uint32Array>();
    for (const node of this.model.nodes) if (node.state === 'live') contents.set(node, node.tokens);
    return new ModelSpaceCounter(this.model, contents);
  }

  reclaimable(...nodes: ModelNode[]): number {
    return this.counter().reclaimable(nodes).atMost;
  }
}

function workedExample(): Family & { s1: ModelNode; s2: ModelNode; k: ModelNode } {
  const family = new Family();
  family.head.tokens.set([1, 2, 3]);
  const s1 = family.snapshot('s1');
  family.head.tokens.set([4, 2, 3]);
  const s2 = family.snapshot('s2');
  family.head.tokens.set([5, 6, 3]);
  const k = family.clone('k', s1);
  return Object.assign(family, { s1, s2, k });
}

describe('StoreModel', () => {
  test('a snapshot goes between a volume and its former parent', () => {
    const { head, s1, s2, k } = workedExample();
    expect(head.parent).toBe(s2);
    expect(s2.parent).toBe(s1);
    expect([...s1.children]).toEqual([s2, k]);
  });

  test('a deleted snapshot with two children waits; with one left it goes', () => {
    const family = workedExample();
    const { model, head, s1, s2, k } = family;
    model.applyDelete(s2);
    expect(head.parent).toBe(s1);
    model.applyDelete(s1);
    expect(s1.state).toBe('hidden');
    expect(model.find({ kind: 'snapshot', name: 's1' })).toBeUndefined();
    model.applyDelete(k);
    expect(head.parent).toBeUndefined();
    expect([...model.nodes]).toEqual([head]);
  });

  test('a clone of a volume hangs beside it below a hidden snapshot', () => {
    const family = new Family();
    const clone = family.clone('clone', family.head);
    expect(clone.parent).toBe(family.head.parent);
    expect(clone.parent?.state).toBe('hidden');
    family.model.applyDelete(clone);
    expect(family.head.parent).toBeUndefined();
  });

  test('a revert hangs the volume below the snapshot and releases a hidden former parent', () => {
    const family = workedExample();
    const { model, head, s1, s2 } = family;
    const clone = family.clone('clone', s2);
    model.applyDelete(s2);
    model.applyRevert(head, s1, '{"reverted":1}');
    expect(head.parent).toBe(s1);
    expect([...head.tokens]).toEqual([1, 2, 3]);
    expect(clone.parent).toBe(s1);
  });

  test('a delete waits for clones that were asked for before it', () => {
    const family = workedExample();
    const { model, s1 } = family;
    s1.pinCount = 1;
    model.applyDelete(s1);
    expect(s1.deferredDelete).toBe(true);
    expect(s1.state).toBe('deleting');
  });

  test('clone() shares nothing with the original', () => {
    const family = workedExample();
    const { model, s1, s2 } = family;
    model.pending.add({ type: 'delete', node: s2 });
    const copy = model.clone();
    model.applyDelete(s1);
    s2.tokens[0] = 77;
    const [pending] = copy.pending;
    expect(pending?.node).toBe(copy.find({ kind: 'snapshot', name: 's2' }));
    expect(pending?.node.tokens[0]).toBe(4);
    expect(copy.find({ kind: 'snapshot', name: 's1' })?.state).toBe('live');
  });
});

describe('ModelSpaceCounter', () => {
  test('counts what a node alone references', () => {
    const family = workedExample();
    const counter = family.counter();
    expect(counter.spaceOf(family.s2)).toEqual({
      referencedBlocks: 3,
      uniqueBlocks: 1,
      reclaimableBlocks: { atLeast: 1, atMost: 1 },
    });
    expect(counter.spaceOf(family.s1).uniqueBlocks).toBe(0);
    expect(counter.dataBlocks()).toEqual({ atLeast: 6, atMost: 6 });
  });

  test('deleting two together frees more than the sum of each alone', () => {
    const all = workedExample();
    expect(all.reclaimable(all.s1)).toBe(0);
    expect(all.reclaimable(all.k)).toBe(0);
    expect(all.reclaimable(all.s1, all.k, all.s2)).toBe(3);
  });

  test('deleting a child counts what its hidden parent then gives back', () => {
    const family = workedExample();
    const { model, s1, s2, k } = family;
    model.applyDelete(s2);
    model.applyDelete(s1);
    k.tokens[0] = 7;
    expect(family.counter().reclaimable([k])).toEqual({ atLeast: 2, atMost: 3 });
  });
});
