/**
 * The state of a cell and `apply()`, the one function that changes it: live operation and replay call it with the
 * same records and must end in the same state. It reads no clock, chooses no block and does no I/O; every page that a
 * record needs is resident before (`missingFor`). What is volatile (quarantine, locks, former bounds) follows from it
 * but is not stored.
 *
 * own(n, x) <=> birth(x) > epoch(parent(n)). D(n) = what parent(n) references and n does not. (docs/on-disk-
 * format.md)
 */
import { assert, assertNever } from '@varve/common/assert';

import { CellAllocator } from '../allocator/cell-allocator.ts';
import { GroupBitmap } from '../allocator/group-bitmap.ts';
import type { GroupOwners } from '../allocator/group-owners.ts';
import type { IoTracker } from '../allocator/io-tracker.ts';
import { catalogRecordsPerPage } from '../format/catalog-record.ts';
import type { JournalRecord } from '../format/journal-record.ts';
import { nullPointer } from '../format/metadata-pointer.ts';
import { bitmapSlots, mapLevel } from '../format/pool-layout.ts';
import type { PoolGeometry } from '../format/superblock.ts';
import type { MapFrame } from '../map/map-frame.ts';
import { MapPages, type ReadPage } from '../map/map-pages.ts';
import { MapResidency } from '../map/map-residency.ts';
import { emptyRoot, type MappedNode } from '../map/map-root.ts';
import type { DroppedBlock } from '../map/leaf-entries.ts';
import { MapTree } from '../map/map-tree.ts';
import { MapWalk } from '../map/map-walk.ts';
import { DeadList } from '../reclaim/dead-list.ts';
import { FreeQueue } from '../reclaim/free-queue.ts';
import { MapChanges } from './apply/map-changes.ts';
import { TreeNode } from './tree-node.ts';

/** Fixed properties of a cell. */
export interface CellOptions {
  readonly cell: number;
  readonly geometry: PoolGeometry;
  /** Most pages of maps in memory. */
  readonly mapPagesMax: number;
}

/** Pages that an entry of a dead list adds to a checkpoint at most: 12 bytes in a directory, 8 in a full page. */
const deadEntryPages = 1 / 128;

/** A group that was given back, and the first checkpoint whose root does not list it. */
interface LeavingGroup {
  readonly group: number;
  readonly checkpoint: number;
}

type RecordOf<Op extends JournalRecord['op']> = Extract<JournalRecord, { op: Op }>;

/** Everything that a checkpoint stores, and how records change it. */
export class CellState {
  readonly cell: number;
  readonly geometry: PoolGeometry;
  readonly nodes = new Map<number, TreeNode>();
  readonly allocator: CellAllocator;
  readonly queue = new FreeQueue();
  readonly pages: MapPages;
  readonly residency: MapResidency;
  readonly tree: MapTree;
  readonly walk: MapWalk;
  /** Pages of maps that the next checkpoint writes. */
  readonly dirtyFrames = new Set<MapFrame>();
  /** Catalog pages that the next checkpoint writes. */
  readonly dirtyCatalogPages = new Set<number>();
  /** Lists whose directories the next checkpoint writes. */
  readonly dirtyLists = new Set<DeadList>();
  /** Deleted nodes whose own blocks background work frees. */
  readonly walking = new Set<TreeNode>();
  /** Nodes whose attributes the next checkpoint writes. */
  readonly dirtyAttributes = new Set<TreeNode>();
  /**
   * Grows with each change by what its lists add to the next checkpoint: a list is written whole, however small the
   * change.
   */
  listPagesChanged = 0;
  nextFamilyId = 1;
  /** Number of the last record applied. */
  recordNumber = 0;
  /** Checkpoints that were cut. */
  checkpointNumber = 0;
  readonly #owners: GroupOwners;
  readonly #leavingGroups: LeavingGroup[] = [];
  readonly #mapChanges: MapChanges;
  #treeVersion = 0;
  /** All node ids below are in use. */
  #freeIdHint = 0;

  constructor(
    options: CellOptions,
    dependencies: { owners: GroupOwners; tracker: IoTracker; readPage: ReadPage },
  ) {
    const { cell, geometry } = options;
    this.cell = cell;
    this.geometry = geometry;
    this.#owners = dependencies.owners;
    this.allocator = new CellAllocator(geometry, dependencies);
    this.pages = new MapPages(
      { cell, pagesMax: options.mapPagesMax },
      {
        readPage: dependencies.readPage,
        isAllocated: (pbn) => this.allocator.isAllocated(pbn),
        dirtyCount: () => this.dirtyFrames.size,
      },
    );
    this.residency = new MapResidency({ geometry }, { pages: this.pages });
    this.walk = new MapWalk({ geometry }, { residency: this.residency });
    this.tree = new MapTree(
      { geometry },
      {
        hooks: {
          freePage: (frame) => this.#freeFrame(frame),
          killPage: (node, frame, birth) => this.#killFrame(node, frame, birth),
          pageDirtied: (frame) => this.#dirtyFrame(frame),
        },
        leaves: this.pages.leaves,
      },
    );
    this.#mapChanges = new MapChanges({
      tree: this.tree,
      allocator: this.allocator,
      dropBlock: (node, block) => this.#dropBlock(node, block),
      changed: (node) => this.#mapChanged(node),
    });
  }

  /** Blocks of natural clusters of volumes that hold no data, those that clones share counted for each. */
  get slackBlocks(): number {
    let sum = 0;
    for (const node of this.nodes.values()) if (node.kind === 'volume') sum += node.slackBlocks;
    return sum;
  }

  /** Changes the state by one record. */
  apply(record: JournalRecord): void {
    this.recordNumber++;
    switch (record.op) {
      case 'set':
      case 'setClusters':
      case 'setPart':
      case 'valid':
      case 'heal':
      case 'split':
      case 'clear':
        return this.#mapChanges.apply(record, this.nodeOf(record.node));
      case 'walk':
        return this.#applyWalk(record);
      case 'freed':
        return this.#applyFreed(record);
      case 'groupGet':
        return this.#applyGroupGet(record);
      case 'groupPut':
        return this.#applyGroupPut(record);
      case 'create':
        return this.#applyCreate(record);
      case 'snapshot':
        return this.#applySnapshot(record);
      case 'clone':
        return this.#applyClone(record);
      case 'revert':
        return this.#applyRevert(record);
      case 'resize':
        return this.#applyResize(record);
      case 'attributes':
        return this.#applyAttributes(record);
      case 'delete':
        return this.#delete(this.nodeOf(record.node));
      default:
        return assertNever(record, 'journal record');
    }
  }

  /** Grows with each change of the tree of nodes. */
  get treeVersion(): number {
    return this.#treeVersion;
  }

  nodeOf(id: number): TreeNode {
    const node = this.nodes.get(id);
    assert(node !== undefined, `cell ${this.cell} has no node ${id}`);
    return node;
  }

  /** The lowest ids that no node uses, below `limit`; fewer than `count` if there are no more. */
  freeNodeIds(count: number, limit: number): number[] {
    while (this.nodes.has(this.#freeIdHint)) this.#freeIdHint++;
    const ids: number[] = [];
    for (let id = this.#freeIdHint; ids.length < count && id < limit; id++) {
      if (!this.nodes.has(id)) ids.push(id);
    }
    return ids;
  }

  /** Adds a node that was loaded or made. */
  addNode(node: TreeNode): void {
    assert(!this.nodes.has(node.id), `node id ${node.id} is in use`);
    this.nodes.set(node.id, node);
    if (node.isWalking) this.walking.add(node);
    this.#treeVersion++;
  }

  /** The catalog record of the node must be written. */
  touch(node: TreeNode): void {
    this.dirtyCatalogPages.add(Math.floor(node.id / catalogRecordsPerPage));
  }

  /** Frees a page of metadata that the last root may point to. */
  freeMetaPage(pbn: number, checkpoint = this.checkpointNumber + 1): void {
    this.allocator.free(pbn, { isMeta: true, record: this.recordNumber, checkpoint });
  }

  #mapChanged(node: TreeNode): number {
    node.lastRecord = this.recordNumber;
    this.touch(node);
    return this.recordNumber;
  }

  /** A block leaves a head: freed if it is its own, else it goes to the head's dead list. */
  #dropBlock(node: TreeNode, block: DroppedBlock): void {
    node.referencedBlocks--;
    if (block.isSlack) node.slackBlocks--;
    if (block.birth > node.parentEpoch) {
      node.ownBlocks--;
      this.#freeBlock(block.pbn);
      return;
    }
    const { pbn, birth } = block;
    node.deadData.append(this.#birthLow(node, birth), { pbn, birth, frame: undefined });
    this.#dirtyList(node.deadData);
  }

  #freeBlock(pbn: number): void {
    const { recordNumber: record, checkpointNumber } = this;
    this.allocator.free(pbn, { isMeta: false, record, checkpoint: checkpointNumber + 1 });
  }

  #dirtyFrame(frame: MapFrame): void {
    frame.isDirty = true;
    // The block still holds the older page: whoever loads it must not get this one.
    if (frame.pbn !== 0) this.pages.forget(frame.pbn);
    this.dirtyFrames.add(frame);
    this.pages.countDirtied();
  }

  #freeFrame(frame: MapFrame): void {
    this.dirtyFrames.delete(frame);
    frame.isDirty = false;
    if (frame.pbn === 0) return;
    this.pages.forget(frame.pbn);
    this.freeMetaPage(frame.pbn);
    frame.pbn = 0;
  }

  #killFrame(mapped: MappedNode, frame: MapFrame, birth: number): void {
    const node = mapped as TreeNode;
    const named = frame.isDirty ? frame : undefined;
    node.deadMeta.append(this.#birthLow(node, birth), { pbn: frame.pbn, birth, frame: named });
    this.#dirtyList(node.deadMeta);
  }

  /** Pages that a checkpoint writes besides if the dead lists of a node change now. */
  cleanListPages(node: TreeNode): number {
    const pagesOf = (list: DeadList) =>
      this.dirtyLists.has(list) ? 0 : list.directoryPages.length;
    return pagesOf(node.deadData) + pagesOf(node.deadMeta);
  }

  /** As `cleanListPages`, of the free queue. */
  get cleanQueuePages(): number {
    return this.queue.isDirty ? 0 : this.queue.streamPages.length;
  }

  /** As `cleanListPages`, of all lists that change if the node is deleted. */
  deletePages(node: TreeNode): number {
    const { parent, children } = node;
    const isAwaited = children.size === 0 && parent?.isDeleted === true;
    const merged = isAwaited && parent.children.size === 2 ? parent : node;
    const near = [merged, ...(merged.children.size <= 2 ? merged.children : [])];
    return near.reduce((sum, each) => sum + this.cleanListPages(each), this.cleanQueuePages);
  }

  /** A list has got an entry. */
  #dirtyList(list: DeadList): void {
    this.listPagesChanged += deadEntryPages;
    if (this.dirtyLists.has(list)) return;
    this.listPagesChanged += list.directoryPages.length;
    this.dirtyLists.add(list);
  }

  /** The largest epoch of an ancestor below `birth`: the bucket of the dead lists. */
  #birthLow(node: TreeNode, birth: number): number {
    if (node.ancestorEpochs?.version !== this.#treeVersion) {
      const epochs: number[] = [];
      for (let above = node.parent; above; above = above.parent) epochs.push(above.epoch);
      node.ancestorEpochs = { version: this.#treeVersion, epochs };
    }
    const { epochs } = node.ancestorEpochs;
    let low = 0;
    let high = epochs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (epochs[middle]! >= birth) low = middle + 1;
      else high = middle;
    }
    return epochs[low] ?? 0;
  }

  #applyCreate({ node: id, curEpoch, family, payload }: RecordOf<'create'>): void {
    const level = mapLevel(this.geometry, payload.sizeBlocks);
    const place = { id, family, curEpoch, epoch: 0, level, root: emptyRoot };
    this.#addNew(new TreeNode({ ...payload, ...place, kind: 'volume' }));
    this.nextFamilyId = Math.max(this.nextFamilyId, family + 1);
  }

  /** The snapshot takes the head's map, dead lists and place; the head goes on below it. */
  #applySnapshot({ source, node: id, curEpoch, payload }: RecordOf<'snapshot'>): void {
    const head = this.nodeOf(source);
    const { family, level, root, sizeBlocks } = head;
    const place = { id, family, level, root, sizeBlocks, epoch: head.curEpoch, curEpoch: 0 };
    const snapshot = new TreeNode({ ...payload, ...place, kind: 'snapshot' });
    this.#addNew(snapshot);
    if (head.parent) this.#setParent(snapshot, head.parent);
    this.#setParent(head, snapshot);
    snapshot.deadData = head.deadData;
    snapshot.deadMeta = head.deadMeta;
    snapshot.referencedBlocks = head.referencedBlocks;
    snapshot.ownBlocks = head.ownBlocks;
    snapshot.slackBlocks = head.slackBlocks;
    head.deadData = new DeadList(family);
    head.deadMeta = new DeadList(family);
    head.ownBlocks = 0;
    head.curEpoch = curEpoch;
    head.lastRecord = this.recordNumber;
    this.touch(head);
  }

  #applyClone({ source, node: id, curEpoch, payload }: RecordOf<'clone'>): void {
    const snapshot = this.nodeOf(source);
    const { family, level, root } = snapshot;
    const place = { id, family, level, root, epoch: 0, curEpoch };
    const head = new TreeNode({ ...payload, ...place, kind: 'volume' });
    this.#addBelow(head, snapshot);
  }

  #addBelow(head: TreeNode, snapshot: TreeNode): void {
    this.#addNew(head);
    this.#setParent(head, snapshot);
    head.referencedBlocks = snapshot.referencedBlocks;
    head.slackBlocks = snapshot.slackBlocks;
    this.#raise(head);
    head.lastRecord = this.recordNumber;
    this.touch(snapshot);
  }

  #applyRevert(record: RecordOf<'revert'>): void {
    const former = this.nodeOf(record.source);
    const snapshot = this.nodeOf(record.snapshot);
    const { family, level, root } = snapshot;
    const { uuid, name, createdMs, sizeBlocks } = former;
    const { attributes, node: id, curEpoch } = record;
    const head = new TreeNode({
      id,
      kind: 'volume',
      family,
      level,
      root,
      epoch: 0,
      curEpoch,
      uuid,
      name,
      createdMs,
      sizeBlocks,
      attributes,
    });
    this.#addBelow(head, snapshot);
    this.#delete(former);
  }

  #applyResize({ node: id, sizeBlocks }: RecordOf<'resize'>): void {
    const node = this.nodeOf(id);
    assert(sizeBlocks >= node.sizeBlocks, 'volumes only grow');
    node.sizeBlocks = sizeBlocks;
    this.#raise(node);
    this.touch(node);
  }

  #raise(node: TreeNode): void {
    const level = mapLevel(this.geometry, node.sizeBlocks);
    if (level > node.level) this.tree.raise({ node, ownBound: node.parentEpoch }, level);
  }

  #applyAttributes({ node: id, attributes }: RecordOf<'attributes'>): void {
    const node = this.nodeOf(id);
    node.attributes = attributes;
    this.dirtyAttributes.add(node);
    this.touch(node);
  }

  #applyGroupGet({ group }: RecordOf<'groupGet'>): void {
    const isOurs = this.#owners.claim(group, this.cell) || this.#owners.isOwner(group, this.cell);
    assert(isOurs, `group ${group} belongs to another cell`);
    this.allocator.addGroup(new GroupBitmap(group, this.geometry.groupBlocks));
    this.allocator.countMetadata(bitmapSlots);
  }

  /** The group stays this cell's until a root without it is durable (R7): its bitmap and pages may be replayed. */
  #applyGroupPut({ group }: RecordOf<'groupPut'>): void {
    this.allocator.removeGroup(group);
    this.allocator.countMetadata(-bitmapSlots);
    this.#leavingGroups.push({ group, checkpoint: this.checkpointNumber + 1 });
  }

  /** Groups that were given back and that nobody else may take yet. */
  get leavingGroupCount(): number {
    return this.#leavingGroups.length;
  }

  /** Lets others take the groups that durable roots list no more (R7). */
  releaseGroups(durableCheckpoint: number): void {
    const isFree = ({ checkpoint }: LeavingGroup) => checkpoint <= durableCheckpoint;
    while (this.#leavingGroups.length > 0 && isFree(this.#leavingGroups[0]!)) {
      this.#owners.release(this.#leavingGroups.shift()!.group, this.cell);
    }
  }

  #applyWalk({ node: id, cursor }: RecordOf<'walk'>): void {
    const node = this.nodeOf(id);
    assert(node.isWalking, `node ${id} is not being walked`);
    this.walk.apply(node, cursor, {
      freeBlock: ({ pbn }) => {
        node.ownBlocks--;
        node.referencedBlocks--;
        this.#freeBlock(pbn);
      },
      freePage: (frame) => this.#freeFrame(frame),
    });
    node.walkCursor = cursor;
    this.touch(node);
    if (cursor < node.sizeBlocks) return;
    assert(node.ownBlocks === 0, `node ${id} was walked and still owns ${node.ownBlocks} blocks`);
    this.#remove(node);
  }

  #applyFreed({ item, done }: RecordOf<'freed'>): void {
    this.listPagesChanged += this.cleanQueuePages;
    const { isMeta, entries, finishedPages } = this.queue.advance(item, done);
    for (const { pbn, frame } of entries) {
      if (frame) this.#freeFrame(frame);
      else if (!isMeta) this.#freeBlock(pbn);
      else if (pbn !== 0) this.#freeUnframed(pbn);
    }
    for (const pbn of finishedPages) this.freeMetaPage(pbn);
  }

  #freeUnframed(pbn: number): void {
    this.pages.forget(pbn);
    this.freeMetaPage(pbn);
  }

  /** Hides the node; without children it is walked, with one it merges into it, with more it waits for them. */
  #delete(node: TreeNode): void {
    assert(!node.isDeleted, `node ${node.id} is deleted already`);
    node.isDeleted = true;
    // What is left of it counts with its children, or is about to be freed.
    node.slackBlocks = 0;
    node.name = '';
    this.touch(node);
    if (node.children.size === 0) this.#startWalk(node);
    else if (node.children.size === 1) this.#merge(node);
    else node.root = emptyRoot; // Nobody reads or walks it: what it holds is derived from its children.
  }

  /**
   * Unlinks a leaf of the tree at once. The bound of its walk is stored: later deletes of ancestors must not move it.
   */
  #startWalk(node: TreeNode): void {
    const { parent } = node;
    node.isWalking = true;
    this.walking.add(node);
    node.walkBound = node.parentEpoch;
    this.#dropList(node.deadData);
    this.#dropList(node.deadMeta);
    this.#dropAttributes(node);
    node.deadData = new DeadList(node.family);
    node.deadMeta = new DeadList(node.family);
    if (!parent) return;
    this.#setParent(node, undefined);
    this.touch(parent);
    if (parent.isDeleted && parent.children.size === 1) this.#merge(parent);
  }

  /** A deleted snapshot goes, and its only child takes its place. */
  #merge(node: TreeNode): void {
    const child = node.onlyChild!;
    const { parent, parentEpoch } = node;
    this.listPagesChanged +=
      this.cleanListPages(node) + this.cleanListPages(child) + this.cleanQueuePages;
    const garbageData = child.deadData.takeAbove(parentEpoch);
    const garbageMeta = child.deadMeta.takeAbove(parentEpoch);
    child.deadData.absorb(node.deadData);
    child.deadMeta.absorb(node.deadMeta);
    child.ownBlocks += node.ownBlocks - garbageData.entryCount;
    child.formerBounds.push({ epoch: node.epoch, record: this.recordNumber }); // R6
    for (const frame of garbageMeta.frames()) {
      this.dirtyFrames.delete(frame);
      frame.isDirty = false;
    }
    this.queue.add(garbageData, false);
    this.queue.add(garbageMeta, true);
    this.dirtyLists.add(child.deadData).add(child.deadMeta);
    this.#forgetDirectory(node.deadData);
    this.#forgetDirectory(node.deadMeta);
    this.#dropAttributes(node);
    this.#setParent(child, undefined);
    this.#setParent(node, undefined);
    if (parent) this.#setParent(child, parent);
    if (parent) this.touch(parent);
    this.touch(child);
    this.#remove(node);
  }

  #addNew(node: TreeNode): void {
    this.addNode(node);
    this.dirtyAttributes.add(node);
    this.touch(node);
  }

  #remove(node: TreeNode): void {
    this.nodes.delete(node.id);
    this.#freeIdHint = Math.min(this.#freeIdHint, node.id);
    this.walking.delete(node);
    this.dirtyAttributes.delete(node);
    this.#treeVersion++;
    this.touch(node);
  }

  #setParent(node: TreeNode, parent: TreeNode | undefined): void {
    node.parent?.children.delete(node);
    node.parent = parent;
    parent?.children.add(node);
    this.#treeVersion++;
    this.touch(node);
  }

  /** The node is gone: what it alone did not reference stays with its parent. */
  #dropList(list: DeadList): void {
    for (const pbn of list.entryPages()) this.freeMetaPage(pbn);
    this.#forgetDirectory(list);
  }

  #forgetDirectory(list: DeadList): void {
    for (const pbn of list.directoryPages) this.freeMetaPage(pbn);
    list.directoryPages = [];
    list.pointer = nullPointer;
    this.dirtyLists.delete(list);
  }

  #dropAttributes(node: TreeNode): void {
    this.dirtyAttributes.delete(node);
    if (node.attributesPage.pbn !== 0) this.freeMetaPage(node.attributesPage.pbn);
    node.attributesPage = nullPointer;
  }
}
