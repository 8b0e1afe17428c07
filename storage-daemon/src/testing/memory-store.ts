/**
 * The store's interface over plain Maps: right in every answer, durable in none. It lets the layers above
 * the store be built and tested without a device. A block is immutable and counted, so sharing and exact
 * sizes are plain to see.
 */
import { assert } from '@varve/common/assert';

import type {
  CreateCloneOptions,
  CreateSnapshotOptions,
  CreateVolumeOptions,
  NodeIo,
  NodeKind,
  NodeName,
  NodeSpace,
  NodeSummary,
  Store,
  StoreCounters,
  MapMemory,
  StoreSpace,
} from '../store/store-api.ts';
import { StoreError } from '../store/store-error.ts';
import { volumeSizeBlocksMax } from '../units.ts';
import { type MemoryNode, MemoryNodeIo, MemoryPool } from './memory-node-io.ts';

/** What a memory store is made with. */
export interface MemoryStoreOptions {
  readonly poolName: string;
  /** Capacity; blocks take memory only once they are written. */
  readonly sizeBlocks: number;
  /** Drawn if not given. */
  readonly poolUuid?: Uint8Array;
}

const attributesBytesMax = 3072;

/** A pool that lives as long as the object. */
export class MemoryStore implements Store {
  readonly poolName: string;
  readonly poolUuid: Uint8Array;
  readonly cellCount = 1;
  readonly readOnlyReason = undefined;
  readonly #pool: MemoryPool;
  readonly #nodes = new Map<string, MemoryNode>();
  #nextNodeId = 1;
  #isClosed = false;

  constructor({ poolName, sizeBlocks, poolUuid }: MemoryStoreOptions) {
    this.poolName = poolName;
    this.poolUuid = poolUuid ?? crypto.getRandomValues(new Uint8Array(16));
    this.#pool = new MemoryPool(sizeBlocks);
  }

  find(node: NodeName): NodeSummary | undefined {
    const found = this.#nodes.get(keyOf(node));
    return found && this.#summarize(found);
  }

  list(kind: NodeKind): readonly NodeSummary[] {
    return [...this.#nodes.values()]
      .filter((node) => node.kind === kind)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((node) => this.#summarize(node));
  }

  async createVolume(options: CreateVolumeOptions): Promise<NodeSummary> {
    return this.#summarize(this.#create({ kind: 'volume', ...options }, undefined));
  }

  async createSnapshot(options: CreateSnapshotOptions): Promise<NodeSummary> {
    const volume = this.#get({ kind: 'volume', name: options.volume }, 'Create snapshot');
    const { sizeBlocks } = volume;
    const node = this.#create({ kind: 'snapshot', ...options, sizeBlocks }, volume);
    node.parent = volume.parent;
    volume.parent = node;
    return this.#summarize(node);
  }

  async createClone(options: CreateCloneOptions): Promise<NodeSummary> {
    const source = this.#get(options.source, 'Create clone');
    if (options.sizeBlocks < source.sizeBlocks) {
      throw new StoreError(
        'out-of-range',
        `Create clone "${options.name}" of ${options.sizeBlocks} blocks: its source has ${source.sizeBlocks}`,
      );
    }
    const node = this.#create({ kind: 'volume', ...options }, source);
    if (source.kind === 'snapshot') node.parent = source;
    return this.#summarize(node);
  }

  async resize(name: string, sizeBlocks: number): Promise<NodeSummary> {
    const volume = this.#get({ kind: 'volume', name }, 'Resize volume');
    checkSize(`Resize volume "${name}"`, sizeBlocks, volume.sizeBlocks);
    volume.sizeBlocks = sizeBlocks;
    return this.#summarize(volume);
  }

  async setAttributes(name: NodeName, attributes: string): Promise<NodeSummary> {
    const node = this.#get(name, 'Set attributes');
    checkAttributes(attributes);
    node.attributes = attributes;
    return this.#summarize(node);
  }

  async revert(name: string, snapshotName: string, attributes: string): Promise<NodeSummary> {
    const volume = this.#get({ kind: 'volume', name }, 'Revert');
    const snapshot = this.#get({ kind: 'snapshot', name: snapshotName }, 'Revert');
    checkAttributes(attributes);
    checkClosed(`Revert volume "${name}"`, volume);
    if (!descendsFrom(volume, snapshot)) {
      throw new StoreError(
        'failed-precondition',
        `Revert volume "${name}" to "${snapshotName}": the snapshot is not in the volume's own line`,
      );
    }
    this.#pool.releaseAll(volume.blocks);
    volume.blocks = this.#pool.share(snapshot.blocks);
    volume.parent = snapshot;
    volume.attributes = attributes;
    return this.#summarize(volume);
  }

  async deleteNode(name: NodeName): Promise<void> {
    const node = this.#get(name, 'Delete');
    checkClosed(`Delete ${name.kind} "${name.name}"`, node);
    this.#nodes.delete(keyOf(name));
    this.#pool.releaseAll(node.blocks);
    node.isDeleted = true;
  }

  space(): StoreSpace {
    return this.#pool.space();
  }

  async nodeSpace(name: NodeName): Promise<NodeSpace> {
    const node = this.#get(name, 'Get space');
    const uniqueBlocks = countFreed([node]);
    return {
      referencedBlocks: node.blocks.size,
      slackBlocks: 0,
      uniqueBlocks,
      reclaimableBlocks: uniqueBlocks,
    };
  }

  async reclaimableBlocks(snapshots: readonly string[]): Promise<number> {
    const names = [...new Set(snapshots)];
    return countFreed(
      names.map((name) => this.#get({ kind: 'snapshot', name }, 'Get reclaimable space')),
    );
  }

  counters(): StoreCounters {
    return {
      journalBlocksWritten: 0,
      journalRecords: 0,
      checkpoints: 0,
      metadataPagesWritten: 0,
      deviceFlushes: 0,
      dataBlocksWritten: this.#pool.blocksWritten,
      dataBlocksRead: this.#pool.blocksRead,
      groupsTaken: 0,
      healedClusters: 0,
      harvestedBlocks: 0,
      groupsReturned: 0,
      groupRequests: 0,
      backgroundFailures: 0,
      deallocatedBytes: 0,
      deallocateFailures: 0,
      mapHits: 0,
      mapMisses: 0,
      mapEvictions: 0,
    };
  }

  mapMemory(): MapMemory {
    return { budgetBytes: 0, residentBytes: 0 };
  }

  openIo(name: NodeName): NodeIo {
    return new MemoryNodeIo(this.#get(name, 'Open'), this.#pool);
  }

  async checkpoint(): Promise<void> {}

  async drainBackgroundWork(): Promise<void> {}

  async healClusters(): Promise<void> {}

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(
      [...this.#nodes.values()].flatMap((node) => [...node.openIos].map((io) => io.close())),
    );
  }

  destroy(): void {
    this.#isClosed = true;
  }

  #get(name: NodeName, action: string): MemoryNode {
    this.#checkOpen(action);
    const node = this.#nodes.get(keyOf(name));
    if (!node) {
      throw new StoreError(
        'not-found',
        `${action}: there is no ${name.kind} "${name.name}" in pool "${this.poolName}"`,
      );
    }
    return node;
  }

  #create(
    fields: Pick<MemoryNode, 'kind' | 'name' | 'uuid' | 'sizeBlocks' | 'attributes'>,
    source: MemoryNode | undefined,
  ): MemoryNode {
    const { kind, name, uuid, sizeBlocks, attributes } = fields;
    const action = `Create ${kind} "${name}"`;
    this.#checkOpen(action);
    assert(uuid.length === 16, `${action}: uuid has ${uuid.length} bytes`);
    checkAttributes(attributes);
    checkSize(action, sizeBlocks, 1);
    if (this.#nodes.has(keyOf(fields))) {
      throw new StoreError('already-exists', `${action}: pool "${this.poolName}" has one`);
    }
    const nodeId = this.#nextNodeId++;
    const node: MemoryNode = {
      kind,
      name,
      uuid: uuid.slice(),
      sizeBlocks,
      attributes,
      nodeId,
      family: source?.family ?? nodeId,
      createdMs: Date.now(),
      blocks: source ? this.#pool.share(source.blocks) : new Map(),
      parent: undefined,
      openIos: new Set(),
      isDeleted: false,
    };
    this.#nodes.set(keyOf(fields), node);
    return node;
  }

  #summarize(node: MemoryNode): NodeSummary {
    const { kind, name, nodeId, family, sizeBlocks, createdMs, attributes, parent } = node;
    return {
      kind,
      name,
      nodeId,
      cell: 0,
      family,
      uuid: node.uuid.slice(),
      sizeBlocks,
      createdMs,
      parentSnapshot: parent?.isDeleted === false ? parent.name : undefined,
      childCount: [...this.#nodes.values()].filter((other) => nearestParent(other) === node).length,
      referencedBlocks: node.blocks.size,
      slackBlocks: 0,
      attributes,
    };
  }

  #checkOpen(action: string): void {
    if (this.#isClosed) {
      throw new StoreError('unavailable', `${action}: pool "${this.poolName}" is closed`);
    }
  }
}

function keyOf({ kind, name }: NodeName): string {
  return `${kind}/${name}`;
}

function checkSize(action: string, sizeBlocks: number, sizeBlocksMin: number): void {
  if (sizeBlocks < sizeBlocksMin || sizeBlocks > volumeSizeBlocksMax) {
    throw new StoreError(
      'out-of-range',
      `${action} with ${sizeBlocks} blocks: must be ${sizeBlocksMin} to ${volumeSizeBlocksMax}`,
    );
  }
}

function checkAttributes(attributes: string): void {
  assert(Buffer.byteLength(attributes) <= attributesBytesMax, 'attributes are too long');
}

function checkClosed(action: string, node: MemoryNode): void {
  if (node.openIos.size > 0) {
    throw new StoreError('failed-precondition', `${action}: it is open for I/O`);
  }
}

/** The parent that is left when deleted ones have given their place to theirs. */
function nearestParent(node: MemoryNode): MemoryNode | undefined {
  let parent = node.parent;
  while (parent?.isDeleted) parent = parent.parent;
  return parent;
}

function descendsFrom(node: MemoryNode, ancestor: MemoryNode): boolean {
  let parent = node.parent;
  while (parent && parent !== ancestor) parent = parent.parent;
  return parent !== undefined;
}

/** Blocks that nothing but these nodes references. */
function countFreed(nodes: readonly MemoryNode[]): number {
  const references = new Map<object, number>();
  let freed = 0;
  for (const block of nodes.flatMap((node) => [...node.blocks.values()])) {
    const count = (references.get(block) ?? 0) + 1;
    references.set(block, count);
    if (count === block.referenceCount) freed++;
  }
  return freed;
}
