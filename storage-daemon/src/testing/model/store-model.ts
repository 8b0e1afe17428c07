/**
 * The reference: what a pool must contain, kept in the simplest way. Content is one token per block, so two nodes
 * share a block exactly when they show the same token there (the store never copies data), and every size is found by
 * counting sets. Nothing here knows about epochs, births, dead lists or journals.
 *
 * Nodes form the tree that users see as history: a volume hangs below the snapshot that was last cut from it or that
 * it was made from. A deleted snapshot with two or more children stays, hidden, as long as it has them.
 */
import { assert } from '@varve/common/assert';

import type { NodeKind, NodeName } from '../../store/store-api.ts';
import { TornBlocks } from './block-content.ts';
import { WriteRegister, type WriteEntry } from './write-register.ts';

/** A control operation that is under way, or whose answer a crash or an error swallowed. */
export type PendingChange =
  | { readonly type: 'create'; readonly node: ModelNode; readonly source: ModelNode | undefined }
  | { readonly type: 'delete'; readonly node: ModelNode }
  | { readonly type: 'resize'; readonly node: ModelNode; readonly sizeBlocks: number }
  | { readonly type: 'attributes'; readonly node: ModelNode; readonly attributes: string }
  | {
      readonly type: 'revert';
      readonly node: ModelNode;
      readonly snapshot: ModelNode;
      readonly attributes: string;
    };

/** The moment of a cut, as far as it is known, and what it was taken of. */
export interface Cut {
  readonly source: ModelNode;
  readonly issuedAt: number;
  answeredAt: number;
}

/** A volume or snapshot. */
export interface ModelNode {
  readonly modelId: number;
  readonly kind: NodeKind;
  readonly name: string;
  readonly uuid: Uint8Array;
  attributes: string;
  sizeBlocks: number;
  /** `creating` may exist, `live` must, `deleting` may, `hidden` waits for its children, `gone` must not. */
  state: 'creating' | 'live' | 'deleting' | 'hidden' | 'gone';
  parent: ModelNode | undefined;
  readonly children: Set<ModelNode>;
  /** Settled tokens; for a volume the base below its registers. */
  tokens: Uint32Array;
  readonly registers: Map<number, WriteRegister>;
  /** Set until the content of a snapshot (or of a clone of a volume) has been read once. */
  cut: Cut | undefined;
  /** What the store answered when it was made; undefined if the answer never came. */
  createdMs: number | undefined;
  /** Operations under way that need this node as it is: no other control operation may start on it. */
  isLocked: boolean;
  /** It is being reverted: clients have stopped their I/O. */
  refusesIo: boolean;
  /** Clones of it under way: its deletion takes effect in the model after them. */
  pinCount: number;
  deferredDelete: boolean;
}

/** Exact sizes by counting. */
export interface ModelSpace {
  readonly referencedBlocks: number;
  readonly uniqueBlocks: number;
  /** Least and most: a hidden node may already have given back what none of its children needs. */
  readonly reclaimableBlocks: { readonly atLeast: number; readonly atMost: number };
}

/** The content that a pool must have. */
export class StoreModel {
  readonly poolNumber: number;
  readonly torn = new TornBlocks();
  readonly nodes = new Set<ModelNode>();
  readonly pending = new Set<PendingChange>();
  /** Grows with every question and answer. */
  version = 0;
  #tick = 0;
  #nextModelId = 1;
  #nextToken = 1;

  constructor(poolNumber: number) {
    this.poolNumber = poolNumber;
  }

  /** An independent copy, to judge one of several possible futures. */
  clone(): StoreModel {
    const copy = new StoreModel(this.poolNumber);
    copy.#tick = this.#tick;
    copy.#nextModelId = this.#nextModelId;
    copy.#nextToken = this.#nextToken;
    copy.version = this.version;
    const twins = new Map<ModelNode, ModelNode>();
    for (const node of this.nodes) twins.set(node, copyAlone(node));
    const twin = (node: ModelNode) => {
      const found = twins.get(node) ?? copyAlone(node);
      twins.set(node, found);
      return found;
    };
    for (const [node, other] of twins) {
      copy.nodes.add(other);
      other.parent = node.parent && twin(node.parent);
      for (const child of node.children) other.children.add(twin(child));
      other.cut = node.cut && { ...node.cut, source: twin(node.cut.source) };
    }
    for (const change of this.pending) {
      const other = { ...change, node: twin(change.node) };
      if (other.type === 'create') {
        copy.pending.add({ ...other, source: other.source && twin(other.source) });
      } else if (other.type === 'revert') {
        copy.pending.add({ ...other, snapshot: twin(other.snapshot) });
      } else copy.pending.add(other);
    }
    return copy;
  }

  /** The next moment. */
  tick(): number {
    return ++this.#tick;
  }

  /** As many unused tokens in a row. */
  takeTokens(count: number): number {
    const first = this.#nextToken;
    this.#nextToken += count;
    return first;
  }

  addNode(
    fields: Pick<ModelNode, 'kind' | 'name' | 'uuid' | 'attributes' | 'sizeBlocks'>,
    content: { tokens?: Uint32Array; cut?: Cut },
  ): ModelNode {
    const tokens = new Uint32Array(fields.sizeBlocks);
    if (content.tokens) tokens.set(content.tokens);
    const node: ModelNode = {
      ...fields,
      modelId: this.#nextModelId++,
      state: 'creating',
      parent: undefined,
      children: new Set(),
      tokens,
      registers: new Map(),
      cut: content.cut,
      createdMs: undefined,
      isLocked: false,
      refusesIo: false,
      pinCount: 0,
      deferredDelete: false,
    };
    this.nodes.add(node);
    return node;
  }

  find({ kind, name }: NodeName): ModelNode | undefined {
    for (const node of this.nodes) {
      if (node.kind === kind && node.name === name && node.state !== 'hidden') return node;
    }
    return undefined;
  }

  /** Nodes that users may address now. */
  live(kind: NodeKind): ModelNode[] {
    return [...this.nodes].filter((node) => node.kind === kind && node.state === 'live');
  }

  register(volume: ModelNode, lbn: number): WriteRegister {
    let register = volume.registers.get(lbn);
    if (!register) {
      register = new WriteRegister(volume.tokens[lbn] ?? 0);
      volume.registers.set(lbn, register);
    }
    return register;
  }

  /** Changes of a volume that were answered and are not durable: what a flush asked for now must keep. */
  answeredEntries(volume: ModelNode): WriteEntry[] {
    const entries: WriteEntry[] = [];
    for (const register of volume.registers.values()) {
      for (const entry of register.entries) {
        if (!entry.isDurable && entry.answeredAt !== Infinity) entries.push(entry);
      }
    }
    return entries;
  }

  /** Puts the new node below its source: the end of create, snapshot and clone. */
  applyCreate(node: ModelNode, source: ModelNode | undefined): void {
    assert(node.state === 'creating', `${node.name} exists already`);
    node.state = 'live';
    if (!source) return;
    if (node.kind === 'snapshot') {
      this.#insertAbove(source, node);
    } else if (source.kind === 'snapshot') {
      attach(node, source);
    } else {
      // A clone of a volume hangs, beside the volume, below a snapshot that nobody sees.
      const unnamed = this.addNode(
        { ...node, kind: 'snapshot', name: '' },
        { tokens: node.tokens },
      );
      unnamed.state = 'hidden';
      this.#insertAbove(source, unnamed);
      attach(node, unnamed);
    }
  }

  /** Gives the tokens of a cut to the node, and to the hidden snapshot of a clone of a volume. */
  resolveCut(node: ModelNode, tokens: Uint32Array): void {
    assert(node.cut !== undefined, `${node.name} has no cut to resolve`);
    node.cut = undefined;
    node.tokens.set(tokens.subarray(0, node.tokens.length));
    const { parent } = node;
    if (node.kind === 'volume' && parent?.state === 'hidden' && parent.name === '') {
      parent.tokens.set(tokens.subarray(0, parent.tokens.length));
    }
  }

  /** Volume content becomes the snapshot's; the volume now hangs below it. */
  applyRevert(volume: ModelNode, snapshot: ModelNode, attributes: string): void {
    const former = volume.parent;
    detach(volume);
    attach(volume, snapshot);
    volume.registers.clear();
    volume.tokens = new Uint32Array(volume.sizeBlocks);
    volume.tokens.set(snapshot.tokens.subarray(0, volume.sizeBlocks));
    volume.attributes = attributes;
    if (former) this.#collapse(former);
  }

  applyResize(volume: ModelNode, sizeBlocks: number): void {
    const tokens = new Uint32Array(sizeBlocks);
    tokens.set(volume.tokens);
    volume.tokens = tokens;
    volume.sizeBlocks = sizeBlocks;
  }

  /** Deletes a node; deferred while clones of it are under way (they were asked for earlier, or failed). */
  applyDelete(node: ModelNode): void {
    if (node.pinCount > 0) {
      node.deferredDelete = true;
      node.state = 'deleting';
      return;
    }
    node.deferredDelete = false;
    node.state = 'hidden';
    this.#collapse(node);
  }

  /** Forgets a node that never came to be. */
  dropCreate(node: ModelNode): void {
    assert(node.state === 'creating', `${node.name} exists`);
    node.state = 'gone';
    this.nodes.delete(node);
  }

  /** Makes the present content of a volume its base: nothing is under way on it. */
  settle(node: ModelNode, tokens: Uint32Array): void {
    node.tokens = tokens;
    node.registers.clear();
  }

  #insertAbove(below: ModelNode, node: ModelNode): void {
    const { parent } = below;
    detach(below);
    if (parent) attach(node, parent);
    attach(below, node);
  }

  /** A hidden node with one child gives it to its parent and goes; without children it just goes. */
  #collapse(from: ModelNode): void {
    let node: ModelNode | undefined = from;
    while (node && node.state === 'hidden' && node.children.size < 2) {
      const parent: ModelNode | undefined = node.parent;
      const [child] = node.children;
      detach(node);
      if (child) {
        detach(child);
        if (parent) attach(child, parent);
      }
      node.state = 'gone';
      this.nodes.delete(node);
      node = parent;
    }
  }
}

function copyAlone(node: ModelNode): ModelNode {
  const registers = new Map<number, WriteRegister>();
  for (const [lbn, register] of node.registers) registers.set(lbn, register.clone());
  return {
    ...node,
    tokens: node.tokens.slice(),
    registers,
    parent: undefined,
    children: new Set(),
    cut: undefined,
  };
}

function attach(node: ModelNode, parent: ModelNode): void {
  assert(node.parent === undefined, `${node.name} has a parent`);
  node.parent = parent;
  parent.children.add(node);
}

function detach(node: ModelNode): void {
  node.parent?.children.delete(node);
  node.parent = undefined;
}
