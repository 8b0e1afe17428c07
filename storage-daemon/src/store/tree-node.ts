/** A node of a family's tree in memory: a volume head or a snapshot, visible or only kept for its children. */
import { nullPointer, type MetadataPointer } from '../format/metadata-pointer.ts';
import type { CatalogRecord } from '../format/catalog-record.ts';
import { emptyRoot, rootPointer, type MapRoot } from '../map/map-root.ts';
import type { WalkedNode } from '../map/map-walk.ts';
import { DeadList } from '../reclaim/dead-list.ts';
import { ClusterLocks } from './io/cluster-locks.ts';

/** What a node begins with. */
export type NodeSeed = Pick<
  TreeNode,
  'id' | 'kind' | 'family' | 'epoch' | 'curEpoch' | 'sizeBlocks' | 'level' | 'root'
> &
  Pick<TreeNode, 'uuid' | 'name' | 'createdMs' | 'attributes'>;

/** A lower bound of ownership that a record has lifted, until that record is durable (R6). */
interface FormerBound {
  readonly epoch: number;
  readonly record: number;
}

/** One node. */
export class TreeNode implements WalkedNode {
  readonly id: number;
  readonly kind: 'volume' | 'snapshot';
  readonly family: number;
  readonly uuid: Uint8Array;
  readonly createdMs: number;
  readonly epoch: number;
  name: string;
  curEpoch: number;
  sizeBlocks: number;
  level: number;
  root: MapRoot;
  parent: TreeNode | undefined;
  readonly children = new Set<TreeNode>();
  deadData: DeadList;
  deadMeta: DeadList;
  attributes: string;
  /** Page of the attributes on disk; 0 if they were not written yet. */
  attributesPage: MetadataPointer = nullPointer;
  referencedBlocks = 0;
  ownBlocks = 0;
  /** Blocks of its natural clusters that hold no data; 0 once it is deleted. */
  slackBlocks = 0;
  isDeleted = false;
  isWalking = false;
  walkCursor = 0;
  walkBound = 0;

  /** Record that last changed what the node maps: a flush waits for it. */
  lastRecord = 0;
  formerBounds: FormerBound[] = [];
  /** I/O objects that are open on it. */
  openCount = 0;
  readonly locks = new ClusterLocks();
  /** Epochs of the ancestors, nearest first, as of a version of the tree. */
  ancestorEpochs: { readonly version: number; readonly epochs: readonly number[] } | undefined;

  constructor(seed: NodeSeed) {
    this.id = seed.id;
    this.kind = seed.kind;
    this.family = seed.family;
    this.epoch = seed.epoch;
    this.curEpoch = seed.curEpoch;
    this.sizeBlocks = seed.sizeBlocks;
    this.level = seed.level;
    this.root = seed.root;
    this.uuid = seed.uuid;
    this.name = seed.name;
    this.createdMs = seed.createdMs;
    this.attributes = seed.attributes;
    this.deadData = new DeadList(seed.family);
    this.deadMeta = new DeadList(seed.family);
  }

  /** What was born later is the node's alone. */
  get parentEpoch(): number {
    return this.parent?.epoch ?? 0;
  }

  /** The only child. */
  get onlyChild(): TreeNode | undefined {
    if (this.children.size !== 1) return undefined;
    const [child] = this.children;
    return child;
  }

  /** The bound for writing in place: not lowered before the record that lowers it is durable (R6). */
  inPlaceBound(durableRecord: number): number {
    if (this.formerBounds.length > 0) {
      this.formerBounds = this.formerBounds.filter(({ record }) => record > durableRecord);
    }
    let bound = this.parentEpoch;
    for (const { epoch } of this.formerBounds) bound = Math.max(bound, epoch);
    return bound;
  }

  /** The record to store; all pages it points to are placed. */
  toRecord(): CatalogRecord {
    return {
      id: this.id,
      kind: this.kind,
      isDeleted: this.isDeleted,
      isWalking: this.isWalking,
      level: this.level,
      family: this.family,
      parent: this.parent?.id,
      childCount: this.children.size,
      epoch: this.epoch,
      curEpoch: this.curEpoch,
      sizeBlocks: this.sizeBlocks,
      root: rootPointer(this.root),
      deadData: this.deadData.pointer,
      deadMeta: this.deadMeta.pointer,
      attributes: this.attributesPage,
      referencedBlocks: this.referencedBlocks,
      ownBlocks: this.ownBlocks,
      deadBlocks: this.deadData.blockCount,
      slackBlocks: this.slackBlocks,
      walkCursor: this.walkCursor,
      walkBound: this.walkBound,
      createdMs: this.createdMs,
      uuid: this.uuid,
      name: this.name,
    };
  }

  /** A node as it was stored; parent, dead lists and attributes are set by the caller. */
  static fromRecord(record: CatalogRecord, attributes: string): TreeNode {
    const { root } = record;
    const node = new TreeNode({
      ...record,
      attributes,
      root: root.pbn === 0 ? emptyRoot : { ...root, frame: undefined },
    });
    node.isDeleted = record.isDeleted;
    node.isWalking = record.isWalking;
    node.referencedBlocks = record.referencedBlocks;
    node.ownBlocks = record.ownBlocks;
    node.slackBlocks = record.slackBlocks;
    node.walkCursor = record.walkCursor;
    node.walkBound = record.walkBound;
    node.attributesPage = record.attributes;
    return node;
  }
}
