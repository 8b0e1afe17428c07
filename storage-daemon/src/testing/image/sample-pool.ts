/**
 * A small valid pool with one of everything, worked out by hand:
 *
 *     volume a writes a-e and x1-x8 (epoch 1); snapshot s1 (epoch 1)
 *     a overwrites a by a2 (2); snapshot s2 (epoch 2); a overwrites b by b3 and x8 by y8 (3)
 *     k, a clone of s1, overwrites c by c4 (4); s1 is deleted and waits: s2 and k need it
 *     w, a clone of s2, wrote w0 and w1 (5), is deleted and walked half way: w0 and its leaf are free already
 *     the free queue holds what a snapshot before all this has left: f1 is freed; f2, page p and one that was never
 *     written are not
 */
import type { ImageSpec, NodeSpec } from './image-spec.ts';

/** Ids of the nodes. */
export const sampleNode = { a: 0, s1: 1, s2: 2, k: 3, w: 4 } as const;

/** A new copy of the pool, to be changed at will. */
export function samplePool(): ImageSpec {
  return {
    leaves: sampleLeaves(),
    tables: sampleTables(),
    nodes: [...liveNodes(), ...deletedNodes()],
    queue: [
      { id: 7, isMeta: false, done: 1, entries: ['#251:1', 'f2:1'] },
      { id: 8, isMeta: true, done: 0, entries: ['p:1', 'null:1'], isPaged: true },
    ],
    root: {},
    groups: [{ group: 0 }, { group: 2 }],
    leaked: [],
    freed: [],
    journal: [],
    patches: [],
  };
}

function sampleLeaves(): ImageSpec['leaves'] {
  const first = { 2: 'c:1', 3: 'd:1', 16: 'x1:1', 32: 'x2:1', 48: 'x3:1', 64: 'x4:1' } as const;
  const rest = { 80: 'x5:1', 96: 'x6:1', 112: 'x7:1' } as const;
  const shared = { ...first, ...rest };
  return {
    leaf0: {
      index: 0,
      entries: { ...shared, 0: 'a:1', 1: 'b:1', 128: 'x8:1' },
      extensions: ['ext:1'],
    },
    leaf1: { index: 1, entries: { 0: 'e:1' } },
    'leaf0-s2': {
      index: 0,
      entries: { ...shared, 0: 'a2:2', 1: 'b:1', 128: 'x8:1' },
      extensions: ['ext:1'],
    },
    'leaf0-a': {
      index: 0,
      entries: { ...shared, 0: 'a2:2', 1: 'b3:3', 128: 'y8:3' },
      extensions: ['ext-a:3'],
    },
    'leaf0-k': {
      index: 0,
      entries: { ...shared, 0: 'a:1', 1: 'b:1', 2: 'c4:4', 128: 'x8:1' },
      extensions: ['ext:1'],
    },
    'leaf1-w': { index: 1, entries: { 0: 'e:1', 44: 'w1:5' } },
  };
}

function sampleTables(): ImageSpec['tables'] {
  return {
    root: { level: 1, index: 0, children: { 0: 'leaf0:1', 1: 'leaf1:1' } },
    'root-s2': { level: 1, index: 0, children: { 0: 'leaf0-s2:2', 1: 'leaf1:1' } },
    'root-a': { level: 1, index: 0, children: { 0: 'leaf0-a:3', 1: 'leaf1:1' } },
    'root-k': { level: 1, index: 0, children: { 0: 'leaf0-k:4', 1: 'leaf1:1' } },
    'root-w': { level: 1, index: 0, children: { 0: '#250:5', 1: 'leaf1-w:5' } },
  };
}

function liveNodes(): NodeSpec[] {
  return [
    {
      id: sampleNode.a,
      name: 'a',
      parent: sampleNode.s2,
      curEpoch: 3,
      map: 'root-a:3',
      referencedBlocks: 13,
      ownBlocks: 2,
      deadBlocks: 2,
      deadData: [{ birthLow: 0, entries: ['b:1', 'x8:1'], isPaged: true }],
      deadMeta: [
        { birthLow: 0, entries: ['ext:1'] },
        { birthLow: 1, entries: ['leaf0-s2:2', 'root-s2:2'] },
      ],
    },
    {
      id: sampleNode.s2,
      kind: 'snapshot',
      name: 's2',
      parent: sampleNode.s1,
      epoch: 2,
      childCount: 1,
      map: 'root-s2:2',
      referencedBlocks: 13,
      ownBlocks: 1,
      deadBlocks: 1,
      deadData: [{ birthLow: 0, entries: ['a:1'] }],
      deadMeta: [{ birthLow: 0, entries: ['leaf0:1', 'root:1'] }],
      attributes: '{"labels":{"of":"s2"}}',
    },
    {
      id: sampleNode.k,
      name: 'k',
      parent: sampleNode.s1,
      curEpoch: 4,
      map: 'root-k:4',
      referencedBlocks: 13,
      ownBlocks: 1,
      deadBlocks: 1,
      deadData: [{ birthLow: 0, entries: ['c:1'] }],
      deadMeta: [{ birthLow: 0, entries: ['leaf0:1', 'root:1'] }],
    },
  ];
}

function deletedNodes(): NodeSpec[] {
  return [
    {
      id: sampleNode.s1,
      kind: 'snapshot',
      isDeleted: true,
      epoch: 1,
      childCount: 2,
      referencedBlocks: 13,
      ownBlocks: 13,
    },
    {
      id: sampleNode.w,
      isDeleted: true,
      isWalking: true,
      curEpoch: 5,
      map: 'root-w:5',
      walkBound: 2,
      walkCursor: 256,
      referencedBlocks: 14,
      ownBlocks: 1,
      attributes: '',
    },
  ];
}
